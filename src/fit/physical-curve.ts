import { badInput } from "../base/errors.js";
import type { Centre } from "./noise.js";

/** One class of operators on a device: its seconds over n, and how far off they may be. */
export interface PhysicalComponent {
  readonly name: string;
  /** Predicted seconds at length n, before any fit. */
  readonly seconds: (n: number) => number;
  /** Prior standard deviation of log(true seconds / predicted seconds): 0.2 is about ±20 %. */
  readonly logSpread: number;
}

/**
 * T(n) = s · Σ θₖ tₖ(n), with log θₖ ~ Normal(0, logSpreadₖ²). The scale s is 1 on a device that is known, give or take
 * what a machine's speed moves by (`log s ~ Normal(0, logSpread²)`); where it is `free`, nothing is known of it before
 * the samples, and components are seconds in any unit.
 */
export interface PhysicalCurve {
  readonly components: readonly PhysicalComponent[];
  readonly scale?: "free" | { readonly logSpread: number };
  /**
   * How far the components miss a single length beyond what they miss all lengths by, as the standard deviation of log
   * seconds; 0 where absent. Else a few percent that short lengths are off by would be carried to long ones many times over.
   */
  readonly perLength?: number;
}

/** Prior spread of the logarithm of a free scale: none to speak of, once the curve goes through the samples. */
const freeSpread = 10;

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function spreadsOf({ components, scale }: PhysicalCurve): number[] {
  const own = components.map(({ logSpread }) => logSpread);
  return scale === undefined ? own : [...own, scale === "free" ? freeSpread : scale.logSpread];
}

export function partsAt({ components }: PhysicalCurve, logFactors: readonly number[], n: number): number[] {
  const scale = logFactors[components.length] ?? 0;
  return components.map((component, k) => Math.exp((logFactors[k] ?? 0) + scale) * component.seconds(n));
}

/** d log T / d log θ: the share of each component, and 1 for the scale. */
export function slopesOf(parts: readonly number[], { scale }: PhysicalCurve): number[] {
  const total = sum(parts);
  return [...parts.map((part) => part / total), ...(scale === undefined ? [] : [1])];
}

/** The curve, its scale where free such that it goes through the samples on average. */
export function scaledToSamples(curve: PhysicalCurve, centres: readonly Centre[]): PhysicalCurve {
  if (curve.scale !== "free") return curve;
  const whole = (n: number) => sum(curve.components.map(({ seconds }) => seconds(n)));
  const level = sum(centres.map(({ n, logSeconds }) => logSeconds - Math.log(whole(n)))) / centres.length;
  const factor = Math.exp(level);
  const components = curve.components.map((one) => ({ ...one, seconds: (n: number) => factor * one.seconds(n) }));
  return { ...curve, components };
}

/** @throws NsquaredError on components without seconds or spread */
export function checkCurve(curve: PhysicalCurve, centres: readonly Centre[]): void {
  if (curve.components.length === 0) {
    throw badInput("no-components", { key: "components", found: 0, expected: "at least one component" });
  }
  for (const { name, seconds, logSpread } of curve.components) {
    if (!(logSpread > 0 && logSpread < 10)) {
      throw badInput("bad-spread", {
        key: `${name}.logSpread`,
        found: logSpread,
        expected: "a spread between 0 and 10",
      });
    }
    for (const { n } of centres) {
      const value = seconds(n);
      if (!(value >= 0 && Number.isFinite(value))) {
        throw badInput("bad-component", {
          key: `${name}.seconds(${n})`,
          found: value,
          expected: "seconds, not negative",
        });
      }
    }
  }
  for (const { n } of centres) {
    if (!curve.components.some(({ seconds }) => seconds(n) > 0)) {
      throw badInput("empty-curve", { key: `seconds(${n})`, found: 0, expected: "a component that takes time there" });
    }
  }
}
