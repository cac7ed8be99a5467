import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { setImmediate as nextTick, setTimeout as sleep } from "node:timers/promises";
import { type Api, type Usage, chunkOf, eventBytes, wholeOf, wordOf } from "./chunks.js";
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
import { type DemoLaw, type DemoTimes, demoTimes } from "./law.js";
import { elsewhere, namesElsewhere } from "./elsewhere.js";
import type { Quirk } from "./quirks.js";
import { PrefixCache, fewLetters, templateTokens, tokensOf } from "./tokens.js";

export interface DemoOptions extends Place {
  readonly law: DemoLaw;
  readonly seed: number;
  readonly quirks?: readonly Quirk[];
  readonly model?: string;
  /** How time passes; the system's unless given. */
  readonly clock?: DemoClock;
  /**
   * Puts the sender's monotonic clock in seconds into every chunk: `nsquared_sent`, when it is about to be written, and
   * `nsquared_handed`, when the system had taken the chunk before it.
   */
  readonly stamps?: boolean;
}

/** Monotonic seconds, and a way to wait for a moment of them. */
export interface DemoClock {
  now(): number;
  until(due: number): Promise<void>;
}

export interface DemoServer extends Listening {
  /** Completions that were begun. */
  readonly requests: () => number;
}

const truncatedTo = 1000;
const lastRequest = 12;
const mostAnswer = 100_000;
/** As wide as any stamp: its digits are filled in when an event is sent. */
const stampRoom = { sent: 1e17, handed: 2e17 };
/** Timers are late by up to this; the rest is waited for in turns of the event loop. */
const timerSlackMs = 1.5;

const systemTime: DemoClock = {
  now: monotonicSeconds,
  until: async (due) => {
    const ahead = (due - monotonicSeconds()) * 1000 - timerSlackMs;
    if (ahead > 0) await sleep(ahead);
    while (monotonicSeconds() < due) await nextTick();
  },
};

/** What a completion request asks for, checked. */
interface Wanted {
  readonly api: Api;
  readonly tokens: readonly string[];
  readonly answer: number;
  readonly stream: boolean;
  readonly usage: boolean;
  readonly cache: boolean;
  readonly progress: boolean;
}

/**
 * An OpenAI-compatible server over HTTP whose times are known exactly: it computes nothing, waits as long as its law
 * says, and streams words. For tests, and for people who want to try `nsquared measure` without a model.
 */
export async function startDemoServer(options: DemoOptions): Promise<DemoServer> {
  const demo = new Demo(options);
  const listening = await listen((request, response, server) => demo.answer(request, response, server), options);
  return { ...listening, requests: () => demo.requests };
}

class Demo {
  requests = 0;
  private posts = 0;
  private readonly times: DemoTimes;
  private readonly cache = new PrefixCache();
  private readonly model: string;
  private readonly time: DemoClock;
  private readonly quirks: ReadonlySet<Quirk>;

  constructor(private readonly options: DemoOptions) {
    this.times = demoTimes(options.law, options.seed);
    this.model = options.model ?? "demo";
    this.time = options.clock ?? systemTime;
    this.quirks = new Set(options.quirks ?? []);
  }

  private has = (quirk: Quirk): boolean => this.quirks.has(quirk);

  async answer(request: IncomingMessage, response: ServerResponse, server: Server): Promise<void> {
    const arrived = this.time.now();
    if (this.has("hangs")) return;
    if (this.has("html")) {
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Welcome</title>");
      return;
    }
    if (this.has("unauthorised") && request.headers.authorization !== "Bearer demo") {
      throw new Refusal(401, "Incorrect API key provided.", "authentication_error");
    }
    const path = pathOf(request);
    if (request.method === "GET" && path === "/health") {
      sendJson(response, { status: "ok" });
      return;
    }
    if (request.method === "GET" && path === "/v1/models") {
      const unnamed = this.has("unnamed-limit") || namesElsewhere(this.has);
      const limit = unnamed ? {} : { max_model_len: this.options.law.contextLimit };
      const model = { id: this.model, object: "model", owned_by: "nsquared-demo", ...limit };
      sendJson(response, { object: "list", data: [model] });
      return;
    }
    const { contextLimit } = this.options.law;
    const own = request.method === "GET" ? elsewhere(path, this.has, { model: this.model, contextLimit }) : undefined;
    if (own !== undefined) {
      sendJson(response, own);
      return;
    }
    if (request.method !== "POST") throw new Refusal(404, `no ${request.method} ${path}`);
    const body = await readJson(request);
    if (path === "/tokenize" && !this.has("no-tokenize")) {
      const text = body["prompt"] ?? body["content"];
      const tokens = this.tokens(typeof text === "string" ? text : "");
      sendJson(response, {
        count: tokens.length,
        tokens: tokens.map((_, index) => index),
        max_model_len: this.options.law.contextLimit,
      });
      return;
    }
    const api = path === "/v1/chat/completions" ? "chat" : path === "/v1/completions" ? "completions" : null;
    if (api === null || (api === "completions" && this.has("no-completions")))
      throw new Refusal(404, `no POST ${path}`);
    await this.complete(this.wanted(api, body), response, arrived, server);
  }

