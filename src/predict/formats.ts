import { type Dtype, bytesPerElement, dtypes } from "../base/units.js";
import { runtimeOf } from "../hardware/calibrated-runtime.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype } from "../hardware/roofline.js";
import { type FileType, fileTypes, withoutCasts } from "../model/storage.js";
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
  const { dtype, activationDtype } = formats;
  if (device.calibration !== null) {
    const filed = runtimeOf(device.calibration).keepsWeights ? fileTypes.find((type) => type === dtype) : undefined;
    const file = filed === undefined ? model : typedModel(model, { ...ownFormats, dtype: filed });
    return { model: asCalibrated(file, device), dtype: filed ?? device.calibration.dtype, operands: null };
  }
  return {
    model: typedModel(model, formats),
    dtype: dtype ?? model.dtypes.activations,
    operands: operandsOf(device, plainOf(dtype), activationDtype),
  };
}

/**
 * The model in the formats that a calibrated machine runs it in: those it was measured in, save where its runtime keeps the
 * weights of a GGUF file. As it is where nothing was measured.
 */
export function asCalibrated(model: ModelDescription, { calibration }: DeviceRecord): ModelDescription {
  if (calibration === null) return model;
  const { dtype } = calibration;
  const kind = model.storage?.kind;
  if (!runtimeOf(calibration).keepsWeights || (kind !== "gguf" && kind !== "file-type")) {
    return typedModel(model, { ...ownFormats, dtype });
  }
  return remembered(model, `${dtype} beside a file's weights`, () => {
    return { ...model, dtypes: { weights: model.dtypes.weights, kv: dtype, activations: dtype } };
  });
}

const plainOf = (dtype: Formats["dtype"]): Dtype | null => dtypes.find((name) => name === dtype) ?? null;

const known = new WeakMap<ModelDescription, Map<string, ModelDescription>>();

/** The same object for the same formats, so that what is made of it once serves all devices. */
function remembered(model: ModelDescription, key: string, make: () => ModelDescription): ModelDescription {
  const models = known.get(model) ?? new Map<string, ModelDescription>();
  known.set(model, models);
  const made = models.get(key) ?? make();
  models.set(key, made);
  return made;
}

function typedModel(model: ModelDescription, formats: Formats): ModelDescription {
  const { dtype, kvDtype, activationDtype } = formats;
  if (dtype === null && kvDtype === null && activationDtype === null) return model;
  return remembered(model, `${dtype} ${kvDtype} ${activationDtype}`, () => inFormatsOf(model, formats));
}

function inFormatsOf(model: ModelDescription, { dtype, kvDtype, activationDtype }: Formats): ModelDescription {
  const typed = dtype === null ? model : inFormats(model, { dtype });
  const { weights, kv, activations } = typed.dtypes;
  const wide = activationDtype !== null && !narrow(activationDtype);
  return {
    ...typed,
    dtypes: { weights, kv: kvDtype ?? kv, activations: wide ? activationDtype : activations },
    ...(wide && typed.storage?.kind === "quantised" ? { storage: withoutCasts(typed.storage) } : {}),
  };
}

function operandsOf(device: DeviceRecord, weights: Dtype | null, asked: Dtype | null): Dtype | null {
  if (asked !== null) return narrow(asked) ? asked : null;
  const multiplied = weights === "float8" || weights === "int8" || weights === "float4";
  return multiplied && computeDtype(device, weights) === weights ? weights : null;
}
