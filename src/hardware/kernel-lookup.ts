import type { Dtype } from "../base/units.js";
import { classEfficiency } from "./efficiency.js";
import { type Bits, type Fits, type KernelKind, bitsOf } from "./kernel-rows.js";
import { type PooledFit, kernelFits } from "./kernel-tables.js";
import type { DeviceRecord } from "./record.js";

/** A kernel's parameters on a device, how sure they are, and what they rest on. */
export interface Found<Fit> {
  readonly fit: Fit;
  /** Standard deviation of log seconds. */
  readonly spread: number;
  /** `kernels`: this device's own tables. `class`: other devices'. */
  readonly basis: "kernels" | "class";
  /** Most tokens, or rows of a product, among this device's own timings. */
  readonly longest?: number;
}

/** Tables of other engines are taken where an engine has none of its own, in this order. */
const engines = ["vllm", "tensorrt-llm", "sglang", "other"] as const;

/** Fits of other engines' kernels say a little less of this one's. */
const otherEngineSpread = 0.08;
/** So do those of a device of another class. */
const otherClassSpread = 0.15;

const known = new Map<string, Found<Fits[KernelKind]>>();

/** Parameters of a kind of kernel on a device under an engine's kernels. */
export function kernelOn<Kind extends KernelKind>(
  kind: Kind,
  device: DeviceRecord,
  engine: string,
  dtype: Dtype,
): Found<Fits[Kind]> {
  const bits = bitsOf(dtype);
  const fitted = device.fitted?.kernels.find((one) => one.kind === kind && one.bits === bits);
  if (fitted !== undefined)
    return { fit: fitted.fit as Fits[Kind], spread: fitted.spread, basis: "kernels", longest: fitted.longest };
  const key = `${kind} ${device.name} ${device.class} ${engine} ${bits}`;
  const found = known.get(key) ?? lookUp(kind, device, engine, bits, dtype);
  if (known.size > mostKnown) known.clear();
  known.set(key, found);
  return found as Found<Fits[Kind]>;
}

/** Records of users come and go. */
const mostKnown = 5000;

function lookUp(
  kind: KernelKind,
  device: DeviceRecord,
  engine: string,
  bits: Bits,
  dtype: Dtype,
): Found<Fits[KernelKind]> {
  const own = kernelFits.devices.filter((one) => one.kind === kind && one.bits === bits && one.device === device.name);
  const order = [engine, ...engines.filter((name) => name !== engine)];
  for (const name of order) {
    const exact = own.find((one) => one.engine === name);
    if (exact === undefined) continue;
    const spread = name === engine ? exact.spread : Math.hypot(exact.spread, otherEngineSpread);
    return { fit: exact.fit, spread, basis: "kernels", longest: exact.longest };
  }
  const pooled = pooledFor(kind, device, bits);
  return pooled ?? { ...assumed(kind, device, dtype), basis: "class" };
}

/** The middle of the devices of its class, or of all GPUs; null where GPUs say nothing of it. */
function pooledFor(kind: KernelKind, device: DeviceRecord, bits: Bits): Found<Fits[KernelKind]> | null {
  if (device.class === "apple-gpu" || device.class === "cpu" || device.class === "accelerator") return null;
  const all = kernelFits.pooled.filter((one) => one.kind === kind && one.bits === bits);
  const same: PooledFit | undefined = all.find((one) => one.class === device.class);
  if (same !== undefined) return { fit: same.fit, spread: same.spread, basis: "class" };
  const any =
    all.find((one) => one.class === "any") ?? kernelFits.pooled.find((one) => one.kind === kind && one.class === "any");
  return any === undefined ? null : { fit: any.fit, spread: Math.hypot(any.spread, otherClassSpread), basis: "class" };
}

/** Parameters where no kernel tables exist: the class's percentiles over the roofline, and the device's own launches. */
function assumed(
  kind: KernelKind,
  device: DeviceRecord,
  dtype: Dtype,
): { readonly fit: Fits[KernelKind]; readonly spread: number } {
  const overhead = device.launch.value;
  const operators = kind === "gemm" ? "gemm" : kind === "attention" ? "attention" : "decode-attention";
  const { compute, bandwidth, logSpread } = classEfficiency(operators, device.class, dtype);
  const fit =
    kind === "gemm"
      ? { overhead, compute, bandwidth, small: 0, cast: 0 }
      : kind === "attention"
        ? { overhead, compute, small: 0, width: 0 }
        : { overhead, bandwidth, few: 0 };
  return { fit, spread: logSpread };
}
