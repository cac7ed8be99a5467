import { deviceRows, pooledRows } from "./kernel-fits.js";
import { type KernelFormat } from "./kernel-formats.js";
import { type Fits, type KernelKind, type Parameters, parameterNames } from "./kernel-rows.js";
import type { DeviceClass } from "./record.js";

/** Of one device's kernels under one engine. `spread` is the standard deviation of log seconds about the fit. */
interface DeviceFit {
  readonly kind: KernelKind;
  readonly format: KernelFormat;
  readonly device: string;
  readonly engine: string;
  /** Most tokens that were timed, or rows of a product. */
  readonly longest: number;
  readonly spread: number;
  readonly fit: Fits[KernelKind];
}

/** The middle of several devices; `spread` is that of large kernels on any of them. */
export interface PooledFit {
  readonly kind: KernelKind;
  readonly format: KernelFormat;
  /** Whose kernels they are, or `any`. */
  readonly engine: string;
  readonly class: DeviceClass | "any";
  readonly spread: number;
  readonly fit: Fits[KernelKind];
}

/** Parameters by their names. */
function fitOf(kind: KernelKind, values: Parameters): Fits[KernelKind] {
  const named: unknown = Object.fromEntries(
    parameterNames[kind].map((name, i) => [name, name === "overhead" ? values[0] / 1e6 : (values[i] ?? 0)]),
  );
  return named as Fits[KernelKind];
}

/** Fitted to published kernel timings by `npm run fit-kernels`. */
export const kernelFits: { readonly devices: readonly DeviceFit[]; readonly pooled: readonly PooledFit[] } = {
  devices: deviceRows.map(([kind, format, device, engine, longest, spread, parameters]) => ({
    kind,
    format,
    device,
    engine,
    longest,
    spread,
    fit: fitOf(kind, parameters),
  })),
  pooled: pooledRows.map(([kind, format, engine, name, spread, parameters]) => ({
    kind,
    format,
    engine,
    class: name,
    spread,
    fit: fitOf(kind, parameters),
  })),
};

/** Nearly all tables are of one vendor's devices; products on three of AMD's lie 50 % from what those say. */
export const tabledVendor = "NVIDIA";
export const otherVendorSpread = 0.35;
