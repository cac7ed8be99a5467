import { type NsquaredError, badInput } from "../base/errors.js";
import type { Random } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import { type Connection, NoAnswer } from "./openai-http.js";
import { plainScale, randomPrompt, scaleOf, type TokenScale } from "./openai-prompt.js";
import { type Api, type Asking, type Completion, complete, type Dialect } from "./openai-request.js";

/** What a server can do, found out by asking it. */
export interface Probe {
  readonly dialect: Dialect;
  readonly prompts: "ids" | "text";
  readonly scale: TokenScale;
  /** The server counts prompts; otherwise lengths are taken on trust. */
  readonly counts: boolean;
  readonly serverTimings: boolean;
  readonly reportsCached: boolean;
  readonly tokenizes: boolean;
  /** Longest prompt and answer as the server names it; null where it does not. */
  readonly contextLimit: number | null;
  /** Median seconds of a request that asks for no work, on an open connection. */
  readonly noopSeconds: Seconds;
  /** Seconds of the first request, connecting included. */
  readonly connectSeconds: Seconds;
  readonly models: readonly string[];
  /** Times of the two small prompts: what a first guess at the whole run rests on. */
  readonly small: readonly { readonly tokens: number; readonly seconds: Seconds }[];
  /** Seconds per further token of a small answer; null where the answer came in one piece. */
  readonly tokenSeconds: Seconds | null;
}

export interface ProbeOptions extends Asking {
  readonly model: string;
  readonly api: Api | "auto";
  readonly random: Random;
}

const noops = 5;
/** Words of the two prompts that show how words become tokens. */
const probeUnits = [24, 120] as const;
const probeAnswer = 2;

/** Any answer that shows the address to be no such server. */
function noServer(connection: Connection, found: unknown, expected: string): NsquaredError {
  return badInput("no-server", { where: connection.base.href, key: "server", found, expected });
}

const causes: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; is the server up, and the port right?",
  ENOTFOUND: "no host of this name is known",
  EAI_AGAIN: "no host of this name is known",
  ECONNRESET: "the connection was closed at once; https where http is meant, or the other way round?",
  EPROTO: "the TLS connection failed; http where https is meant?",
  timeout: "it took too long; a larger --timeout waits longer",
};

function unreachable(connection: Connection, { code, message }: NoAnswer): NsquaredError {
  const tls =
    code.startsWith("CERT_") ||
    code.includes("CERTIFICATE") ||
    code.startsWith("ERR_SSL") ||
    code.startsWith("ERR_TLS");
  const cause =
    causes[code] ?? (tls ? "the TLS connection failed: its certificate is not trusted, or http is meant" : message);
  return noServer(connection, code, cause);
}

interface Listing {
  readonly models: readonly string[];
  readonly contextLimit: number | null;
  readonly connectSeconds: Seconds;
}

/** `/models`: which models, how long their context; the first request to the server. */
async function listModels(connection: Connection, options: ProbeOptions): Promise<Listing> {
  const start = options.clock.now();
  const { status, text } = await get(connection, "/models", options);
  const connectSeconds = options.clock.now() - start;
  if (status === 401 || status === 403) {
    throw badInput("unauthorised", {
      where: connection.base.href,
      key: "API key",
      found: `HTTP ${status}`,
      expected: "a key that the server takes, in the variable that --api-key-env names",
    });
  }
  const value = jsonOf(text);
  if (status === 200 && value === undefined) {
    const html = /<html|<!doctype/i.test(text);
    throw noServer(
      connection,
      html ? "a web page" : text.slice(0, 60),
      "an OpenAI-compatible API; its address often ends in /v1",
    );
  }
  const data: unknown = Reflect.get(Object(value), "data");
  const list: readonly unknown[] = status === 200 && Array.isArray(data) ? data.slice(0, 10_000) : [];
  const models = list.map((item): unknown => Reflect.get(Object(item), "id")).filter((id) => typeof id === "string");
  if (models.length > 0 && !models.includes(options.model)) {
    throw badInput("unknown-model", {
      where: connection.base.href,
      key: "--model-name",
      found: options.model,
      expected: `a model it serves: ${models.slice(0, 20).join(", ")}`,
    });
  }
  const own = list.find((item) => Reflect.get(Object(item), "id") === options.model);
  return { models, contextLimit: limitOf(own), connectSeconds };
}

function limitOf(model: unknown): number | null {
  const meta: unknown = Reflect.get(Object(model), "meta");
  for (const [holder, key] of [
    [model, "max_model_len"],
    [model, "context_length"],
    [meta, "n_ctx"],
  ] as const) {
    const found: unknown = Reflect.get(Object(holder), key);
    if (typeof found === "number" && Number.isSafeInteger(found) && found > 0) return found;
  }
  return null;
}

