import type { IncomingMessage, ServerResponse } from "node:http";
import { type Api, type Usage, chunkOf, eventBytes, wholeOf } from "./chunks.js";
import {
  type Listening,
  type Place,
  Refusal,
  answerLength,
  assertModel,
  listen,
  monotonicSeconds,
  pathOf,
  readJson,
  sendJson,
  wantsUsage,
} from "./http.js";

/** One sequence of a model and its cache. */
export interface ServedSequence {
  /** Tokens in the cache. */
  readonly length: number;
  append(tokens: readonly number[], wantsNext: boolean): Promise<number | null>;
  /** Shortens the cache to `length` tokens, or further where the model cannot do that. */
  truncate(length: number): Promise<void>;
}

/** A model that computes, as far as a server needs to know it. */
export interface ServedEngine {
  /** Name and version of what computes. */
  readonly build: string;
  /** Most tokens of prompt and answer together. */
  readonly contextLength: number;
  /** Tokens of one pass: longer prompts go in pieces. */
  readonly batchTokens: number;
  readonly vocabulary: number;
  readonly sequence: ServedSequence;
  /** A text's tokens, with what the model wants at the beginning. */
  prompt(text: string): number[];
  /** A conversation's tokens in the model's own template, up to where the answer begins. */
  chat(messages: readonly ChatMessage[]): number[];
  /** @param before tokens that came before, where the text depends on them */
  detokenize(tokens: readonly number[], before: readonly number[]): string;
  /** Whether the model ends its answer with this token. */
  endsAnswer(token: number): boolean;
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/**
 * Serves a model over an OpenAI-compatible API: one request at a time, in the order of their arrival, the likeliest token
 * always. It keeps the last request's tokens in its cache, and tells its own times as llama.cpp's server does.
 */
export async function startEngineServer(
  engine: ServedEngine,
  options: Place & { readonly model: string },
): Promise<Listening & { readonly requests: () => number }> {
  const served = new EngineServer(engine, options.model);
  const listening = await listen((request, response) => served.answer(request, response), options);
  return { ...listening, requests: () => served.requests };
}

/** What a request asks for, checked. */
interface Wanted {
  readonly api: Api;
  readonly tokens: readonly number[];
  readonly answer: number;
  readonly fewest: number;
  readonly ignoresEnd: boolean;
  readonly stream: boolean;
  readonly usage: boolean;
  readonly reusesCache: boolean;
  readonly progress: boolean;
  readonly tokenIds: boolean;
}

/** One answer as it comes into being. */
interface Heard {
  /** Called after each pass over a piece of the prompt. */
  readonly progress: (processed: number, cached: number, seconds: number) => void;
  readonly token: (token: number, last: boolean) => void;
}

interface Generated {
  readonly tokens: readonly number[];
  readonly cached: number;
  readonly promptSeconds: number;
  readonly answerSeconds: number;
  readonly finish: "stop" | "length";
}

class EngineServer {
  requests = 0;
  /** What the cache holds. */
  private held: number[] = [];
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly engine: ServedEngine,
    private readonly model: string,
  ) {}

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { engine, model } = this;
    const path = pathOf(request);
    if (request.method === "GET") {
      if (path === "/health") sendJson(response, { status: "ok" });
      else if (path === "/props") sendJson(response, { build_info: engine.build });
      else if (path === "/v1/models") sendJson(response, { object: "list", data: [this.listed()] });
      else throw new Refusal(404, `no GET ${path}`);
      return;
    }
    const api = path === "/v1/chat/completions" ? "chat" : path === "/v1/completions" ? "completions" : null;
    if (request.method !== "POST" || (api === null && path !== "/tokenize")) {
      throw new Refusal(404, `no ${request.method} ${path}`);
    }
    const body = await readJson(request);
    if (api === null) {
      const text = body["content"] ?? body["prompt"];
      if (typeof text !== "string") throw new Refusal(400, "content must be a string");
      const tokens = engine.prompt(text);
      sendJson(response, { tokens, count: tokens.length, max_model_len: engine.contextLength });
      return;
    }
    assertModel(body, model);
    const wanted = this.wanted(api, body);
    const gone = new AbortController();
    response.on("close", () => {
      gone.abort();
    });
    this.requests += 1;
    await this.inTurn(() => this.complete(wanted, response, gone.signal));
  }

  private listed(): Record<string, unknown> {
    const { engine, model } = this;
    const meta = { n_ctx: engine.contextLength, n_vocab: engine.vocabulary };
    return { id: model, object: "model", owned_by: "nsquared", max_model_len: engine.contextLength, meta };
  }

  private wanted(api: Api, body: Readonly<Record<string, unknown>>): Wanted {
    const { engine } = this;
    for (const [key, only] of [
      ["n", 1],
      ["best_of", 1],
      ["stop", null],
      ["tools", null],
    ] as const) {
      if ((body[key] ?? only) !== only) throw new Refusal(400, `${key} is not known here`);
    }
    const answer = answerLength(body, engine.contextLength);
    const tokens = api === "chat" ? engine.chat(messagesOf(body["messages"])) : this.promptTokens(body["prompt"]);
    if (tokens.length + answer > engine.contextLength) {
      throw new Refusal(
        400,
        `the request exceeds the available context size: ${tokens.length} tokens of prompt and ${answer} of answer, ${engine.contextLength} in all`,
        "exceed_context_size_error",
      );
    }
    const fewest = Number(body["min_tokens"] ?? 0);
    return {
      api,
      tokens,
      answer,
      fewest: Number.isFinite(fewest) ? fewest : 0,
      ignoresEnd: body["ignore_eos"] === true,
      stream: body["stream"] === true,
      usage: wantsUsage(body),
      reusesCache: body["cache_prompt"] !== false,
      progress: body["return_progress"] === true,
      tokenIds: body["return_token_ids"] === true,
    };
  }

  private promptTokens(prompt: unknown): readonly number[] {
    const { engine } = this;
    if (typeof prompt === "string" && prompt !== "") return engine.prompt(prompt);
    const ids: readonly unknown[] = Array.isArray(prompt) ? prompt : [];
    const known = ids.filter((id) => typeof id === "number" && Number.isInteger(id) && id >= 0);
    if (ids.length > 0 && known.length === ids.length && ids.every((id) => Number(id) < engine.vocabulary)) {
      return ids.map(Number);
    }
    throw new Refusal(400, `prompt must be a text or a list of token ids below ${engine.vocabulary}`);
  }

  /** Waits until the requests before are done. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.queue.then(work);
    this.queue = mine.catch(() => undefined);
    return mine;
  }

  private async complete(wanted: Wanted, response: ServerResponse, gone: AbortSignal): Promise<void> {
    if (gone.aborted) return;
    const { api, tokens, stream } = wanted;
    const common = { api, model: this.model };
    const speech = new Speech(this.engine);
    const send = (data: unknown): void => {
      response.write(eventBytes(data, () => false));
    };
    if (stream) {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
      response.flushHeaders();
      if (api === "chat") send(chunkOf({ ...common, role: true }));
    }
    let text = "";
    const generated = await this.generate(wanted, gone, {
      progress: (processed, cached, seconds) => {
        const prompt_progress = { total: tokens.length, cache: cached, processed, time_ms: 1000 * seconds };
        if (stream && wanted.progress) send(chunkOf({ ...common, more: { prompt_progress } }));
      },
      token: (token, last) => {
        const { said, ids } = speech.hear(token, last);
        text += said;
        if (stream && ids.length > 0) {
          send(chunkOf({ ...common, text: said, ...(wanted.tokenIds ? { tokenIds: ids } : {}) }));
        }
      },
    });
    if (generated === null) return;
    const { finish } = generated;
    const usage = usageOf(tokens.length, generated);
    const more = { timings: timingsOf(tokens.length, generated) };
    if (!stream) {
      const ids = wanted.tokenIds ? { tokenIds: generated.tokens } : {};
      sendJson(response, wholeOf({ ...common, text, finish, usage, more, ...ids }));
      return;
    }
    // llama.cpp's server puts its timings into whatever chunk is the last.
    send(chunkOf({ ...common, finish, ...(wanted.usage ? {} : { more }) }));
    if (wanted.usage) send(chunkOf({ ...common, withoutChoices: true, usage, more }));
    send("[DONE]");
    response.end();
  }

  /** @returns null where the client went away */
  private async generate(wanted: Wanted, gone: AbortSignal, heard: Heard): Promise<Generated | null> {
    const { engine } = this;
    const { sequence } = engine;
    const { tokens, answer } = wanted;
    const start = monotonicSeconds();
    const cached = await this.reuse(wanted.reusesCache ? tokens : []);
    let next: number | null = null;
    for (let from = cached; from < tokens.length; from += engine.batchTokens) {
      const piece = tokens.slice(from, from + engine.batchTokens);
      const isLast = from + piece.length === tokens.length;
      next = await this.append(piece, isLast);
      if (gone.aborted) return null;
      heard.progress(from + piece.length, cached, monotonicSeconds() - start);
    }
    const first = monotonicSeconds();
    const made: number[] = [];
    let finish: Generated["finish"] = "length";
    while (next !== null) {
      made.push(next);
      const ended: boolean = !wanted.ignoresEnd && made.length >= wanted.fewest && engine.endsAnswer(next);
      if (ended) finish = "stop";
      const last = ended || made.length === answer;
      heard.token(next, last);
      if (last) break;
      next = await this.append([next], true);
      if (gone.aborted) return null;
    }
    if (sequence.length !== this.held.length) this.held = this.held.slice(0, sequence.length);
    const answerSeconds = monotonicSeconds() - first;
    return { tokens: made, cached, promptSeconds: first - start, answerSeconds, finish };
  }

  private async append(tokens: readonly number[], wantsNext: boolean): Promise<number | null> {
    // Should it fail in the middle, what is in the cache is not known.
    const before = this.held;
    this.held = [];
    const next = await this.engine.sequence.append(tokens, wantsNext);
    this.held = before;
    this.held.push(...tokens);
    return next;
  }

  /** Keeps what the cache has in common with the prompt, all but its last token, which must be computed. */
  private async reuse(tokens: readonly number[]): Promise<number> {
    const { sequence } = this.engine;
    const most = Math.max(0, Math.min(tokens.length - 1, this.held.length));
    let common = 0;
    while (common < most && this.held[common] === tokens[common]) common += 1;
    await sequence.truncate(common);
    this.held = this.held.slice(0, sequence.length);
    return sequence.length;
  }
}

