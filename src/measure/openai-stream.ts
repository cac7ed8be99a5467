import { type EventSourceMessage, createParser } from "eventsource-parser";
import type { Seconds } from "../base/units.js";
import { median } from "../math/median.js";
import { at, jsonOf } from "./openai-json.js";

/** What one answer's stream showed, as far as it came. Counts are the server's; null where it does not say. */
export interface StreamFacts {
  /** When the first chunk with content or reasoning arrived, and the last one; null where none did. */
  readonly firstAt: Seconds | null;
  readonly lastAt: Seconds | null;
  /** Chunks with content; one may hold several tokens. */
  readonly contentChunks: number;
  /** Between chunks with content (ITL): the middle one and the longest; null where there is only one chunk. */
  readonly medianGap: Seconds | null;
  readonly longestGap: Seconds | null;
  readonly promptTokens: number | null;
  readonly outputTokens: number | null;
  readonly cachedTokens: number | null;
  /** llama.cpp's own clock, in seconds: its prefill, and its mean per token. */
  readonly serverPrefill: Seconds | null;
  readonly serverToken: Seconds | null;
  readonly finish: string | null;
  /** When the chunk that ends the answer arrived. */
  readonly finishAt: Seconds | null;
  /** llama.cpp's progress through the prompt: tokens processed and its own seconds until then. */
  readonly progress: readonly { readonly tokens: number; readonly seconds: Seconds }[];
  /** An error that the server sent inside the stream, in its own words, or what made the stream unreadable. */
  readonly problem: string | null;
  /** The end mark came. */
  readonly done: boolean;
}

/** Longest event that is read; a chunk of a real server has some hundred bytes. */
const longestEvent = 4 * 1024 * 1024;
/** Reports of progress that are kept. */
const mostProgress = 256;
/** Gaps that the median is of: the first ones of a very long answer. */
const mostGaps = 65_536;

function count(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 40 ? value : null;
}

function milliseconds(value: unknown): Seconds | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 && value < 1e12 ? value / 1000 : null;
}

/** Text of an error as servers word it, however long: `{error: {message}}`, `{error: "…"}`, `{message}`, `{detail}`. */
export function errorText(value: unknown): string | null {
  for (const found of [at(value, "error", "message"), at(value, "error"), at(value, "message"), at(value, "detail")]) {
    if (typeof found === "string" && found !== "") return found;
  }
  return null;
}

/** Whether a chunk has content or reasoning, whichever API it is of. */
function hasContent(choice: unknown): boolean {
  return [
    at(choice, "text"),
    at(choice, "delta", "content"),
    at(choice, "delta", "reasoning_content"),
    at(choice, "delta", "reasoning"),
  ].some((field) => saysSomething(field, deepestContent));
}

/** Mistral's reasoning is a list of parts of which one has a list of parts itself. */
const deepestContent = 4;

/** Whether a text, or the text or thinking of some part of a list, is not empty. */
function saysSomething(value: unknown, depth: number): boolean {
  if (typeof value === "string") return value !== "";
  if (!Array.isArray(value) || depth === 0) return false;
  return value.some((part) => [at(part, "text"), at(part, "thinking")].some((one) => saysSomething(one, depth - 1)));
}

/**
 * Reads the server-sent events of one completion. Bytes are handed over with the time they arrived at, which is taken
 * before anything is parsed; a chunk without content (a role, usage alone) is no token.
 */
export class StreamReader {
  private readonly decoder = new TextDecoder();
  private readonly parser = createParser({
    onEvent: (event) => {
      this.read(event);
    },
    maxBufferSize: longestEvent,
    onError: (error) => {
      // The parser takes nothing after that.
      if (error.type === "max-buffer-size-exceeded") this.ended = true;
      // Fields that nobody knows are ignored, as the standard wants it; llama.cpp once put its errors into one.
      if (error.type === "invalid-retry" || (error.type === "unknown-field" && error.field !== "error")) return;
      const said = error.type === "unknown-field" ? (errorText(jsonOf(error.value ?? "")) ?? error.value) : undefined;
      this.facts.problem ??= said ?? `unreadable stream: ${error.message}`;
    },
  });
  private now: Seconds = 0;
  private ended = false;
  private readonly gaps: Seconds[] = [];
  private readonly facts: { -readonly [Key in keyof StreamFacts]: StreamFacts[Key] } = {
    firstAt: null,
    lastAt: null,
    contentChunks: 0,
    medianGap: null,
    longestGap: null,
    promptTokens: null,
    outputTokens: null,
    cachedTokens: null,
    serverPrefill: null,
    serverToken: null,
    finish: null,
    finishAt: null,
    progress: [],
    problem: null,
    done: false,
  };

