import type { Seconds } from "../base/units.js";
import type { RequestFacts } from "../runs/schema.js";
import type { Clock } from "./clock.js";
import { type Connection, type Exchange, NoAnswer } from "./openai-http.js";
import { at, isWebPage, jsonOf } from "./openai-json.js";
import { type StreamFacts, StreamReader, errorText, tokenSeconds } from "./openai-stream.js";

export type Api = "completions" | "chat";
export type Prompt = string | readonly number[];

/** Which of the options that not every server knows are sent. */
export interface Dialect {
  readonly api: Api;
  readonly stream: boolean;
  readonly streamUsage: boolean;
  /** `ignore_eos` and `min_tokens`: answers of exactly the wanted length. */
  readonly fixedLength: boolean;
  /** `cache_prompt`: llama.cpp's switch for its prefix cache. */
  readonly cachePrompt: boolean;
  /** `max_completion_tokens` instead of `max_tokens`. */
  readonly completionTokens: boolean;
}

export interface Asked {
  readonly model: string;
  readonly prompt: Prompt;
  readonly answer: number;
  readonly reusesCache: boolean;
}

export interface Asking {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timeoutSeconds: Seconds;
}

/** What became of one completion. */
export interface Completion {
  readonly status: number;
  readonly stream: StreamFacts;
  readonly request: RequestFacts;
  /** Why there is nothing to time; null where tokens came. */
  readonly problem: string | null;
  /** Nothing listens there any more, however often it was tried. */
  readonly gone: boolean;
}

const mostRetries = 4;
const firstBackoff = 0.25;
const longestBackoff = 30;
const longestError = 64 * 1024;
/** No connection was made at all: the request was never seen. */
const unreachable = new Set(["ECONNREFUSED", "EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENOTFOUND"]);
/** A server that is being restarted is waited for this often, for a moment. */
const mostKnocks = 2;
const knockPause = 0.5;

/** A request as it goes over the wire. */
export interface Question {
  readonly body: string;
}

/** Writes a request down, so that nothing but sending is left when the clock starts. */
export function questionOf(asked: Asked, dialect: Dialect): Question {
  const { prompt, answer, model, reusesCache } = asked;
  const text = typeof prompt === "string" ? prompt : "";
  const fields = {
    model,
    ...(dialect.api === "chat" ? { messages: [{ role: "user", content: text }] } : { prompt }),
    [dialect.completionTokens ? "max_completion_tokens" : "max_tokens"]: answer,
    // Reasoning models, which want the new name for the limit, take no temperature.
    ...(dialect.completionTokens ? {} : { temperature: 0 }),
    ...(dialect.stream ? { stream: true } : {}),
    ...(dialect.stream && dialect.streamUsage ? { stream_options: { include_usage: true } } : {}),
    ...(dialect.fixedLength ? { ignore_eos: true, min_tokens: answer } : {}),
    ...(dialect.cachePrompt ? { cache_prompt: reusesCache } : {}),
    // llama.cpp's name, too; it streams how far it is in a long prompt.
    ...(dialect.cachePrompt && dialect.stream ? { return_progress: true } : {}),
  };
  return { body: JSON.stringify(fields) };
}

function pathOf(api: Api): string {
  return api === "chat" ? "/chat/completions" : "/completions";
}

/** Refusals that pass: too many requests, or a server that is not ready. */
export function passes(status: number): boolean {
  return status === 429 || status === 500 || status === 502 || status === 503 || status === 504 || status === 529;
}

/**
 * Asks for one completion and times it: time to the first token from the moment the request is sent, whatever waits
 * between. Refusals that pass are asked again after a pause, and counted; so are, less often, addresses at which nothing listens.
 */
export async function complete(
  connection: Connection,
  question: Question,
  dialect: Dialect,
  asking: Asking,
): Promise<Completion> {
  for (let retries = 0; ; retries += 1) {
    const tried = await once(connection, question.body, dialect, asking, retries);
    const { gone } = tried.completion;
    const again = gone ? retries < mostKnocks : passes(tried.status) && retries < mostRetries;
    if (!again || asking.signal.aborted) return tried.completion;
    const pause = gone ? knockPause : (tried.pause ?? Math.min(longestBackoff, firstBackoff * 2 ** retries));
    await asking.clock.sleep(pause, asking.signal);
  }
}

