import { type Dtype, bytesPerElement } from "../base/units.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype } from "../hardware/roofline.js";
import type { ModelDescription } from "../model/types.js";

/** Number formats asked for; the model's own where null. */
export interface Formats {
  /** Of the weights; what else follows from it is in `withFormats`. */
  readonly dtype: Dtype | null;
  /** Of keys, values and latents in the cache. */
  readonly kvDtype: Dtype | null;
  /** Of activations; below 16 bits only as operands of products with weights. */
  readonly activationDtype: Dtype | null;
}

export const ownFormats: Formats = { dtype: null, kvDtype: null, activationDtype: null };

/** A model in the formats that a deployment runs it in. */
export interface Formatted {
  readonly model: ModelDescription;
  /** What was asked for, in one word: what `dtype` of a prediction names. */
  readonly dtype: Dtype;
  /** What activations are cast to before products with weights; null where they stay as they are. */
  readonly operands: Dtype | null;
}

const narrow = (dtype: Dtype): boolean => bytesPerElement(dtype) < 2;

/**
 * The model in other number formats, as engines take them. 16 bits and more: weights, cache and activations alike. 8 bits:
 * weights, and activations cast to the same before products with them (W8A8); cache and the rest stay at 16 bits. 4
 * bits: weights alone (W4A16), but float4 products where the device has them. `kvDtype` and `activationDtype`
 * override. A calibrated machine runs in what it was measured in.
 */
export function withFormats(model: ModelDescription, device: DeviceRecord, formats: Formats): Formatted {
  const { dtype, kvDtype, activationDtype } = formats;
  const measured = device.calibration?.dtype;
  const own = model.dtypes;
  const weights = measured ?? dtype ?? own.weights;
  const stream =
    measured ??
    (activationDtype !== null && !narrow(activationDtype)
      ? activationDtype
      : dtype !== null && !narrow(dtype)
        ? dtype
        : narrow(weights)
          ? halfOf(own.activations)
          : own.activations);
  const all = { weights, kv: measured ?? kvDtype ?? (dtype === null ? own.kv : stream), activations: stream };
  const operands = measured === undefined ? operandsOf(device, weights, dtype, activationDtype) : null;
  return { model: { ...model, dtypes: all }, dtype: measured ?? dtype ?? own.activations, operands };
}

function halfOf(dtype: Dtype): Dtype {
  return bytesPerElement(dtype) === 2 ? dtype : "bfloat16";
}

function operandsOf(device: DeviceRecord, weights: Dtype, dtype: Dtype | null, asked: Dtype | null): Dtype | null {
  if (asked !== null) return narrow(asked) ? asked : null;
  if (dtype === null) return null;
  if (weights === "float8" || weights === "int8") return weights;
  return weights === "float4" && computeDtype(device, "float4") === "float4" ? "float4" : null;
}
