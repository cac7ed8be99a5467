import type { Seconds } from "../base/units.js";
import { posteriorSpread, robustFit } from "../math/robust-fit.js";
import { type Fits, type KernelKind, type MixerKind, mixerKinds, parameterNames } from "./kernel-rows.js";
import {
  type AttentionFit,
  type DecodeFit,
  type GemmFit,
  type MixerFit,
  attentionSeconds,
  decodeSeconds,
  gemmSeconds,
  mixerSeconds,
} from "./kernels.js";

/** A timed kernel beside what its device's data sheet says of it. */
export interface TimedKernel {
  readonly kind: KernelKind;
  readonly seconds: Seconds;
  /** Seconds of its FLOPs at the peak, of its bytes at the full bandwidth (mixers: of its operators), of casting its input (products). */
  readonly peak: Seconds;
  readonly memory: Seconds;
  readonly cast: Seconds;
  /** Sides of a product. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Of attention: queries of a sequence, heads and key-value heads of all sequences, width of keys and values together. */
  readonly queries: number;
  readonly heads: number;
  readonly readers: number;
  readonly width: number;
}

/** Parameters of one kind of kernels by name. */
export type NamedParameters = Readonly<Record<string, number>>;

/** Seconds of a kernel of these parameters. */
export function kernelSeconds(kind: KernelKind, parameters: NamedParameters, timed: TimedKernel): Seconds {
  const fit: unknown = parameters;
  const { peak, memory } = timed;
  switch (kind) {
    case "gemm": {
      const own = fit as GemmFit;
      return own.overhead + gemmSeconds(own, peak, memory, timed.cast, timed.m, timed.n, timed.k);
    }
    case "attention": {
      const own = fit as AttentionFit;
      return own.overhead + attentionSeconds(own, peak, memory, timed.queries, timed.heads, timed.width);
    }
    case "delta-heads":
    case "delta-channels":
    case "decay": {
      const own = fit as MixerFit;
      return own.overhead + mixerSeconds(own, memory, timed.queries);
    }
    case "decode": {
      const own = fit as DecodeFit;
      return own.overhead + decodeSeconds(own, peak, memory, timed.readers);
    }
  }
}

function forMixers<Value>(value: Value): Record<MixerKind, Value> {
  return Object.fromEntries(mixerKinds.map((kind) => [kind, value])) as Record<MixerKind, Value>;
}

const usualMixer: MixerFit = { overhead: 20e-6, slow: 2, chain: 5e-8 };
/** What kernels of a kind do on some device, where nothing closer is known. */
const usual: { readonly [Kind in KernelKind]: Fits[Kind] } = {
  gemm: { overhead: 6e-6, compute: 0.75, bandwidth: 0.8, small: 0.03, cast: 1.5, sustained: 0.1 },
  attention: { overhead: 12e-6, compute: 0.6, small: 2, few: 0.5, softmax: 0.5 },
  decode: { overhead: 10e-6, bandwidth: 0.85, few: 1 },
  ...forMixers(usualMixer),
};
const mixerSpread = { overhead: 0.7, slow: 0.5, chain: 0.5 };
/** Standard deviation of parameters about those of a device's class: of their logarithms, but for `sustained`. */
const aboutClass: Readonly<Record<KernelKind, NamedParameters>> = {
  gemm: { overhead: 0.7, compute: 0.3, bandwidth: 0.2, small: 0.5, cast: 0.7, sustained: 0.1 },
  attention: { overhead: 0.7, compute: 0.4, small: 1, few: 1, softmax: 0.5 },
  decode: { overhead: 0.7, bandwidth: 0.25, few: 1 },
  ...forMixers(mixerSpread),
};
/** Where hundreds of timings decide: of the logarithms, and of `sustained`. */
const wide = 2;
const wideSustained = 0.3;
const shares = new Set(["compute", "bandwidth"]);
/** What large kernels rest on. */
const rates = new Set([...shares, "slow"]);
/** No kernel passes the data sheet: what seems to is a table made with warm caches. */
const largestShare = 0.99;

function parameter(name: string, value: number): number {
  if (name === "sustained") return Math.max(0, value);
  return shares.has(name) ? Math.min(largestShare, Math.exp(value)) : Math.exp(value);
}

export interface FittedParameters {
  readonly parameters: NamedParameters;
  /** Standard deviation that the timings leave of the shares of the peaks, in logarithms: the least of them. */
  readonly open: number;
}

/**
 * Parameters of kernels fitted to timings of one device: about those of its class, or, where that is null, free.
 */
export function fitParameters(
  kind: KernelKind,
  timings: readonly TimedKernel[],
  ofClass: NamedParameters | null,
): FittedParameters {
  const names: readonly string[] = parameterNames[kind];
  const common: NamedParameters = { ...usual[kind] };
  const start = names.map((name) => {
    const value = ofClass?.[name] ?? common[name] ?? 0;
    if (name === "sustained") return value;
    return Math.log(value > 0 ? value : (common[name] ?? 1));
  });
  const spread = names.map((name) =>
    ofClass === null ? (name === "sustained" ? wideSustained : wide) : (aboutClass[kind][name] ?? 1),
  );
  const parametersOf = (theta: readonly number[]): NamedParameters =>
    Object.fromEntries(names.map((name, i) => [name, parameter(name, theta[i] ?? 0)]));
  const residuals = (theta: readonly number[]): number[] => {
    const parameters = parametersOf(theta);
    return timings.map((timed) => Math.log(kernelSeconds(kind, parameters, timed) / timed.seconds));
  };
  const options = { start, spread };
  const theta = robustFit(residuals, options);
  const left = posteriorSpread(residuals, theta, options);
  return {
    parameters: parametersOf(theta),
    open: Math.min(...names.flatMap((name, i) => (rates.has(name) ? [left[i] ?? 1] : []))),
  };
}
