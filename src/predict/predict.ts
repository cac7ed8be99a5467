import { badInput } from "../base/errors.js";
import type { Bytes, Dtype } from "../base/units.js";
import { costLaw, crossover, halfOf } from "../cost/law.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { type Data, dataOf } from "../hardware/data.js";
import type { Engine } from "../hardware/engine.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { FileType } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";
import { type Capacity, capacityOf } from "./capacity.js";
import { type LengthInterval, attentionHalfSeconds, crossoverSeconds } from "./crossing.js";
import type { Curve } from "./curve.js";
import { type Deployment, type DeploymentOptions, defaultDeployment, deploy, deploymentOptions } from "./deployment.js";
import { type Interval, delayed, intervalLevel } from "./interval.js";
import { type LatencyReach, type LatencyWanted, reachOf } from "./latency.js";
import { type MemoryCurve, fits, longestThatFits, needs } from "./memory.js";
import { notesOf } from "./notes.js";
import { type Exceeded, exceededAt } from "./remedies.js";
import type { Terms } from "./requests.js";
import { slowerNotes } from "./slower.js";
import { type Split, splitAt } from "./split.js";

export interface PredictOptions extends DeploymentOptions {
  /** Tokens: n of a prefill, and the context c of a decode step. Ascending. */
  readonly lengths: readonly number[];
  /** What is outside of the model until the first token; the time to it is predicted only where this is stated. */
  readonly terms: Terms | null;
  readonly limits: readonly LatencyWanted[];
}

export const defaultPredictOptions: PredictOptions = {
  ...defaultDeployment,
  lengths: [128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072],
  terms: null,
  limits: [],
};

export interface PredictedPoint {
  readonly n: number;
  readonly prefill: Interval & { readonly exponent: number } & Split;
  /** Prefill with the stated terms; null where none are stated. */
  readonly ttft: Interval | null;
  /** One token with n tokens cached; null for a model that generates nothing. */
  readonly decode: (Interval & Split) | null;
  /** One token without a cache: a pass over the whole prefix of n tokens. */
  readonly decodeUncached: Interval | null;
  /** Of the device that needs most. */
  readonly memory: {
    readonly bytes: Bytes;
    readonly weights: Bytes;
    readonly cache: Bytes;
    readonly activations: Bytes;
    readonly fits: boolean;
  };
  readonly capacity: Capacity;
}

export interface Prediction {
  readonly model: string;
  readonly device: string;
  readonly engine: Engine;
  /** Of the weights, in one word. */
  readonly dtype: Dtype | FileType;
  readonly deployment: Deployment;
  readonly data: Data;
  /** Share of true values that the intervals are meant to hold. */
  readonly level: number;
  readonly points: readonly PredictedPoint[];
  /** Where the work of degree two and more equals the rest. */
  readonly crossover: { readonly flops: { readonly n: number } | null; readonly seconds: LengthInterval | null };
  /** Where attention takes half. */
  readonly attentionHalf: { readonly flops: { readonly n: number } | null; readonly seconds: LengthInterval | null };
  readonly limits: {
    readonly memory: { readonly n: number } | null;
    readonly context: { readonly n: number } | null;
    readonly latency: readonly LatencyReach[];
  };
  /** The longest length asked for, where it does not fit. */
  readonly exceeded: Exceeded | null;
  readonly notes: readonly string[];
  /** The curves themselves, for plots and fits. */
  readonly curves: { readonly prefill: Curve; readonly decode: Curve | null; readonly memory: MemoryCurve };
}

/**
 * Seconds, memory and limits of a model on a device at every length asked for.
 *
 * @throws NsquaredError `batch-invalid`, `lengths-order`, `parallel-divide`, `no-interconnect` and others of bad options
 */
