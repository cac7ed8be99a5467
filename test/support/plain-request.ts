import type { RequestFacts } from "../../src/runs/schema.js";

/** What a server's request says where the server says next to nothing. */
export const plainRequest: RequestFacts = {
  promptTokens: null,
  outputTokens: 1,
  cachedTokens: null,
  firstTokenSeconds: 0.02,
  endToEndSeconds: 0.02,
  tokenSeconds: null,
  medianGapSeconds: null,
  longestGapSeconds: null,
  serverPrefillSeconds: null,
  serverTokenSeconds: null,
  retries: 0,
  timedOut: false,
};
