import { type Dtype, bytesPerElement, dtypes } from "../base/units.js";
import { type FileType, fileTypes } from "../model/storage.js";
import type { LoadedModel } from "../model/stored.js";
import type { ModelDescription } from "../model/types.js";

/** The same model in another number format: weights, cache and activations alike. */
export function withDtype(model: ModelDescription, dtype: Dtype): ModelDescription {
  const { storage: _storage, ...plain } = model;
  return { ...plain, dtypes: { ...model.dtypes, weights: dtype, kv: dtype, activations: dtype } };
}

/** Weights, cache and activations alike from 16 bits on; below, the weights alone, beside the model's own 16 bits. */
function withWeights(model: ModelDescription, dtype: Dtype): ModelDescription {
  if (bytesPerElement(dtype) >= 2) return withDtype(model, dtype);
  const own = model.dtypes.activations;
  const typed = withDtype(model, bytesPerElement(own) === 2 ? own : "bfloat16");
  return { ...typed, dtypes: { ...typed.dtypes, weights: dtype } };
}

/** The same model with its weights as a GGUF file of this type has them; cache and activations are float16. */
function withFileType(model: ModelDescription, type: FileType): ModelDescription {
  const [bits = "8"] = /\d/.exec(type) ?? [];
  const weights: Dtype = type === "MXFP4" ? "float4" : Number(bits) <= 5 ? "int4" : "int8";
  return {
    ...model,
    dtypes: { weights, kv: "float16", activations: "float16" },
    storage: { kind: "file-type", type },
  };
}

/** Formats that a user may ask for: by the weights, and of the cache alone. */
export interface Formats {
  readonly dtype?: Dtype | FileType;
  readonly cacheDtype?: Dtype;
}

/** The model in the formats that are asked for; those of its file where none is. */
export function inFormats(loaded: LoadedModel, { dtype, cacheDtype }: Formats): LoadedModel {
  // Weights in another format are not those of the file.
  const { stored: _stored, ...described } = loaded;
  const plain = dtypes.find((name) => name === dtype);
  const type = fileTypes.find((name) => name === dtype);
  const model =
    plain !== undefined ? withWeights(described, plain) : type !== undefined ? withFileType(described, type) : loaded;
  return cacheDtype === undefined ? model : { ...model, dtypes: { ...model.dtypes, kv: cacheDtype } };
}
