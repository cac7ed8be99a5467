import { tokens } from "../base/format.js";
import { buildGraph } from "../graph/index.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import { longestThatFits, memoryCurve } from "../predict/memory.js";
import type { FitDocument } from "./documents/fit.js";

/** What samples were measured with. */
export interface Known {
  readonly model: ModelDescription;
  /** Null where nobody knows the machine. */
  readonly device: DeviceRecord | null;
}

/**
 * What the model and its device know to end between the longest length measured and the furthest asked for: a window beyond
 * which time grows otherwise, the lengths that the model was made for, the memory.
 */
export function beyondWarnings(
  { model, device }: Known,
  batch: number,
  to: number,
  furthest: number,
): FitDocument["warnings"] {
  const graph = buildGraph(model, { phase: "prefill", attention: "fused", head: "last" });
  const between = (n: number | null): n is number => n !== null && n >= to && n < furthest;
  const spans = graph.instances.flatMap(({ block }) => [...block.caches.values()].flatMap(({ span }) => span ?? []));
  const windows = spans.flatMap((span) =>
    span.kind === "window" || span.kind === "chunk" || span.kind === "chosen" ? span.size : [],
  );
  const window = Math.min(...windows.filter(between));
  const warnings: FitDocument["warnings"] = [];
  if (Number.isFinite(window)) {
    warnings.push({
      code: "window-passed",
      message: `layers of ${model.name} attend to ${tokens(window)} tokens at most: beyond it the time grows otherwise than in the samples, which the model's own operators know and the samples do not`,
    });
  }
  if (between(model.contextLength)) {
    warnings.push({
      code: "context-passed",
      message: `${model.name} was made for ${tokens(model.contextLength)} tokens: beyond it the time is told, its output is not to be trusted`,
    });
  }
  const longest = device === null ? null : longestThatFits(memoryCurve(graph, batch), device.memory.value);
  if (device !== null && between(longest)) {
    const dtype = model.dtypes.weights;
    warnings.push({
      code: "memory-limit",
      message: `weights in ${dtype}, cache and activations fill the memory of ${device.name} at ${tokens(longest)} tokens: longer ones do not run there as they were measured`,
    });
  }
  return warnings;
}
