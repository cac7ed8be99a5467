import { badInput } from "../base/errors.js";
import type { Bytes, Dtype } from "../base/units.js";
import { costLaw, crossover, halfOf } from "../cost/law.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import type { GraphOptions } from "../graph/types.js";
import { type Engine, engineOf } from "../hardware/engine.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype } from "../hardware/roofline.js";
import type { ModelDescription } from "../model/types.js";
import { withDtype } from "../variants/dtype.js";
import { type LengthInterval, attentionHalfSeconds, crossoverSeconds } from "./crossing.js";
import { type Curve, predictCurve } from "./curve.js";
import { type Interval, intervalLevel } from "./interval.js";
import { type MemoryCurve, fits, longestThatFits, memoryCurve } from "./memory.js";
import { type Split, splitAt } from "./split.js";

export interface PredictOptions {
  /** Tokens: n of a prefill, and the context c of a decode step. Ascending. */
  readonly lengths: readonly number[];
  readonly batch: number;
  /** Tokens already cached before a prefill. */
  readonly depth: number;
  readonly attention: GraphOptions["attention"];
  /** Dtype of weights, cache and activations; the model's own where null. A calibrated machine runs in its own. */
  readonly dtype: Dtype | null;
}

export const defaultPredictOptions: PredictOptions = {
  lengths: [128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072],
  batch: 1,
  depth: 0,
  attention: "fused",
  dtype: null,
};

export interface PredictedPoint {
  readonly n: number;
  readonly prefill: Interval & { readonly exponent: number } & Split;
  /** One token with n tokens cached. */
  readonly decode: Interval & Split;
  /** One token without a cache: a pass over the whole prefix of n tokens. */
  readonly decodeUncached: Interval;
  readonly memory: {
    readonly bytes: Bytes;
    readonly weights: Bytes;
    readonly cache: Bytes;
    readonly activations: Bytes;
    readonly fits: boolean;
  };
}

export interface Prediction {
  readonly model: string;
  readonly device: string;
  readonly engine: Engine;
  readonly dtype: Dtype;
  /** What the seconds rest on, and the lengths that were measured for it; null for a data sheet. */
  readonly data: { readonly basis: "calibrated" | "class"; readonly range: { from: number; to: number } | null };
  /** Share of true values that the intervals are meant to hold. */
  readonly level: number;
  readonly points: readonly PredictedPoint[];
  /** Where the work of degree two and more equals the rest. */
  readonly crossover: { readonly flops: { readonly n: number } | null; readonly seconds: LengthInterval | null };
  /** Where attention takes half. */
  readonly attentionHalf: { readonly flops: { readonly n: number } | null; readonly seconds: LengthInterval | null };
  readonly limits: { readonly memory: { readonly n: number } | null; readonly context: { readonly n: number } | null };
  readonly notes: readonly string[];
  /** The curves themselves, for plots and fits. */
  readonly curves: { readonly prefill: Curve; readonly decode: Curve; readonly memory: MemoryCurve };
}

/**
 * Seconds, memory and limits of a model on a device at every length asked for.
 *
 * @throws NsquaredError `batch-invalid`, `lengths-order`
 */
export function predict(
  model: ModelDescription,
  device: DeviceRecord,
  options: Partial<PredictOptions> = {},
): Prediction {
  const { lengths, batch, depth, attention, dtype } = { ...defaultPredictOptions, ...options };
  check(lengths, batch, depth);
  const asked = device.calibration?.dtype ?? dtype ?? model.dtypes.activations;
  const all = device.calibration !== null || dtype !== null;
  const typed = all ? withDtype(model, asked) : model;
  const graph = buildGraph(typed, { attention, phase: "prefill" });
  const law = costLaw(priceGraph(graph), "prefill", batch);
  const memory = memoryCurve(graph, batch, engineOf(device).memory);
  const prefill = predictCurve(typed, device, { phase: "prefill", batch, depth, attention });
  const decode = predictCurve(typed, device, { phase: "decode", batch, attention });
  const whole = depth === 0 ? prefill : predictCurve(typed, device, { phase: "prefill", batch, attention });
  const flopsCrossover = crossover(law.flops, law.variable);
  const flopsHalf = halfOf(law.attentionFlops, law.flops, law.variable);
  const longest = longestThatFits(memory, device.memory.value);
  return {
    model: model.name,
    device: device.name,
    engine: engineOf(device),
    dtype: asked,
    data: {
      basis: device.calibration === null ? "class" : "calibrated",
      range: device.calibration === null ? null : { from: 1, to: device.calibration.longest },
    },
    level: intervalLevel,
    points: lengths.map((n) => {
      const bytes = memory.total(n);
      return {
        n,
        prefill: { ...prefill.interval(n), exponent: prefill.exponent(n), ...splitAt(prefill, n) },
        decode: { ...decode.interval(n), ...splitAt(decode, n) },
        decodeUncached: whole.interval(n),
        memory: {
          bytes,
          weights: memory.weights,
          cache: memory.cache(n),
          activations: memory.activations(n),
          fits: fits(memory, n, device.memory.value),
        },
      };
    }),
    crossover: { flops: at(flopsCrossover), seconds: crossoverSeconds(prefill) },
    attentionHalf: { flops: at(flopsHalf), seconds: attentionHalfSeconds(prefill) },
    limits: { memory: at(longest), context: at(model.contextLength) },
    notes: notesOf(model, device, asked, dtype),
    curves: { prefill, decode, memory },
  };
}

function at(n: number | null): { readonly n: number } | null {
  return n === null ? null : { n };
}

function check(lengths: readonly number[], batch: number, depth: number): void {
  if (!(Number.isSafeInteger(batch) && batch >= 1)) {
    throw badInput("batch-invalid", { key: "batch", found: batch, expected: "a whole number of sequences from 1 on" });
  }
  if (!(Number.isSafeInteger(depth) && depth >= 0)) {
    throw badInput("depth-invalid", { key: "depth", found: depth, expected: "a whole number of tokens from 0 on" });
  }
  const wrong = lengths.find((length, index) => !(length >= 1) || length <= (lengths[index - 1] ?? 0));
  if (wrong !== undefined) {
    throw badInput("lengths-order", { key: "lengths", found: wrong, expected: "lengths from 1 on, ascending" });
  }
}

function notesOf(model: ModelDescription, device: DeviceRecord, asked: Dtype, option: Dtype | null): string[] {
  const notes = ["one request at a time: no queueing, no network, no tokenizer"];
  const kinds = new Set(model.stacks.map((stack) => stack.kind));
  if (kinds.has("encoder") && kinds.has("decoder")) {
    notes.push("the decoder alone: the encoder's input is taken as empty");
  }
  const runs = computeDtype(device, asked);
  if (runs !== asked) notes.push(`${device.name} has no ${asked} arithmetic: ${runs} runs instead`);
  if (device.calibration !== null && option !== null && option !== device.calibration.dtype) {
    notes.push(`${device.name} was measured in ${device.calibration.dtype}, not ${option}`);
  }
  const { memory } = engineOf(device);
  if (memory.resident !== 1) notes.push(`memory as ${engineOf(device).name} takes it: ${memory.source}`);
  const uncertain = [
    ...Object.entries(device.peaks).flatMap(([dtype, peak]) =>
      peak.uncertain && dtype === runs ? [`${dtype} peak`] : [],
    ),
    ...(device.bandwidth.uncertain ? ["bandwidth"] : []),
    ...(device.launch.uncertain ? ["launch overhead"] : []),
  ];
  if (uncertain.length > 0) notes.push(`uncertain numbers of ${device.name}: ${uncertain.join(", ")}`);
  return notes;
}