  private wanted(api: Api, body: Readonly<Record<string, unknown>>): Wanted {
    this.posts += 1;
    const busy = this.posts % 3 === 0;
    if (busy && this.has("rate-limited"))
      throw new Refusal(429, "Too many requests.", "rate_limit", { "retry-after": "0.05" });
    if (busy && this.has("unavailable")) throw new Refusal(503, "The server is overloaded.", "server_error");
    assertModel(body, this.model);
    if (this.has("no-ignore-eos") && (body["ignore_eos"] !== undefined || body["min_tokens"] !== undefined)) {
      throw new Refusal(400, "Unrecognized request argument supplied: ignore_eos");
    }
    const stream = body["stream"] === true;
    if (stream && this.has("no-stream")) throw new Refusal(400, "Streaming is not supported.");
    const answer = answerLength(body, mostAnswer);
    if (this.has("no-stream-options") && body["stream_options"] !== undefined) {
      throw new Refusal(400, "Unrecognized request argument supplied: stream_options");
    }
    const usage = wantsUsage(body);
    const all = api === "chat" ? this.chatTokens(body["messages"]) : this.promptTokens(body["prompt"]);
    const tokens = this.has("truncates") ? all.slice(-truncatedTo) : all;
    const { contextLimit } = this.options.law;
    if (tokens.length + answer > contextLimit) {
      throw new Refusal(
        400,
        `This model's maximum context length is ${contextLimit} tokens. However, you requested ${tokens.length + answer} tokens.`,
        "BadRequestError",
      );
    }
    const cache = body["cache_prompt"] !== false && !this.has("no-cache");
    const progress = body["return_progress"] === true && this.has("llama-timings");
    return { api, tokens, answer, stream, usage, cache, progress };
  }

  private tokens(text: string): string[] {
    return tokensOf(text, this.has("short-tokens") ? fewLetters : undefined);
  }

  private promptTokens(prompt: unknown): string[] {
    if (typeof prompt === "string") return this.tokens(prompt);
    const ids: readonly unknown[] = Array.isArray(prompt) ? prompt : [];
    if (ids.length > 0 && ids.every((id) => typeof id === "number") && !this.has("no-token-ids")) return tokensOf(ids);
    throw new Refusal(400, "prompt must be a string");
  }

  private chatTokens(messages: unknown): string[] {
    const list: readonly unknown[] = Array.isArray(messages) ? messages : [];
    const texts = list.map((message): unknown => Reflect.get(Object(message), "content"));
    if (texts.length === 0 || texts.some((text) => typeof text !== "string")) {
      throw new Refusal(400, "messages must be a list of texts");
    }
    return [...Array.from({ length: templateTokens }, (_, index) => `<${index}>`), ...this.tokens(texts.join(" "))];
  }

