import type { Dtype } from "../base/units.js";
import type { FileType } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";

/** The same model in another number format: weights, cache and activations alike. */
export function withDtype(model: ModelDescription, dtype: Dtype): ModelDescription {
  const { storage: _storage, ...plain } = model;
  return { ...plain, dtypes: { ...model.dtypes, weights: dtype, kv: dtype, activations: dtype } };
}

/** The same model with its weights as a GGUF file of this type has them; cache and activations are float16. */
export function withFileType(model: ModelDescription, type: FileType): ModelDescription {
  const [, bits = "8"] = /(\d)/.exec(type) ?? [];
  const weights: Dtype = type === "MXFP4" ? "float4" : Number(bits) <= 5 ? "int4" : "int8";
  return {
    ...model,
    dtypes: { weights, kv: "float16", activations: "float16" },
    storage: { kind: "file-type", type },
  };
}
