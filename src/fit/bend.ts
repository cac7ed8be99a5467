import { type BasisFit, fitBasis, type Observation } from "./basis-fit.js";

/** Places of the bend and exponents that are tried. */
const places = 24;
const exponentStep = 0.05;
/** A steeper power than this is as good as a square. */
const steepest = 1.75;
/** Both bends have four free values, their searched shape among them: with fewer lengths than this some bend fits any curve. */
const fewestLengths = 5;

function best(fits: readonly BasisFit[]): BasisFit | null {
  return fits.reduce<BasisFit | null>(
    (least, fit) => (least === null || fit.chiSquare < least.chiSquare ? fit : least),
    null,
  );
}

/**
 * The two ways in which machines bend a curve without any square: two straight lines that meet at a length (activations
 * that leave a cache), and a constant beside a power between 1 and 2 (a cache that is left bit by bit). Each is the best of
 * its kind; none where there are too few lengths to rule one out.
 */
export function bendsOf(observations: readonly Observation[]): BasisFit[] {
  if (observations.length < fewestLengths) return [];
  const from = observations[0]?.n ?? 1;
  const ratio = (observations.at(-1)?.n ?? from) / from;
  const lines = best(
    Array.from({ length: places - 1 }, (_, i) => {
      const place = from * ratio ** ((i + 1) / places);
      return fitBasis((n) => [1, n, Math.max(0, n - place)], observations);
    }),
  );
  const powers = best(
    Array.from({ length: Math.round((steepest - 1) / exponentStep) }, (_, i) => {
      const exponent = 1 + (i + 1) * exponentStep;
      return fitBasis((n) => [1, n ** exponent], observations);
    }),
  );
  return [lines, powers].flatMap((fit) => fit ?? []);
}