  private async complete(wanted: Wanted, response: ServerResponse, arrived: number, server: Server): Promise<void> {
    this.requests += 1;
    if (this.has("dies") && this.requests > lastRequest) {
      server.closeAllConnections();
      server.close();
      return;
    }
    const { tokens, answer } = wanted;
    const known = wanted.cache ? this.cache.take(tokens) : 0;
    const { seconds, serverSeconds, cached } = this.times.prefill(tokens.length, known);
    const written = this.has("empty") ? 0 : this.has("stops-early") ? Math.max(1, Math.floor(answer / 2)) : answer;
    const usage: Usage = {
      prompt_tokens: tokens.length,
      completion_tokens: written,
      total_tokens: tokens.length + written,
      ...(this.has("reports-cached") ? { prompt_tokens_details: { cached_tokens: cached } } : {}),
      ...(this.has("cache-hits") ? { prompt_cache_hit_tokens: cached } : {}),
    };
    let due = arrived + seconds;
    const steps = Array.from({ length: Math.max(0, written - 1) }, (_, index) =>
      this.times.step(tokens.length + index + 1),
    );
    const timings = {
      cache_n: cached,
      prompt_n: tokens.length - cached,
      prompt_ms: serverSeconds * 1000,
      predicted_n: written,
      predicted_ms: 1000 * steps.reduce((sum, step) => sum + step, 0),
    };
    if (!wanted.stream) {
      await this.time.until(due + steps.reduce((sum, step) => sum + step, 0));
      const text = Array.from({ length: written }, (_, index) => wordOf(index)).join("");
      const finish = this.has("stops-early") ? "stop" : "length";
      const more = this.has("llama-timings") ? { timings } : {};
      sendJson(response, wholeOf({ api: wanted.api, model: this.model, text, finish, usage, more }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.flushHeaders();
    const writer = new EventWriter(response, this.has, this.options.stamps === true);
    const common = { api: wanted.api, model: this.model };
    if (this.has("role-first") && wanted.api === "chat") await writer.send(chunkOf({ ...common, role: true }));
    if (wanted.progress) await this.reportProgress(writer, common, tokens.length, cached, arrived, serverSeconds);
    const perChunk = this.has("several-tokens") ? 3 : 1;
    for (let index = 0; index < written; index += perChunk) {
      const last = Math.min(written, index + perChunk);
      for (let token = index; token < last; token += 1) due += token === 0 ? 0 : (steps[token - 1] ?? 0);
      const text = Array.from({ length: last - index }, (_, offset) => wordOf(index + offset)).join("");
      const reasoning = this.has("reasoning") && wanted.api === "chat" && index < written / 2;
      const soFar = { ...usage, completion_tokens: last, total_tokens: tokens.length + last };
      const chunk = chunkOf({ ...common, text, reasoning, ...this.usageOfChunk(soFar) });
      // Written down before its time has come: what is late then is the way to the client alone.
      const send = writer.prepare(chunk);
      await this.time.until(due);
      if (response.destroyed) return;
      if (index >= written / 2 && index > 0) {
        if (this.has("cut")) {
          response.destroy();
          return;
        }
        if (this.has("error-line")) {
          response.end(
            'error: {"code":500,"message":"decode failed: no space in the cache","type":"server_error"}\n\n',
          );
          return;
        }
        if (this.has("error-in-stream")) {
          await writer.send({ error: { message: "CUDA error: out of memory", type: "server_error", code: 500 } });
          response.end();
          return;
        }
      }
      if (!(this.has("silent-first") && index === 0)) await send();
    }
    const finish = this.has("stops-early") ? "stop" : "length";
    await writer.send(chunkOf({ ...common, finish, ...(this.has("llama-timings") ? { more: { timings } } : {}) }));
    if (wanted.usage && !this.has("no-usage")) await writer.send(chunkOf({ ...common, withoutChoices: true, usage }));
    await writer.send("[DONE]");
    response.end();
  }

  private usageOfChunk(usage: Usage): { readonly usage?: Usage } {
    if (this.has("usage-zeros")) return { usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } };
    return this.has("usage-every") ? { usage } : {};
  }

  /** An event after each chunk of the prompt; every token of it takes equally long here. */
  private async reportProgress(
    writer: EventWriter,
    common: { readonly api: Api; readonly model: string },
    total: number,
    cached: number,
    arrived: number,
    seconds: number,
  ): Promise<void> {
    const { chunk } = this.options.law;
    for (let processed = cached; processed < total; ) {
      processed = Math.min(total, processed + chunk);
      const spent = (seconds * (processed - cached)) / (total - cached);
      await this.time.until(arrived + spent);
      const prompt_progress = { total, cache: cached, processed, time_ms: 1000 * spent };
      await writer.send(chunkOf({ ...common, more: { prompt_progress } }));
    }
  }
}

/** Writes events, in odd pieces where the quirks say so. */
class EventWriter {
  /** When the system had taken the last stamped event. */
  private handed: number | null = null;

  constructor(
    private readonly response: ServerResponse,
    private readonly has: (quirk: Quirk) => boolean,
    private readonly stamps: boolean,
  ) {}

  async send(data: Record<string, unknown> | string): Promise<void> {
    await this.prepare(data)();
  }

  /** Writes an event down, so that sending it is a stamp and a write. */
  prepare(data: Record<string, unknown> | string): () => Promise<void> {
    if (!this.stamps || typeof data === "string") {
      const bytes = eventBytes(data, this.has);
      return () => this.write(bytes);
    }
    const bytes = eventBytes({ ...data, nsquared_sent: stampRoom.sent, nsquared_handed: stampRoom.handed }, this.has);
    const put = (room: number, stamp: number | null): void => {
      const text = stamp === null ? "null" : stamp.toFixed(9);
      // Blanks before a value are JSON.
      bytes.write(text.padStart(String(room).length), bytes.lastIndexOf(String(room)), "latin1");
    };
    return async () => {
      put(stampRoom.handed, this.handed);
      put(stampRoom.sent, monotonicSeconds());
      await this.write(bytes);
      // HTTP gathers what is written in one turn: a stamp is only true where each event leaves at once.
      await new Promise<void>((resolve) => {
        process.nextTick(resolve);
      });
      this.handed = monotonicSeconds();
    };
  }

  private async write(bytes: Buffer): Promise<void> {
    // The first byte of a character of several goes out alone, the rest a moment later.
    const inside = this.has("split-utf8") ? bytes.findIndex((byte) => byte >= 0xc0) + 1 : 0;
    if (inside > 0) {
      this.response.write(bytes.subarray(0, inside));
      await nextTick();
    }
    this.response.write(bytes.subarray(inside));
  }
}
