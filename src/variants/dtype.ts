import type { Dtype } from "../base/units.js";
import type { ModelDescription } from "../model/types.js";

/** The same model in another number format: weights, cache and activations alike. */
export function withDtype(model: ModelDescription, dtype: Dtype): ModelDescription {
  return { ...model, dtypes: { ...model.dtypes, weights: dtype, kv: dtype, activations: dtype } };
}