export function predict(
  model: ModelDescription,
  device: DeviceRecord,
  options: Partial<PredictOptions> = {},
): Prediction {
  const chosen = { ...defaultPredictOptions, ...options, ...deploymentOptions(model, device, options) };
  const { lengths, depth, attention, terms, limits } = chosen;
  check(chosen);
  const deployment = deploy(model, device, chosen);
  const { plan, memory, prefill, decode, dtype } = deployment;
  const whole =
    depth === 0 && chosen.cachedShare === 0 ? prefill : deployment.curve("prefill", { depth: 0, cachedShare: 0 });
  // The law of the whole model, not of what one of several devices does.
  const rows =
    plan.local === plan.model
      ? plan.rows("prefill")
      : priceGraph(buildGraph(plan.model, { attention, encoder: plan.encoderLength === null ? "same" : "own" }));
  const law = costLaw(rows, "prefill", chosen.batch, plan.encoderLength ?? 0);
  const longest = longestThatFits(memory, device.memory.value);
  const capacity = capacityOf(deployment);
  const beside = terms === null ? null : terms.network + terms.tokenizer;
  const last = lengths.at(-1);
  return {
    model: model.name,
    device: device.name,
    engine: plan.engine,
    dtype,
    deployment,
    data: dataOf(device, plan.engine, plan.model.dtypes.activations),
    level: intervalLevel,
    points: lengths.map((n): PredictedPoint => {
      const seconds = prefill.interval(n);
      return {
        n,
        prefill: { ...seconds, exponent: prefill.exponent(n), ...splitAt(prefill, n) },
        ttft: beside === null ? null : delayed(seconds, beside),
        decode: decode === null ? null : { ...decode.interval(n), ...splitAt(decode, n) },
        decodeUncached: decode === null ? null : whole.interval(n),
        memory: {
          bytes: memory.total(n),
          weights: memory.weights,
          cache: memory.cache(n),
          activations: memory.activations(n),
          fits: fits(memory, n, device.memory.value),
        },
        capacity: capacity(n),
      };
    }),
    crossover: { flops: at(crossover(law.flops, law.variable)), seconds: crossoverSeconds(prefill) },
    attentionHalf: {
      flops: at(halfOf(law.attentionFlops, law.flops, law.variable)),
      seconds: attentionHalfSeconds(prefill),
    },
    limits: {
      memory: at(longest),
      context: at(model.contextLength),
      latency: limits.map((wanted) => reachOf(deployment, wanted, terms ?? { network: 0, tokenizer: 0 })),
    },
    exceeded: last === undefined || needs(memory, last) <= device.memory.value ? null : exceededAt(deployment, last),
    notes: [...notesOf(deployment, terms, limits), ...slowerNotes(deployment, lengths)],
    curves: { prefill, decode, memory },
  };
}

function at(n: number | null): { readonly n: number } | null {
  return n === null ? null : { n };
}

function check({ lengths, batch, depth, chunk, cachedShare, parallel }: PredictOptions): void {
  const wholeFrom = (least: number, value: number): boolean => Number.isSafeInteger(value) && value >= least;
  if (!wholeFrom(1, batch)) {
    throw badInput("batch-invalid", { key: "batch", found: batch, expected: "a whole number of sequences from 1 on" });
  }
  if (!wholeFrom(0, depth)) {
    throw badInput("depth-invalid", { key: "depth", found: depth, expected: "a whole number of tokens from 0 on" });
  }
  if (chunk !== null && !wholeFrom(1, chunk)) {
    throw badInput("chunk-invalid", { key: "chunk", found: chunk, expected: "a whole number of tokens from 1 on" });
  }
  if (!(cachedShare >= 0 && cachedShare < 1)) {
    throw badInput("share-invalid", {
      key: "cached share",
      found: cachedShare,
      expected: "a share of the prompt from 0 to below 1: at least its last token is computed",
    });
  }
  for (const kind of ["tensor", "pipeline", "expert", "context"] as const) {
    if (!wholeFrom(1, parallel[kind])) {
      throw badInput("parallel-invalid", {
        key: kind,
        found: parallel[kind],
        expected: "a whole number of devices from 1 on",
      });
    }
  }
  const wrong = lengths.find((length, index) => !(length >= 1) || length <= (lengths[index - 1] ?? 0));
  if (wrong !== undefined) {
    throw badInput("lengths-order", { key: "lengths", found: wrong, expected: "lengths from 1 on, ascending" });
  }
}