async function once(
  connection: Connection,
  body: string,
  dialect: Dialect,
  asking: Asking,
  retries: number,
): Promise<{ readonly status: number; readonly completion: Completion; readonly pause: Seconds | null }> {
  const reader = new StreamReader();
  const pieces: Uint8Array[] = [];
  let kept = 0;
  let exchange: Exchange | null = null;
  let lost: NoAnswer | null = null;
  const whole: { at: Seconds } = { at: 0 };
  try {
    exchange = await connection.exchange({
      method: "POST",
      path: pathOf(dialect.api),
      body,
      ...asking,
      data: (bytes, arrived) => {
        whole.at = arrived;
        if (dialect.stream) reader.push(bytes, arrived);
        if (kept > longestError && dialect.stream) return;
        kept += bytes.length;
        pieces.push(bytes);
      },
    });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    lost = error;
  }
  const text = (): string => Buffer.concat(pieces).toString("utf8");
  const status = exchange?.status ?? 0;
  if (exchange !== null && status === 200 && !dialect.stream) {
    const value = jsonOf(text());
    if (value !== undefined) reader.whole(value, whole.at);
  }
  const stream = reader.end();
  const said = problemOf(exchange, lost, stream, text);
  const problem = said === null ? null : connection.quoted(said);
  return {
    status,
    pause: retryAfter(exchange),
    completion: {
      status,
      stream,
      problem,
      gone: lost !== null && unreachable.has(lost.code),
      request: factsOf({ exchange, lost, stream, retries, cutAt: asking.clock.now() }),
    },
  };
}

function problemOf(
  exchange: Exchange | null,
  lost: NoAnswer | null,
  stream: StreamFacts,
  text: () => string,
): string | null {
  if (exchange === null) {
    if (lost?.code === "ECONNREFUSED") return "the server is gone: nothing listens there any more";
    return lost?.message ?? "no answer";
  }
  if (exchange.status !== 200) {
    const body = text();
    const said = errorText(jsonOf(body)) ?? (isWebPage(body) ? "a web page" : body.trim());
    const elsewhere = exchange.headers.location === undefined ? "" : ` to ${exchange.headers.location}`;
    return `HTTP ${exchange.status}${elsewhere}${said === "" ? "" : `: ${said}`}`;
  }
  if (stream.problem !== null) return stream.problem;
  if (!exchange.whole || (stream.finish === null && !stream.done && stream.firstAt !== null)) {
    return "the connection was cut in the middle of the answer";
  }
  if (stream.firstAt === null && !isSilent(stream)) {
    const body = text();
    const value = jsonOf(body);
    if (at(value, "choices", 0) !== undefined) return notStreamed;
    if (isWebPage(body.slice(0, 500))) return "the answer is a web page, no completion";
    return errorText(value) ?? "an answer without any content";
  }
  return null;
}

/** What servers do that know nothing of streams and ignore the wish for one. */
export const notStreamed = "a whole answer where a stream was asked for";

/** Tokens were computed, but they have no text: half a character, or the mark that opens the reasoning. */
function isSilent({ firstAt, outputTokens, finish }: StreamFacts): boolean {
  return firstAt === null && outputTokens !== null && outputTokens > 0 && finish !== null;
}

function retryAfter(exchange: Exchange | null): Seconds | null {
  const wanted = Number(exchange?.headers["retry-after"] ?? Number.NaN);
  return Number.isFinite(wanted) && wanted >= 0 ? Math.min(longestBackoff, wanted) : null;
}

interface Ended {
  readonly exchange: Exchange | null;
  readonly lost: NoAnswer | null;
  readonly stream: StreamFacts;
  readonly retries: number;
  readonly cutAt: Seconds;
}

/** What the request showed; of an answer that did not come to its end, as far as it came. */
function factsOf({ exchange, lost, stream, retries, cutAt }: Ended): RequestFacts {
  const sentAt = exchange?.sentAt ?? lost?.sentAt ?? null;
  // The only token of an answer is there when its end is, text or not.
  const firstAt = stream.outputTokens === 1 && isSilent(stream) ? stream.finishAt : stream.firstAt;
  const since = (time: Seconds | null): Seconds | null => (time === null || sentAt === null ? null : time - sentAt);
  return {
    promptTokens: stream.promptTokens,
    outputTokens: stream.outputTokens,
    cachedTokens: stream.cachedTokens,
    firstTokenSeconds: since(firstAt),
    endToEndSeconds: since(stream.lastAt ?? stream.finishAt ?? exchange?.endedAt ?? cutAt),
    tokenSeconds: tokenSeconds(stream),
    medianGapSeconds: stream.medianGap,
    longestGapSeconds: stream.longestGap,
    serverPrefillSeconds: stream.serverPrefill,
    serverTokenSeconds: stream.serverToken,
    ...(stream.progress.length === 0 ? {} : { serverProgress: [...stream.progress] }),
    retries,
    timedOut: lost?.code === "timeout",
  };
}