async function get(
  connection: Connection,
  path: string,
  asking: Asking,
  body?: unknown,
): Promise<{ readonly status: number; readonly text: string }> {
  const pieces: Uint8Array[] = [];
  try {
    const { status } = await connection.exchange({
      method: body === undefined ? "GET" : "POST",
      path,
      ...(body === undefined ? {} : { body }),
      ...asking,
      data: (bytes) => {
        pieces.push(bytes);
      },
    });
    return { status, text: Buffer.concat(pieces).toString("utf8") };
  } catch (error) {
    if (error instanceof NoAnswer) throw unreachable(connection, error);
    throw error;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A way of asking, richest first. */
interface Way {
  readonly dialect: Dialect;
  readonly prompts: "ids" | "text";
}

function waysOf(api: Api | "auto"): Way[] {
  const ways: Way[] = [];
  const apis: readonly Api[] = api === "auto" ? ["completions", "chat"] : [api];
  for (const one of apis) {
    for (const prompts of one === "chat" ? (["text"] as const) : (["ids", "text"] as const)) {
      for (const stream of [true, false]) {
        for (const fixedLength of [true, false]) {
          for (const cachePrompt of fixedLength ? [true, false] : [false]) {
            for (const completionTokens of one === "chat" && !fixedLength ? [false, true] : [false]) {
              const dialect = { api: one, stream, streamUsage: stream, fixedLength, cachePrompt, completionTokens };
              ways.push({ prompts, dialect });
            }
          }
        }
      }
    }
  }
  return ways;
}

/** The first way of asking that the server takes, with its answer. */
async function firstWay(
  connection: Connection,
  options: ProbeOptions,
): Promise<{ readonly way: Way; readonly completion: Completion }> {
  let last: Completion | null = null;
  for (const way of waysOf(options.api)) {
    const prompt = randomPrompt(way.prompts, probeUnits[0], options.random);
    const asked = { model: options.model, prompt, answer: probeAnswer, reusesCache: false };
    const completion = await complete(connection, asked, way.dialect, options);
    if (completion.problem === null) return { way, completion };
    if (completion.status === 401 || completion.status === 403) {
      throw badInput("unauthorised", {
        where: connection.base.href,
        key: "API key",
        found: completion.problem,
        expected: "a key that the server takes, in the variable that --api-key-env names",
      });
    }
    if (completion.status === 404 && /model/i.test(completion.problem) && /not|unknown/i.test(completion.problem)) {
      throw badInput("unknown-model", {
        where: connection.base.href,
        key: "--model-name",
        found: options.model,
        expected: completion.problem,
      });
    }
    last = completion;
    // Only a refusal may be mended by asking in other words.
    if (completion.status < 400 || completion.status >= 500 || completion.status === 429) break;
  }
  throw noServer(connection, last?.problem ?? "no answer", "a completion with some content, streamed or not");
}

/**
 * Finds out what a server can do: whether it is up, which models it has, streaming, counts, token ids as prompts, answers
 * of fixed length, its own timings, and what a request without work costs.
 *
 * @throws NsquaredError `no-server`, `unauthorised`, `unknown-model` (exit code 2)
 */
export async function probeServer(connection: Connection, options: ProbeOptions): Promise<Probe> {
  const listing = await listModels(connection, options);
  const times: Seconds[] = [];
  for (let turn = 0; turn < noops; turn += 1) {
    const start = options.clock.now();
    await get(connection, "/models", options);
    times.push(options.clock.now() - start);
  }
  const { way, completion } = await firstWay(connection, options);
  const [short, long] = probeUnits;
  const second = await complete(
    connection,
    {
      model: options.model,
      prompt: randomPrompt(way.prompts, long, options.random),
      answer: probeAnswer,
      reusesCache: false,
    },
    way.dialect,
    options,
  );
  const first = completion.request.promptTokens;
  const other = second.request.promptTokens;
  const counts = first !== null && other !== null;
  const tokenize = await get(connection, "//tokenize", options, { prompt: "the of and", content: "the of and" }).catch(
    () => null,
  );
  return {
    dialect: way.dialect,
    prompts: way.prompts,
    scale: counts ? scaleOf([short, first], [long, other]) : plainScale,
    counts,
    serverTimings: completion.request.serverPrefillSeconds !== null,
    reportsCached: completion.request.cachedTokens !== null,
    tokenizes: tokenize?.status === 200 && jsonOf(tokenize.text) !== undefined,
    contextLimit: listing.contextLimit,
    noopSeconds: times.sort((a, b) => a - b)[noops >> 1] ?? 0,
    connectSeconds: listing.connectSeconds,
    models: listing.models,
    small: [
      { tokens: first ?? short, seconds: completion.request.firstTokenSeconds ?? 0 },
      { tokens: other ?? long, seconds: second.request.firstTokenSeconds ?? 0 },
    ],
    tokenSeconds: second.request.tokenSeconds ?? completion.request.tokenSeconds,
  };
}
