/** What a choice among the tokens is made from: small queries and one small key per token. */
export interface Choice {
  /** [b, n, heads·dim]. */
  readonly queries: string;
  /** [b, 1, t, dim]; the last n of the t are the queries' own. */
  readonly keys: string;
  /** What each head counts, [b, n, heads], or null where all count the same. */
  readonly weights: string | null;
  readonly heads: number;
  readonly dim: number;
  /** Tokens that are chosen at most. */
  readonly chosen: number;
}
