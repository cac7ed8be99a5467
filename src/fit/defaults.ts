/** Relative noise that is assumed where there are no repeats. */
export const defaultNoise = 0.03;
/** Level of all intervals. */
export const defaultLevel = 0.95;
/** An interval wider than this factor says nothing that helps. */
export const widestUseful = 4;