function usageOf(promptTokens: number, { tokens, cached }: Generated): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokens.length,
    total_tokens: promptTokens + tokens.length,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

function timingsOf(promptTokens: number, generated: Generated): Record<string, number> {
  const { tokens, cached, promptSeconds, answerSeconds } = generated;
  return {
    cache_n: cached,
    prompt_n: promptTokens - cached,
    prompt_ms: 1000 * promptSeconds,
    predicted_n: tokens.length,
    predicted_ms: 1000 * answerSeconds,
  };
}

/** Tokens that may together be one character, at most. */
const longestCharacter = 4;
/** Tokens before that decide about spaces. */
const remembered = 4;

/** Tokens as text, without halves of characters. */
class Speech {
  private pending: number[] = [];
  private before: number[] = [];

  constructor(private readonly engine: Pick<ServedEngine, "detokenize">) {}

  /** @returns what can be said with this token, and the tokens that it is of; none while a character is not complete */
  hear(token: number, last: boolean): { readonly said: string; readonly ids: readonly number[] } {
    this.pending.push(token);
    const said = this.engine.detokenize(this.pending, this.before);
    const half = said.endsWith("\uFFFD") && this.pending.length < longestCharacter;
    if (half && !last) return { said: "", ids: [] };
    const ids = this.pending;
    this.before = [...this.before, ...ids].slice(-remembered);
    this.pending = [];
    return { said, ids };
  }
}

function messagesOf(value: unknown): ChatMessage[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  const messages = list.flatMap((message): ChatMessage[] => {
    const role: unknown = Reflect.get(Object(message), "role");
    const content: unknown = Reflect.get(Object(message), "content");
    const known = role === "system" || role === "user" || role === "assistant";
    return known && typeof content === "string" ? [{ role, content }] : [];
  });
  if (messages.length > 0 && messages.length === list.length) return messages;
  throw new Refusal(400, "messages must be a list of texts of system, user or assistant");
}
