import type { Weight } from "../types.js";

/** Bits per element of the weight with this name in this scope, or null where it is stored in its plain format. */
export type BitsOf = (scope: string, name: string, weight: Weight) => number | null;

/** What a file says of one weight; null where it is stored in its plain format. */
export type StoredAs = Pick<Weight, "bits" | "format" | "operands"> | null;
