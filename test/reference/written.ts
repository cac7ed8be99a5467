import { countParameters, countUnrun } from "../../src/cost/parameters.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";

/** A config.json written out in a test. */
export type Config = Readonly<Record<string, unknown>>;

export function described(config: Config): ModelDescription {
  return readConfig(config, "config.json", "config");
}

/** Parameters that text runs through, towers included. */
export function parametersOf(config: Config): number {
  return countParameters(buildGraph(described(config))).total;
}

/** Parameters of the checkpoint: with layers for prediction and what nothing uses. */
export function checkpointOf(config: Config): number {
  const { prediction, buffers } = countUnrun(described(config));
  return parametersOf(config) + prediction + buffers;
}

/** Sizes of a small decoder without biases, to be read as several families. */
export const smallDecoder: Config = {
  architectures: ["ForCausalLM"],
  hidden_act: "silu",
  hidden_size: 128,
  intermediate_size: 256,
  num_attention_heads: 4,
  num_hidden_layers: 2,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  vocab_size: 1000,
};