  push(bytes: Uint8Array, arrived: Seconds): void {
    if (this.ended) return;
    this.now = arrived;
    this.parser.feed(this.decoder.decode(bytes, { stream: true }));
  }

  /** @returns what came, once the connection ended */
  end(): StreamFacts {
    const medianGap = this.gaps.length === 0 ? null : median(this.gaps);
    return { ...this.facts, medianGap };
  }

  /** A whole answer that was not streamed. */
  whole(value: unknown, arrived: Seconds): void {
    this.now = arrived;
    this.counts(value);
    const choice = at(value, "choices", 0);
    const message = at(choice, "message");
    if (hasContent(message === undefined ? choice : { delta: message })) this.token();
    this.finished(choice);
    this.facts.done = true;
  }

  private read({ data }: EventSourceMessage): void {
    const { facts } = this;
    if (data.trim() === "[DONE]") {
      facts.done = true;
      return;
    }
    const value = jsonOf(data);
    if (value === undefined) {
      facts.problem ??= `an event is no JSON: ${data}`;
      return;
    }
    const failed = at(value, "error") ?? null;
    if (failed !== null || at(value, "object") === "error") {
      facts.problem ??= errorText(value) ?? "the server sent an error inside the stream";
      return;
    }
    this.counts(value);
    const choice = at(value, "choices", 0);
    if (hasContent(choice)) this.token();
    this.finished(choice);
  }

  private finished(choice: unknown): void {
    const reason = finishOf(choice);
    if (reason === null) return;
    this.facts.finish = reason;
    this.facts.finishAt ??= this.now;
  }

  private token(): void {
    const { facts, now } = this;
    if (facts.lastAt !== null) {
      const gap = now - facts.lastAt;
      facts.longestGap = Math.max(facts.longestGap ?? 0, gap);
      if (this.gaps.length < mostGaps) this.gaps.push(gap);
    }
    facts.firstAt ??= now;
    facts.lastAt = now;
    facts.contentChunks += 1;
  }

  private counts(value: unknown): void {
    const { facts } = this;
    const usage = at(value, "usage");
    facts.promptTokens = count(at(usage, "prompt_tokens")) ?? facts.promptTokens;
    facts.outputTokens = count(at(usage, "completion_tokens")) ?? facts.outputTokens;
    // Of OpenAI and most servers, of DeepSeek's API, and of Moonshot's.
    for (const path of [["prompt_tokens_details", "cached_tokens"], ["prompt_cache_hit_tokens"], ["cached_tokens"]]) {
      const cached = count(at(usage, ...path));
      if (cached === null) continue;
      facts.cachedTokens = cached;
      break;
    }
    const timings = at(value, "timings");
    const predicted = count(at(timings, "predicted_n"));
    facts.serverPrefill = milliseconds(at(timings, "prompt_ms")) ?? facts.serverPrefill;
    facts.cachedTokens = count(at(timings, "cache_n")) ?? facts.cachedTokens;
    facts.outputTokens ??= predicted;
    const progress = at(value, "prompt_progress");
    const [processed, spent] = [count(at(progress, "processed")), milliseconds(at(progress, "time_ms"))];
    if (processed !== null && spent !== null && facts.progress.length < mostProgress) {
      facts.progress = [...facts.progress, { tokens: processed, seconds: spent }];
    }
    const decode = milliseconds(at(timings, "predicted_ms"));
    if (decode !== null && predicted !== null && predicted > 1) facts.serverToken = decode / (predicted - 1);
  }
}

function finishOf(choice: unknown): string | null {
  const reason = at(choice, "finish_reason");
  return typeof reason === "string" ? reason.slice(0, 40) : null;
}

/**
 * Mean seconds from token to token behind the first chunk (TPOT). Where chunks hold several tokens, the first one's share
 * of them came before the clock started.
 */
export function tokenSeconds({ firstAt, lastAt, contentChunks, outputTokens }: StreamFacts): Seconds | null {
  if (firstAt === null || lastAt === null || contentChunks < 2) return null;
  const tokens = outputTokens ?? contentChunks;
  const perChunk = Math.max(1, tokens / contentChunks);
  const behind = tokens - perChunk;
  return behind > 0 ? (lastAt - firstAt) / behind : null;
}
