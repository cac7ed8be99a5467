import { bytes, scientific, seconds as showSeconds } from "../base/format.js";
import { costLaw } from "../cost/law.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { type GraphOptions, type Part, parts as allParts } from "../graph/types.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import type { Curve } from "../predict/curve.js";
import { generates } from "../predict/deployment.js";
import { splitAt } from "../predict/split.js";
import type { Crossing, Fact, ModelFacts, PartsPoint } from "../report/data.js";
import { describeModel } from "./describe.js";

/** Points per doubling of a drawn curve. */
const density = 6;

/** What a report says about a model. */
export function modelFacts(model: ModelDescription, attention: GraphOptions["attention"]): ModelFacts {
  const description = describeModel(model);
  const law = (phase: "prefill" | "decode"): string =>
    costLaw(priceGraph(buildGraph(model, { attention, phase, encoder: "same" })), phase).flops.toString();
  return {
    name: model.name,
    source: model.source,
    parameters: description.parameters,
    contextLength: model.contextLength,
    cache: { bytesPerToken: description.cache.bytesPerToken },
    flops: {
      prefill: law("prefill"),
      decode: generates(model) ? law("decode") : null,
    },
    facts: [
      { label: "Family", value: model.modelType },
      { label: "Hidden size", value: String(model.hiddenSize) },
      { label: "Vocabulary", value: model.vocabularySize.toLocaleString("en-US") },
      ...description.layerKinds.map((kind) => ({ label: `${kind.count} layers`, value: kind.description })),
      {
        label: "Weights as published",
        value: `${bytes(description.weightBytes)} in ${description.quantised?.type ?? description.dtypes.weights}`,
      },
    ],
  };
}

/** Rates of a device, each with its source. */
export function deviceFacts(device: DeviceRecord): Fact[] {
  const peaks = Object.entries(device.peaks).map(([dtype, peak]) => ({
    label: `Peak, ${dtype}`,
    value: `${scientific(peak.value)} FLOP/s (${peak.source})`,
  }));
  return [
    ...peaks,
    { label: "Memory bandwidth", value: `${scientific(device.bandwidth.value)} bytes/s (${device.bandwidth.source})` },
    { label: "Memory", value: `${bytes(device.memory.value)} (${device.memory.source})` },
    { label: "Overhead per operator", value: `${showSeconds(device.launch.value)} (${device.launch.source})` },
  ];
}

/** A crossing whose ends may be missing. */
export function crossing(
  at: { readonly n: number; readonly low: number | null; readonly high: number | null } | null,
): Crossing | null {
  return at === null ? null : { n: at.n, low: at.low ?? 0, high: at.high ?? Number.POSITIVE_INFINITY };
}

/** Seconds of a curve by part of the model. */
export function partsPoint(curve: Curve, n: number): PartsPoint {
  const shares = splitAt(curve, n).parts;
  const seconds: Partial<Record<Part | "network", number>> = {};
  for (const part of [...allParts, "network"] as const) {
    const share = shares.find(({ name }) => name === part);
    if (share !== undefined) seconds[part] = share.seconds;
  }
  return { n, seconds };
}

/** Lengths from first to last, evenly spaced on a logarithmic axis, whole. */
export function geometric(first: number, last: number, perDoubling: number = density): number[] {
  const steps = Math.max(1, Math.ceil(Math.log2(last / first) * perDoubling));
  const lengths = Array.from({ length: steps + 1 }, (_, step) => Math.round(first * (last / first) ** (step / steps)));
  return [...new Set(lengths)];
}
