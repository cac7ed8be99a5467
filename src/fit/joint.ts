import { badInput } from "../base/errors.js";
import { scientific } from "../base/format.js";
import { fisherUpperTail, studentQuantile } from "../math/distributions.js";
import { type BasisFit, extremesOf, fitBasis } from "./basis-fit.js";
import { defaultLevel, defaultNoise } from "./defaults.js";
import { discrepancyOf, levelError, misfitLevel, observationsOf } from "./judge.js";
import { type Centre, type Noise, poolNoise } from "./noise.js";
import type { LengthGroup } from "./points.js";
import type { Estimate } from "./polynomial.js";

/** One timed prefill: n new tokens after `cached` ones. */
export interface JointPoint {
  readonly n: number;
  readonly cached: number;
  readonly seconds: number;
  readonly block?: number;
}

/** What the law says of n new tokens after so many cached ones. */
export interface JointPrediction {
  readonly n: number;
  readonly cached: number;
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
  /** How far n, and n with the cached tokens, lie beyond the most that was measured: the larger ratio; 1 within. */
  readonly factor: number;
}

export interface JointResidual {
  readonly n: number;
  readonly cached: number;
  /** Robust centre of the samples. */
  readonly seconds: number;
  readonly law: number;
  readonly ratio: number;
  readonly samples: number;
}

/**
 * seconds = constant + linear·n + quadratic·(n² + 2·n·c) + perCached·c for n new tokens after c cached ones. The third term
 * is attention: its query–key pairs are n·c + n(n + 1)/2, so one coefficient tells both how a prompt grows and how it
 * continues. The fourth is what every step reads of the cache, however few its tokens.
 */
export interface JointFit {
  readonly coefficients: {
    readonly constant: Estimate;
    readonly linear: Estimate;
    readonly quadratic: Estimate;
    readonly perCached: Estimate;
  };
  readonly expression: string;
  readonly level: number;
  readonly samples: number;
  readonly noise: Pick<Noise, "relative" | "assumed">;
  /** Relative misfit of the law beyond the noise; it widens every interval. */
  readonly discrepancy: number;
  readonly residuals: readonly JointResidual[];
  readonly predict: (n: number, cached: number) => JointPrediction;
}

const rowOf = (n: number, cached: number): readonly number[] => [1, n, n * n + 2 * n * cached, cached];
const names = ["", "·n", "·(n² + 2·n·c)", "·c"];
const parameterCount = 4;

interface Cell {
  readonly n: number;
  readonly cached: number;
}

/**
 * The law of prefills over both of their lengths, fitted in log seconds with non-negative coefficients and
 * profile-likelihood intervals, as `fitLaw` does for one length.
 *
 * @param points at least five different pairs of lengths, with two different n and two different c among them
 * @throws NsquaredError `too-few-cells`
 */
