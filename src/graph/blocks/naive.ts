import type { Expression } from "../../math/expression.js";
import type { ModuleBuilder } from "../module.js";
import type { AttentionShape } from "../types.js";

/** Attention that writes its scores to memory: scores, softmax, mixture. `output` names the value it makes. */
export function addScoresAndMix(
  module: ModuleBuilder,
  inputs: { readonly query: string; readonly key: string; readonly value: string },
  shape: AttentionShape,
  scoresShape: readonly Expression[],
  output: string,
): string {
  const { activations } = module.around.dtypes;
  const scores = module.add({
    kind: "scores",
    name: module.name("scores"),
    part: "attention",
    query: inputs.query,
    key: inputs.key,
    ...shape,
    output: module.block.value(module.name("scores"), scoresShape, activations),
  });
  const weights = module.add({
    kind: "softmax",
    name: module.name("softmax"),
    part: "attention",
    input: scores,
    output: module.block.value(module.name("weights"), scoresShape, activations),
  });
  return module.add({
    kind: "mix",
    name: module.name("mix"),
    part: "attention",
    weights,
    value: inputs.value,
    ...shape,
    output,
  });
}
