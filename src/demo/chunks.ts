import type { Quirk } from "./quirks.js";

export type Api = "completions" | "chat";

/** Counts as OpenAI-compatible servers report them. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens: number };
  readonly prompt_cache_hit_tokens?: number;
}

const words = ["na", "îve", " wörd", "s ", "🙂", " of", " n²", " tok"];

/** Text of the token with this number; some of it takes several bytes. */
export function wordOf(index: number): string {
  return words[index % words.length] ?? " w";
}

interface ChunkOptions {
  readonly api: Api;
  readonly model: string;
  readonly text?: string;
  readonly reasoning?: boolean;
  readonly role?: boolean;
  readonly finish?: string | null;
  readonly usage?: Usage;
  readonly withoutChoices?: boolean;
  /** Numbers of the text's tokens, as vLLM gives them where they are asked for. */
  readonly tokenIds?: readonly number[];
  readonly more?: Readonly<Record<string, unknown>>;
}

/** One event of a stream, in the shape of its API. */
export function chunkOf(options: ChunkOptions): Record<string, unknown> {
  const { api, model, text = "", finish = null, usage, more = {} } = options;
  const chat = {
    index: 0,
    delta: {
      ...(options.role === true ? { role: "assistant", content: "" } : {}),
      ...(text === "" ? {} : options.reasoning === true ? { reasoning_content: text } : { content: text }),
    },
    finish_reason: finish,
  };
  const ids = options.tokenIds === undefined ? {} : { token_ids: options.tokenIds };
  const choice = { ...(api === "chat" ? chat : { index: 0, text, finish_reason: finish }), ...ids };
  return {
    id: "demo",
    object: api === "chat" ? "chat.completion.chunk" : "text_completion",
    created: 0,
    model,
    choices: options.withoutChoices === true ? [] : [choice],
    ...(usage === undefined ? {} : { usage }),
    ...more,
  };
}

/** A whole answer that is not streamed, in the shape of its API. */
export function wholeOf(
  options: Pick<ChunkOptions, "api" | "model" | "tokenIds" | "more"> & {
    readonly text: string;
    readonly finish: string;
    readonly usage: Usage;
  },
): Record<string, unknown> {
  const { api, model, text, finish, usage, tokenIds, more = {} } = options;
  const said = api === "chat" ? { message: { role: "assistant", content: text } } : { text };
  const ids = tokenIds === undefined ? {} : { token_ids: tokenIds };
  return {
    id: "demo",
    object: api === "chat" ? "chat.completion" : "text_completion",
    created: 0,
    model,
    choices: [{ index: 0, ...said, finish_reason: finish, ...ids }],
    usage,
    ...more,
  };
}

/** An event as bytes on the wire. */
export function eventBytes(data: unknown, has: (quirk: Quirk) => boolean): Buffer {
  const end = has("crlf") ? "\r\n" : "\n";
  const json = typeof data === "string" ? data : JSON.stringify(data, null, has("multi-line-data") ? 1 : 0);
  const lines = json.split("\n").map((line) => `data: ${line}${end}`);
  const comment = has("comments") ? `: keep-alive${end}${end}` : "";
  return Buffer.from(`${comment}${lines.join("")}${end}`);
}
