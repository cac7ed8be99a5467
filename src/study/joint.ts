import { type JointFit, type JointPoint, fitJoint } from "../fit/index.js";
import type { SampleSet, Series } from "../runs/import/types.js";
import type { FitDocument } from "./documents/fit.js";

/** Beyond the deepest measured depth the law is told at these multiples of it. */
const deeper = [2, 4];
const parameterCount = 4;
/** Lengths and depths that are shown; those between say nothing else. */
const mostShown = 8;

/** All prefills of a file by both of their lengths: each pair once, whichever sweep it is told by. */
function pointsOf({ series }: Pick<SampleSet, "series">, batch: number): JointPoint[] {
  const own = series.filter((one) => one.phase === "prefill" && one.batch === batch);
  const sweeps = [...own].sort((left, right) => (left.axis === right.axis ? 0 : left.axis === "length" ? -1 : 1));
  const seen = new Map<string, Series>();
  return sweeps.flatMap((sweep) =>
    sweep.points.flatMap(({ n: at, seconds, block }) => {
      const n = sweep.axis === "length" ? at : sweep.fixed;
      const cached = sweep.axis === "length" ? sweep.fixed : at - sweep.fixed;
      const key = `${n} ${cached}`;
      const first = seen.get(key) ?? sweep;
      seen.set(key, first);
      return first === sweep ? [{ n, cached, seconds, ...(block === undefined ? {} : { block }) }] : [];
    }),
  );
}

function distinct(values: readonly number[]): number[] {
  return [...new Set(values)].sort((left, right) => left - right);
}

/** At most some of the values, evenly over their order, the first and the last among them. */
function thinned(values: readonly number[]): number[] {
  if (values.length <= mostShown) return [...values];
  const stride = (values.length - 1) / (mostShown - 1);
  return Array.from({ length: mostShown }, (_, i) => values[Math.round(i * stride)] ?? 0);
}

/**
 * The law of prefills over new and cached tokens together; null where the samples have one depth, or too few pairs of
 * lengths to tell it.
 */
export function jointDocument(
  set: Pick<SampleSet, "series">,
  batch: number,
  options: { readonly level: number; readonly assumedNoise?: number; readonly at?: readonly number[] },
): NonNullable<FitDocument["joint"]> | null {
  const points = pointsOf(set, batch);
  const lengths = distinct(points.map(({ n }) => n));
  const depths = distinct(points.map(({ cached }) => cached));
  const cells = new Set(points.map(({ n, cached }) => `${n} ${cached}`)).size;
  if (lengths.length < 2 || depths.length < 2 || cells <= parameterCount) return null;
  const fit: JointFit = fitJoint(points, options);
  const deepest = depths.at(-1) ?? 0;
  const asked = options.at ?? thinned(lengths);
  const { constant, linear, quadratic, perCached } = fit.coefficients;
  return {
    expression: fit.expression,
    coefficients: {
      constant: { ...constant },
      linear: { ...linear },
      quadratic: { ...quadratic },
      perCached: { ...perCached },
    },
    samples: fit.samples,
    discrepancy: fit.discrepancy,
    predictions: asked.flatMap((n) =>
      [...thinned(depths), ...deeper.map((factor) => factor * deepest)].map((cached) => ({
        ...fit.predict(n, cached),
      })),
    ),
    residuals: fit.residuals.map((residual) => ({ ...residual })),
  };
}
