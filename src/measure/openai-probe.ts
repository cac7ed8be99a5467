import { badInput } from "../base/errors.js";
import type { Random } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import { median } from "../math/median.js";
import type { Connection } from "./openai-http.js";
import { at, isWebPage, jsonOf } from "./openai-json.js";
import { get, limitOf, nameOf, ownWords } from "./openai-pages.js";
import { anApi, isUnauthorised, noServer, unauthorised } from "./openai-refusal.js";
import { type TokenScale, plainScale, randomPrompt, scaleOf, wordCycle } from "./openai-prompt.js";
import {
  type Api,
  type Asking,
  type Completion,
  type Dialect,
  complete,
  notStreamed,
  passes,
  questionOf,
} from "./openai-request.js";

/** What a server can do, found out by asking it. */
export interface Probe {
  readonly dialect: Dialect;
  readonly prompts: "ids" | "text";
  readonly scale: TokenScale;
  /** Name and version of the server as it gives them; null where it does not. */
  readonly server: string | null;
  readonly version: string | null;
  /** The server counts each prompt; otherwise lengths rest on the scale. */
  readonly counts: boolean;
  /** The scale rests on prompts that the server counted; otherwise a word is taken for a token. */
  readonly scaled: boolean;
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
  /** Tokens of prompts and answers that finding it out has cost. */
  readonly spent: Spent;
}

/** Tokens as the server counted them, or as they were asked for. */
export interface Spent {
  readonly input: number;
  readonly output: number;
}

export interface ProbeOptions extends Asking {
  readonly model: string;
  readonly api: Api | "auto";
  readonly random: Random;
}

interface Probing extends ProbeOptions {
  readonly spent: { -readonly [Key in keyof Spent]: Spent[Key] };
}

const noops = 5;
/** Words of the two prompts that show how words become tokens. */
const probeUnits = [wordCycle, 3 * wordCycle] as const;
const probeAnswer = 2;
/** Where the two small prompts took longer together, they are not asked twice. */
const longestRepeated: Seconds = 5;

interface Listing {
  readonly models: readonly string[];
  readonly owner: string | null;
  readonly contextLimit: number | null;
  readonly connectSeconds: Seconds;
}

/** `/models`: which models, how long their context; the first request to the server. */
async function listModels(connection: Connection, options: ProbeOptions): Promise<Listing> {
  const start = options.clock.now();
  const { status, text, location } = await get(connection, "/models", options);
  const connectSeconds = options.clock.now() - start;
  if (isUnauthorised(status)) throw unauthorised(connection, `HTTP ${status}`);
  if (status >= 300 && status < 400 && location !== null) {
    const expected = "the address that it points to, as far as that is trusted; redirections are not followed";
    throw noServer(connection, `HTTP ${status} to ${location}`, expected);
  }
  const value = jsonOf(text);
  if (status === 200 && value === undefined) {
    throw noServer(connection, isWebPage(text) ? "a web page" : text, anApi);
  }
  const data = at(value, "data");
  const list: readonly unknown[] = status === 200 && Array.isArray(data) ? data.slice(0, 10_000) : [];
  const models = list.map((item) => at(item, "id")).filter((id) => typeof id === "string");
  if (models.length > 0 && !models.includes(options.model)) {
    throw badInput("unknown-model", {
      where: connection.base.href,
      key: "--model-name",
      found: options.model,
      expected: `a model it serves: ${connection.quoted(models.slice(0, 20).join(", "))}`,
    });
  }
  const own = list.find((item) => at(item, "id") === options.model);
  const owner = at(own, "owned_by");
  return { models, owner: nameOf(owner), contextLimit: limitOf(own), connectSeconds };
}

/** A way of asking, richest first. */
interface Way {
  readonly dialect: Dialect;
  readonly prompts: "ids" | "text";
}

/** How an answer may be wanted: streamed with counts at its end, streamed without, whole. */
const manners = [
  { stream: true, streamUsage: true },
  { stream: true, streamUsage: false },
  { stream: false, streamUsage: false },
] as const;

