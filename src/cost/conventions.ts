/**
 * What is counted, as options: every number another tool prints can be reproduced by saying how it counts.
 */
export interface Conventions {
  /** `exact`: a causal query at position i sees i keys. `full`: the whole n × (n + c) rectangle, windows ignored. */
  readonly causal: "exact" | "full";
  /** FLOPs of one multiply-add. */
  readonly mac: 1 | 2;
}

export const defaultConventions: Conventions = { causal: "exact", mac: 2 };
