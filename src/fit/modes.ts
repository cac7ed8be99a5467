/** Two clusters of repeats: the machine does one of two things. */
export interface Bimodality {
  /** Share of samples in the slower mode. */
  readonly share: number;
  /** Seconds of the slower mode over the faster. */
  readonly ratio: number;
}

/** Samples below which two clusters are not told from chance. */
const fewestSamples = 12;
/** Each mode must hold this share: less are outliers. */
const leastShare = 0.1;
const fewestInMode = 3;
/** Distance of the centres in standard deviations within the modes; two normal clusters separate from about 2 (Ashman 1994). */
const leastSeparation = 4.5;

/**
 * Whether log residuals fall into two separated clusters: the best split of the sorted values in two by the sum of squares
 * within (Jenks), which must be clearly narrower than their distance.
 *
 * @param residuals log residuals about any centre of their own length, pooled over lengths
 */
export function bimodalityOf(residuals: readonly number[]): Bimodality | null {
  const sorted = Float64Array.from(residuals).sort();
  const count = sorted.length;
  if (count < fewestSamples) return null;
  let all = 0;
  let squares = 0;
  for (const value of sorted) {
    all += value;
    squares += value * value;
  }
  let left = 0;
  let best = { between: 0, cut: 0, low: 0, high: 0 };
  for (let cut = 1; cut < count; cut += 1) {
    left += sorted[cut - 1] ?? 0;
    const low = left / cut;
    const high = (all - left) / (count - cut);
    const between = (cut * (count - cut) * (high - low) ** 2) / count;
    if (between > best.between) best = { between, cut, low, high };
  }
  const share = (count - best.cut) / count;
  const smaller = Math.min(best.cut, count - best.cut);
  if (smaller < Math.max(fewestInMode, leastShare * count)) return null;
  const within = squares - best.cut * best.low ** 2 - (count - best.cut) * best.high ** 2;
  const spread = Math.sqrt(Math.max(0, within) / (count - 2));
  if (best.high - best.low < leastSeparation * spread) return null;
  return { share, ratio: Math.exp(best.high - best.low) };
}
