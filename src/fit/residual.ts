import type { Centre } from "./noise.js";

/** A length as it was measured, beside the law. */
export interface Residual {
  readonly n: number;
  /** Robust centre of the samples at n. */
  readonly seconds: number;
  /** The law at n. */
  readonly law: number;
  /** seconds over law. */
  readonly ratio: number;
  readonly samples: number;
}

export function residualsOf(centres: readonly Centre[], law: (n: number) => number): Residual[] {
  return centres.map(({ n, logSeconds, count }) => {
    const seconds = Math.exp(logSeconds);
    return { n, seconds, law: law(n), ratio: seconds / law(n), samples: count };
  });
}
