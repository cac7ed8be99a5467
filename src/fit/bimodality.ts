import { twoModes } from "../math/modes.js";

/** Two clusters of repeats: the machine does one of two things. */
export interface Bimodality {
  /** Share of samples in the slower mode. */
  readonly share: number;
  /** Seconds of the slower mode over the faster. */
  readonly ratio: number;
}

/**
 * Whether log residuals fall into two separated clusters.
 *
 * @param residuals log residuals about any centre of their own length, pooled over lengths
 */
export function bimodalityOf(residuals: readonly number[]): Bimodality | null {
  const modes = twoModes(residuals, 0);
  return modes === null ? null : { share: modes.upperShare, ratio: Math.exp(modes.distance) };
}
