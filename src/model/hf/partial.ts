import { denseReaders } from "./dense.js";
import type { JsonObject } from "./json.js";
import type { Reader } from "./reader.js";

/** What costs little and may be missing; sizes are never filled in. */
export const partialDefaults: JsonObject = {
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  hidden_act: "silu",
  attention_bias: false,
  mlp_bias: false,
  tie_word_embeddings: false,
};

/** A decoder that is not understood, as far as its sizes go: full attention, gated network, nothing else. */
export const readPartial: Reader = (config) => {
  config.note(
    `partial: model_type ${config.family.slice(0, 40)} is not understood; priced as a plain decoder of its sizes, ` +
      "full causal attention and a gated FFN in every layer",
  );
  const { llama } = denseReaders;
  if (llama === undefined) throw new Error("llama is a dense family");
  return llama(config);
};
