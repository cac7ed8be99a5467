/** Help texts that several commands share. */
export const modelArgument =
  "a built-in name (SmolLM2-135M), a config.json, a model folder, a GGUF file, a spec, an address, or a Hugging Face id (org/name)";
