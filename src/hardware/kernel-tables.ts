import { deviceRows, pooledRows } from "./kernel-fits.js";
import type { Bits, Fits, KernelKind, Parameters } from "./kernel-rows.js";
import type { DeviceClass } from "./record.js";

/** Of one device's kernels under one engine. `spread` is the standard deviation of log seconds about the fit. */
interface DeviceFit {
  readonly kind: KernelKind;
  readonly bits: Bits;
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
  readonly bits: Bits;
  readonly class: DeviceClass | "any";
  readonly spread: number;
  readonly fit: Fits[KernelKind];
}

function fitOf(
  kind: KernelKind,
  [overhead, first = 0, second = 0, third = 0, fourth = 0]: Parameters,
): Fits[KernelKind] {
  const start = { overhead: overhead / 1e6 };
  switch (kind) {
    case "gemm":
      return { ...start, compute: first, bandwidth: second, small: third, cast: fourth };
    case "attention":
      return { ...start, compute: first, small: second, width: third };
    case "decode":
      return { ...start, bandwidth: first, few: second };
  }
}

/** Fitted to published kernel timings by `npm run fit-kernels`. */
export const kernelFits: { readonly devices: readonly DeviceFit[]; readonly pooled: readonly PooledFit[] } = {
  devices: deviceRows.map(([kind, bits, device, engine, longest, spread, parameters]) => ({
    kind,
    bits,
    device,
    engine,
    longest,
    spread,
    fit: fitOf(kind, parameters),
  })),
  pooled: pooledRows.map(([kind, bits, name, spread, parameters]) => ({
    kind,
    bits,
    class: name,
    spread,
    fit: fitOf(kind, parameters),
  })),
};
