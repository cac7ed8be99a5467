import { badInput } from "../base/errors.js";
import type { Point } from "./points.js";

/** What one measured point says of other lengths under one assumption. */
export interface Scenario {
  readonly name: string;
  /** The assumption in words. */
  readonly assumption: string;
  readonly seconds: (n: number) => number;
}

/** A shape of T(n) that is known from elsewhere, such as a model's own mix of linear and quadratic work. */
export interface KnownShape {
  readonly name: string;
  readonly assumption: string;
  /** Any multiple of seconds at n. */
  readonly seconds: (n: number) => number;
}

/**
 * One point is no fit: the answers under different assumptions, side by side.
 *
 * @param shapes further shapes to scale through the point
 * @throws NsquaredError where the point's length or time is not positive
 */
export function scenariosOf(point: Point, shapes: readonly KnownShape[] = []): Scenario[] {
  const { n, seconds } = point;
  if (!(n > 0 && Number.isFinite(n)))
    throw badInput("bad-length", { key: "n", found: n, expected: "a length of 1 token or more" });
  if (!(seconds > 0 && Number.isFinite(seconds))) {
    throw badInput("bad-seconds", { key: "seconds", found: seconds, expected: "a positive number of seconds" });
  }
  const power = (exponent: number) => (length: number) => seconds * (length / n) ** exponent;
  return [
    { name: "linear", assumption: "all time grows with the length", seconds: power(1) },
    { name: "quadratic", assumption: "all time grows with the square of the length", seconds: power(2) },
    ...shapes.map((shape) => ({
      name: shape.name,
      assumption: shape.assumption,
      seconds: (length: number) => (seconds * shape.seconds(length)) / shape.seconds(n),
    })),
  ];
}
