/** One prefill as a run has it. */
export interface DiagnosedSample {
  /** Tokens of the prompt. */
  readonly n: number;
  readonly seconds: number;
  /** The server's own seconds of the prefill, where it tells them. */
  readonly serverSeconds: number | null;
  /** Tokens of the prompt that the server says it found in a cache. */
  readonly cachedTokens: number | null;
  /** When it was measured, in seconds since the run began; null where the file does not say. */
  readonly at: number | null;
}