export function fitJoint(
  points: readonly JointPoint[],
  options: { readonly level?: number; readonly assumedNoise?: number } = {},
): JointFit {
  const { level = defaultLevel, assumedNoise = defaultNoise } = options;
  const { cells, groups } = grouped(points);
  const differing = (of: (cell: Cell) => number): number => new Set(cells.map(of)).size;
  if (cells.length <= parameterCount || differing(({ n }) => n) < 2 || differing(({ cached }) => cached) < 2) {
    throw badInput("too-few-cells", {
      key: "pairs of new and cached tokens",
      found: cells.length,
      expected: `more than ${parameterCount}, with several lengths at several depths`,
    });
  }
  const pooled = poolNoise(groups, assumedNoise);
  const { noise } = pooled;
  // Laws of one variable know a sample by its length, this one by the number of its cell.
  const centres = pooled.centres.map((centre, index): Centre => ({ ...centre, n: index }));
  const fitted = (discrepancy: number): BasisFit =>
    fitBasis((index) => rowAt(cells, index), observationsOf(centres, discrepancy));
  const at = (fit: BasisFit, cell: Cell): number => dot(rowOf(cell.n, cell.cached), fit.beta);

  let fit = fitted(0);
  let discrepancy = 0;
  const spare = cells.length - parameterCount;
  const misfits = fisherUpperTail(fit.chiSquare / spare, spare, noise.degreesOfFreedom) < misfitLevel;
  const rounds = misfits ? 2 : 0;
  for (let round = 0; round < rounds; round += 1) {
    const now = fit;
    discrepancy = discrepancyOf({ seconds: (index) => dot(rowAt(cells, index), now.beta) }, centres, spare);
    fit = fitted(discrepancy);
  }
  const quantile = studentQuantile((1 + level) / 2, misfits ? spare : noise.degreesOfFreedom);
  const drift = levelError(pooled.drift, noise);
  const spread = Math.exp(quantile * drift);
  const estimate = (column: number): Estimate => {
    const unit = names.map((_, index) => (index === column ? 1 : 0));
    const { low, high } = extremesOf(fit, unit, quantile ** 2);
    return { value: fit.beta[column] ?? 0, low: Math.max(0, low) / spread, high: high * spread };
  };
  const most = {
    n: Math.max(...cells.map(({ n }) => n)),
    whole: Math.max(...cells.map(({ n, cached }) => n + cached)),
  };
  const final = fit;
  return {
    coefficients: { constant: estimate(0), linear: estimate(1), quadratic: estimate(2), perCached: estimate(3) },
    expression: expressionOf(fit.beta),
    level,
    samples: points.length,
    noise: { relative: noise.relative, assumed: noise.assumed },
    discrepancy,
    residuals: centres.map(({ logSeconds, count }, index): JointResidual => {
      const cell = cells[index] ?? { n: 1, cached: 0 };
      const [seconds, law] = [Math.exp(logSeconds), at(final, cell)];
      return { ...cell, seconds, law, ratio: seconds / law, samples: count };
    }),
    predict: (n, cached) => {
      const seconds = at(final, { n, cached });
      const range = extremesOf(final, rowOf(n, cached), quantile ** 2);
      const factor = Math.max(1, n / most.n, (n + cached) / most.whole);
      const untested = noise.assumed ? noise.relative : 0;
      const doublings = Math.log2(factor);
      const extra = quantile * Math.hypot(discrepancy * (1 + doublings), untested * doublings, drift);
      const reach = (bound: number): number => Math.hypot(Math.log(bound / seconds), extra);
      return {
        n,
        cached,
        seconds,
        low: seconds * Math.exp(-reach(range.low)),
        high: seconds * Math.exp(reach(range.high)),
        factor,
      };
    },
  };
}

function grouped(points: readonly JointPoint[]): { readonly cells: Cell[]; readonly groups: LengthGroup[] } {
  const found = new Map<string, { cell: Cell; logSeconds: number[]; blocks: (number | undefined)[] }>();
  for (const { n, cached, seconds, block } of points) {
    const key = `${n} ${cached}`;
    const group = found.get(key) ?? { cell: { n, cached }, logSeconds: [], blocks: [] };
    found.set(key, group);
    group.logSeconds.push(Math.log(seconds));
    group.blocks.push(block);
  }
  const all = [...found.values()];
  return {
    cells: all.map(({ cell }) => cell),
    // Noise may go with a power of the length: of all tokens that there are after the step.
    groups: all.map(({ cell, logSeconds, blocks }) => ({ n: cell.n + cell.cached, logSeconds, blocks })),
  };
}

function rowAt(cells: readonly Cell[], index: number): readonly number[] {
  const { n, cached } = cells[index] ?? { n: 1, cached: 0 };
  return rowOf(n, cached);
}

function dot(row: readonly number[], beta: readonly number[]): number {
  return row.reduce((sum, value, index) => sum + value * (beta[index] ?? 0), 0);
}

/** `0.02 + 4e-5·n + 4e-9·(n² + 2·n·c)`, zero terms left out. */
function expressionOf(beta: readonly number[]): string {
  const terms = beta.flatMap((value, index) => (value === 0 ? [] : [`${scientific(value)}${names[index] ?? ""}`]));
  return terms.length === 0 ? "0" : terms.join(" + ");
}