/** Options that not every server knows. */
const extras = [
  { fixedLength: true, cachePrompt: true, completionTokens: false },
  { fixedLength: true, cachePrompt: false, completionTokens: false },
  { fixedLength: false, cachePrompt: false, completionTokens: false },
  { fixedLength: false, cachePrompt: false, completionTokens: true },
] as const;

function waysOf(api: Api | "auto"): Way[] {
  const apis: readonly Api[] = api === "auto" ? ["completions", "chat"] : [api];
  return apis.flatMap((one) => {
    const kinds = one === "chat" ? (["text"] as const) : (["ids", "text"] as const);
    const known = extras.filter(({ completionTokens }) => one === "chat" || !completionTokens);
    return kinds.flatMap((prompts) =>
      manners.flatMap((manner) => known.map((extra): Way => ({ prompts, dialect: { api: one, ...manner, ...extra } }))),
    );
  });
}

async function askSmall(
  connection: Connection,
  { dialect, prompts }: Way,
  units: number,
  options: Probing,
): Promise<Completion> {
  const prompt = randomPrompt(prompts, units, options.random);
  const asked = { model: options.model, prompt, answer: probeAnswer, reusesCache: false };
  const completion = await complete(connection, questionOf(asked, dialect), dialect, options);
  const { promptTokens, outputTokens } = completion.request;
  if (completion.status < 400) {
    options.spent.input += promptTokens ?? units;
    options.spent.output += outputTokens ?? probeAnswer;
  }
  return completion;
}

/** The first way of asking that the server takes, with its answer. */
async function firstWay(
  connection: Connection,
  options: Probing,
): Promise<{ readonly way: Way; readonly completion: Completion }> {
  let last: Completion | null = null;
  const absent = new Set<Api>();
  for (const way of waysOf(options.api)) {
    if (absent.has(way.dialect.api)) continue;
    const completion = await askSmall(connection, way, probeUnits[0], options);
    options.signal.throwIfAborted();
    if (completion.problem === null) return { way, completion };
    if (isUnauthorised(completion.status)) throw unauthorised(connection, completion.problem);
    if (completion.status === 404 && /model/i.test(completion.problem) && /not|unknown/i.test(completion.problem)) {
      throw badInput("unknown-model", {
        where: connection.base.href,
        key: "--model-name",
        found: options.model,
        expected: completion.problem,
      });
    }
    last = completion;
    if (completion.status === 404 || completion.status === 405) absent.add(way.dialect.api);
    // Only a refusal, or a wish that was ignored, may be mended by asking in other words.
    const refused = completion.status >= 400 && completion.status < 500 && completion.status !== 429;
    const ignored = way.dialect.stream && completion.problem === notStreamed;
    if (!refused && !ignored && completion.status !== 501) break;
  }
  const nothing = absent.size > 0 && (last?.status === 404 || last?.status === 405);
  const expected = nothing
    ? anApi
    : passes(last?.status ?? 0)
      ? "it refuses for now, being overloaded or still loading: try again later"
      : last?.request.timedOut === true
        ? "a completion in that time; a larger --timeout, and --time, wait longer"
        : "expected a completion with some content, streamed or not";
  throw noServer(connection, last?.problem ?? "no answer", expected);
}

/**
 * Finds out what a server can do: whether it is up, which models it has, streaming, counts, token ids as prompts, answers
 * of fixed length, its own timings, and what a request without work costs.
 *
 * @throws NsquaredError `no-server`, `unauthorised`, `unknown-model` (exit code 2)
 */
