/** Ways in which real servers differ, or fail, that a client has to cope with. */
export const quirks = {
  comments: "SSE comments between events",
  crlf: "lines end with CR LF",
  "multi-line-data": "each event's JSON is spread over several data lines",
  "split-utf8": "network packets end in the middle of a character and of an event",
  "role-first": "the first chunk of a chat has a role and no content",
  "usage-every": "every chunk has usage, not only the last",
  "no-usage": "no usage in streams",
  "no-stream-options": "stream_options is refused as unknown",
  "several-tokens": "chunks hold three tokens each",
  "silent-first": "the first token has no text",
  reasoning: "the answer begins with reasoning, in a field of its own",
  "llama-timings": "llama.cpp's timings in the last chunk, and its progress through the prompt where that is asked for",
  "error-in-stream": "an error event inside a stream that began with status 200",
  cut: "the connection is cut in the middle of a stream",
  empty: "status 200 and no content at all",
  "rate-limited": "every third request is refused with 429 and Retry-After",
  unavailable: "every third request is refused with 503",
  truncates: "prompts are cut to 1,000 tokens, silently but for the count",
  "stops-early": "answers end after half of the wanted tokens",
  "no-token-ids": "prompts of token ids are refused",
  "short-tokens": "tokens of at most two letters: many words are two tokens",
  "no-ignore-eos": "ignore_eos and min_tokens are refused as unknown",
  "no-stream": "streaming is refused",
  "unnamed-limit": "/models does not name the context limit",
  "no-tokenize": "there is no /tokenize",
  "no-completions": "only chats are served",
  "no-cache": "no prefix cache",
  "reports-cached": "usage names the prompt's cached tokens",
  html: "every answer is a web page",
  unauthorised: "a key is wanted (any bearer token of `demo`)",
  hangs: "no answer ever comes",
  dies: "the server ends after the twelfth completion",
} as const;
export type Quirk = keyof typeof quirks;

export function isQuirk(name: string): name is Quirk {
  return Object.hasOwn(quirks, name);
}
