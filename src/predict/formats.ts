import { type Dtype, bytesPerElement, dtypes } from "../base/units.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype } from "../hardware/roofline.js";
import { type FileType, withoutCasts } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";
import { inFormats } from "../variants/dtype.js";

/** Number formats asked for; the model's own where null. */
export interface Formats {
  /** Of the weights; what else follows from it is in `withFormats`. */
  readonly dtype: Dtype | FileType | null;
  /** Of keys, values and latents in the cache. */
  readonly kvDtype: Dtype | null;
  /** Of activations; below 16 bits only as operands of products with weights. */
  readonly activationDtype: Dtype | null;
}

export const ownFormats: Formats = { dtype: null, kvDtype: null, activationDtype: null };

/** A model in the formats that a deployment runs it in. */
export interface Formatted {
  readonly model: ModelDescription;
  /** What was asked for, in one word. */
  readonly dtype: Dtype | FileType;
  /** What activations are cast to before products with weights; null where they stay as they are. */
  readonly operands: Dtype | null;
}

const narrow = (dtype: Dtype): boolean => bytesPerElement(dtype) < 2;

/**
 * The model in other number formats, as engines take them. 16 bits and more: weights, cache and activations alike. 8 bits:
 * weights, and activations cast to the same before products with them (W8A8) where the device multiplies those, weights
 * alone where not; cache and the rest stay at 16 bits. 4 bits: weights alone (W4A16), but float4 products where the device has them. A GGUF file type: weights as llama.cpp
 * stores them, the rest float16. None asked for: as the file has it, a checkpoint's own casts included. `kvDtype` and `activationDtype` override. A calibrated machine runs in what it was
 * measured in.
 */
export function withFormats(model: ModelDescription, device: DeviceRecord, formats: Formats): Formatted {
  const measured = device.calibration?.dtype;
  const { dtype, activationDtype } = formats;
  const asked = measured === undefined ? formats : { dtype: measured, kvDtype: null, activationDtype: null };
  return {
    model: typedModel(model, asked),
    dtype: asked.dtype ?? model.dtypes.activations,
    operands: measured === undefined ? operandsOf(device, plainOf(dtype), activationDtype) : null,
  };
}

const plainOf = (dtype: Formats["dtype"]): Dtype | null => dtypes.find((name) => name === dtype) ?? null;

const known = new WeakMap<ModelDescription, Map<string, ModelDescription>>();

/** The same object for the same formats, so that what is made of it once serves all devices. */
function typedModel(model: ModelDescription, { dtype, kvDtype, activationDtype }: Formats): ModelDescription {
  if (dtype === null && kvDtype === null && activationDtype === null) return model;
  const key = `${dtype} ${kvDtype} ${activationDtype}`;
  const models = known.get(model) ?? new Map<string, ModelDescription>();
  known.set(model, models);
  const found = models.get(key);
  if (found !== undefined) return found;
  const typed = dtype === null ? model : inFormats(model, { dtype });
  const { weights, kv, activations } = typed.dtypes;
  const wide = activationDtype !== null && !narrow(activationDtype);
  const made: ModelDescription = {
    ...typed,
    dtypes: { weights, kv: kvDtype ?? kv, activations: wide ? activationDtype : activations },
    ...(wide && typed.storage?.kind === "quantised" ? { storage: withoutCasts(typed.storage) } : {}),
  };
  models.set(key, made);
  return made;
}

function operandsOf(device: DeviceRecord, weights: Dtype | null, asked: Dtype | null): Dtype | null {
  if (asked !== null) return narrow(asked) ? asked : null;
  const multiplied = weights === "float8" || weights === "int8" || weights === "float4";
  return multiplied && computeDtype(device, weights) === weights ? weights : null;
}