export async function probeServer(connection: Connection, asked: ProbeOptions): Promise<Probe> {
  const options: Probing = { ...asked, spent: { input: 0, output: 0 } };
  const listing = await listModels(connection, options);
  const times: Seconds[] = [];
  for (let turn = 0; turn < noops; turn += 1) {
    const start = options.clock.now();
    await get(connection, "/models", options);
    times.push(options.clock.now() - start);
  }
  const { way, completion } = await firstWay(connection, options);
  const [short] = probeUnits;
  const { units: long, completion: second } = await secondLength(connection, way, options);
  const first = completion.request.promptTokens;
  const other = second.request.promptTokens;
  const counts = first !== null && other !== null;
  const counted = counts
    ? [first, other]
    : way.dialect.stream
      ? await countWhole(connection, way, [short, long], options)
      : null;
  const [few = null, many = null] = counted ?? [];
  const scaled = few !== null && many !== null;
  const again = await askAgain(
    connection,
    way,
    [
      { units: short, completion },
      { units: long, completion: second },
    ],
    options,
  );
  const own = await ownWords(connection, listing.contextLimit, options);
  const tokenize = await get(connection, "//tokenize", options, { prompt: "the of and", content: "the of and" }).catch(
    () => null,
  );
  return {
    dialect: way.dialect,
    prompts: way.prompts,
    scale: scaled ? scaleOf([short, few], [long, many]) : plainScale,
    server: own.server ?? listing.owner,
    version: own.version,
    counts,
    scaled,
    serverTimings: completion.request.serverPrefillSeconds !== null,
    reportsCached: completion.request.cachedTokens !== null,
    tokenizes: tokenize?.status === 200 && jsonOf(tokenize.text) !== undefined,
    contextLimit: own.contextLimit,
    noopSeconds: median(times),
    connectSeconds: listing.connectSeconds,
    models: listing.models,
    small: [
      { tokens: first ?? short, seconds: fastest(firstSeconds, completion, ...again.slice(0, 1)) ?? 0 },
      { tokens: other ?? long, seconds: fastest(firstSeconds, second, ...again.slice(1)) ?? 0 },
    ],
    tokenSeconds: fastest(({ request }) => request.tokenSeconds, completion, second, ...again),
    spent: options.spent,
  };
}

/** An answer to a prompt of another length: longer, or shorter where the context has no room for that. */
async function secondLength(
  connection: Connection,
  way: Way,
  options: Probing,
): Promise<{ readonly units: number; readonly completion: Completion }> {
  const ask = (units: number): Promise<Completion> => askSmall(connection, way, units, options);
  const [, long] = probeUnits;
  const completion = await ask(long);
  if (completion.problem === null) return { units: long, completion };
  const few = wordCycle >> 2;
  return { units: few, completion: await ask(few) };
}

/** First answers are slow where the server warms up with them: short prompts are asked once more. */
async function askAgain(
  connection: Connection,
  way: Way,
  first: readonly Asked[],
  options: Probing,
): Promise<readonly Completion[]> {
  const spent = first.reduce((sum, { completion }) => sum + (completion.request.endToEndSeconds ?? 0), 0);
  if (spent > longestRepeated) return [];
  const found: Completion[] = [];
  for (const { units } of first) found.push(await askSmall(connection, way, units, options));
  return found;
}

interface Asked {
  readonly units: number;
  readonly completion: Completion;
}

function firstSeconds({ request }: Completion): Seconds | null {
  return request.firstTokenSeconds ?? request.endToEndSeconds;
}

/** The shortest of what some answers took; null where none says. */
function fastest(
  of: (completion: Completion) => Seconds | null,
  ...completions: readonly Completion[]
): Seconds | null {
  const times = completions.flatMap((completion) => of(completion) ?? []);
  return times.length === 0 ? null : Math.min(...times);
}

/** How the server counts the two small prompts where it counts only in answers that are not streamed. */
async function countWhole(
  connection: Connection,
  way: Way,
  lengths: readonly number[],
  options: Probing,
): Promise<(number | null)[]> {
  const dialect = { ...way.dialect, stream: false, streamUsage: false };
  const found: (number | null)[] = [];
  for (const units of lengths) {
    found.push((await askSmall(connection, { ...way, dialect }, units, options)).request.promptTokens);
  }
  return found;
}
