import { type Random, seededRandom } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import type { Cell, RequestFacts, RuntimeInfo, Warning } from "../runs/schema.js";
import { Connection } from "./openai-http.js";
import { type Probe, type Spent, probeServer } from "./openai-probe.js";
import { randomPrompt, unitsFor } from "./openai-prompt.js";
import {
  type Api,
  type Asking,
  type Completion,
  type Prompt,
  type Question,
  complete,
  passes,
  questionOf,
} from "./openai-request.js";
import type { Capabilities, Outcome, RunContext, Runner } from "./runner.js";

export interface OpenAiOptions {
  /** Base address of the API: `http://127.0.0.1:8000/v1`. */
  readonly address: URL;
  readonly model: string;
  readonly api: Api | "auto";
  /** Sent as a bearer token, kept nowhere. */
  readonly key: string | null;
  readonly seed: number;
  /** Differs between runs, so that no server finds a prompt of an earlier run in its cache. */
  readonly nonce: number;
  readonly timeoutSeconds: Seconds;
  /** Tokens of the answer that a decode step is the mean of. */
  readonly decodeSteps: number;
}

/** A runner on a server, with what asking it showed. */
export interface OpenAiRunner extends Runner {
  readonly probe: Probe;
  /** The probe's findings beside those that `describe` has among its options, as a run keeps them. */
  asked(): Record<string, string | number | boolean | null>;
  /** Tokens of prompts and answers so far, as the server counted them or as they were asked for. */
  spentTokens(): Spent;
  /** Doubts about the client itself. */
  warnings(): Warning[];
  /** Whether a prompt of so many tokens is taken; asks for one token of answer. */
  accepts(tokens: number, context: RunContext): Promise<boolean>;
  /**
   * Asks for one prompt twice: its tokens, and how many of them the server says it found in its cache the second time; null
   * where it doesn't say.
   */
  prefixCache(context: RunContext): Promise<{ readonly tokens: number; readonly cached: number | null }>;
}

/** Tokens of the fixed workload that is watched for drift. */
const referenceTokens = 64;
/** A prompt may be off by this share, or by one token, and still count as of its length. */
const lengthTolerance = 0.002;
/** Tokens found in a cache that are the template's, or chance. */
const cachedAllowance = 16;
const cachedShare = 0.02;
/** Of a prefix that must be cached so many tokens may be missing (a block, the template's end), or this share of what is new. */
const missingAllowance = 32;
const missingShare = 0.05;
/** Prompts as long as this are cached wherever prefixes are: hosted servers begin at 1,024 tokens. */
const cacheProbe = 1280;
/** By this share random words may be more or fewer tokens than the scale says. */
const wordScatter = 0.02;
/** A prompt that the server counts as shorter by this share was cut, not miscounted. */
const cutShare = 0.1;
/** Share of the time that this process computed, above which it may have been late. */
const saturation = 0.85;
/** Steps shorter than this say nothing about how busy this process was. */
const shortestWatch = 0.1;
const mostConcurrent = 4096;

/**
 * A runner that times an OpenAI-compatible server from outside. A prefill cell is the time to the first token (TTFT) of a
 * prompt of n tokens, a decode cell the mean time per further token (TPOT) around context `depth`; batch is the number of
 * requests at once, and the sample is their median.
 *
 * @throws NsquaredError `no-server`, `unauthorised`, `unknown-model`
 */
export async function openOpenAiRunner(options: OpenAiOptions, context: RunContext): Promise<OpenAiRunner> {
  const connection = new Connection(options.address, options.key);
  try {
    const random = seededRandom(freshSeed(options));
    const asking = { ...context, timeoutSeconds: options.timeoutSeconds };
    const probe = await probeServer(connection, { ...asking, model: options.model, api: options.api, random });
    return new Server(connection, options, probe, random);
  } catch (error) {
    connection.close();
    throw error;
  }
}

function freshSeed({ seed, nonce }: Pick<OpenAiOptions, "seed" | "nonce">): number {
  return (seed ^ Math.imul(nonce % 2 ** 32, 0x9e3779b1)) >>> 0;
}

/** One request of a cell, written down before anything is sent. */
interface Prepared {
  readonly question: Question;
  /** Tokens that the prompt must have; how many of them the server must have cached, null where it may. */
  readonly tokens: number;
  readonly depth: number | null;
  /** Tokens of the answer; of one token the first is timed, of more the rest. */
  readonly answer: number;
  readonly words: number;
  /** Words more or fewer than the scale says. */
  readonly correction: number;
  /** Which prompts that correction is of. */
  readonly kind: string;
}

/** Prompts of equal kinds have equal words in another order, but for what is corrected. */
function kindOf(tokens: number, depth: number | null): string {
  return depth === null || depth === 0 ? `${tokens}` : `${tokens - depth} after ${depth}`;
}

class Server implements OpenAiRunner {
  readonly name = "openai";
  readonly capabilities: Capabilities;
  private readonly spent: { input: number; output: number };
  private busiest = 0;
  /** Words more or fewer than the scale says, by what a prompt of that kind was last counted as. */
  private readonly corrections = new Map<string, number>();
  private closed = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: OpenAiOptions,
    readonly probe: Probe,
    private readonly random: Random,
  ) {
    this.spent = { ...probe.spent };
    this.capabilities = {
      phases: probe.dialect.stream ? ["prefill", "decode", "reference"] : ["prefill", "reference"],
      maxLength: probe.contextLimit,
      maxBatch: mostConcurrent,
    };
  }

  describe(): RuntimeInfo {
    const { probe, options } = this;
    const { dialect } = probe;
    return {
      runner: this.name,
      name: probe.server ?? "OpenAI-compatible server",
      version: probe.version ?? "unknown",
      provider: options.address.host,
      threads: null,
      dtype: null,
      attention: null,
      // What decides how it is asked; what else was found is in `asked`.
      options: {
        model: options.model,
        api: dialect.api,
        prompts: probe.prompts,
        streams: dialect.stream,
        "fixed-length answers": dialect.fixedLength,
        "extra tokens": Math.round(probe.scale.extra),
        "decode steps": options.decodeSteps,
        seed: options.seed,
      },
    };
  }

  asked(): Record<string, string | number | boolean | null> {
    const { probe } = this;
    return {
      "no-op seconds": probe.noopSeconds,
      "connect seconds": probe.connectSeconds,
      models: this.connection.quoted(probe.models.slice(0, 20).join(", ")),
      "prompts counted": probe.counts,
      "tokens per word": probe.scaled ? probe.scale.perUnit : null,
      "usage in the stream": probe.dialect.streamUsage,
      cache_prompt: probe.dialect.cachePrompt,
      max_completion_tokens: probe.dialect.completionTokens,
      "server timings": probe.serverTimings,
      "cached tokens reported": probe.reportsCached,
      "/tokenize": probe.tokenizes,
      "context limit": probe.contextLimit,
    };
  }

  spentTokens(): Spent {
    return { ...this.spent };
  }

  warnings(): Warning[] {
    const found: Warning[] = [];
    if (!this.probe.counts) {
      const rest = this.probe.scaled ? "two small prompts that it did count" : "words taken for tokens";
      const message = `the server does not count the prompts it streams an answer to: their lengths rest on ${rest}`;
      found.push({ code: "uncounted", message });
    }
    if (this.busiest >= saturation) {
      const message = `this process was busy for ${Math.round(100 * this.busiest)} % of a step: it may have stamped tokens late; ask for fewer requests at once, and leave this machine to it`;
      found.push({ code: "client-saturated", message });
    }
    return found;
  }

  async accepts(tokens: number, context: RunContext): Promise<boolean> {
    const prepared = this.prepared({ prompt: this.fresh(tokens), tokens, depth: 0, answer: 1 });
    const { status, problem, request } = await this.ask(prepared, context);
    context.signal.throwIfAborted();
    if (problem === null) return request.promptTokens === null || request.promptTokens >= (1 - wordScatter) * tokens;
    // Overload and lost connections say nothing about the length; an error inside a stream has status 200.
    return status === 0 || (passes(status) && status !== 500);
  }

  async prefixCache(context: RunContext): Promise<{ readonly tokens: number; readonly cached: number | null }> {
    const tokens = Math.min(cacheProbe, Math.floor((this.probe.contextLimit ?? Number.POSITIVE_INFINITY) / 2));
    const prompt = this.repeated(tokens);
    await this.ask(this.prepared({ prompt, tokens, depth: null, answer: 1 }), context);
    const { request } = await this.ask(this.prepared({ prompt, tokens, depth: null, answer: 1 }), context);
    context.signal.throwIfAborted();
    return { tokens, cached: request.cachedTokens };
  }

  async run(cell: Cell, context: RunContext): Promise<Outcome> {
    if (this.closed) return { status: "failed", reason: "the runner is closed" };
    if (!this.capabilities.phases.includes(cell.phase)) {
      return { status: "failed", reason: `a server cannot be asked for ${cell.phase}` };
    }
    if (cell.phase === "prefill" && cell.depth > 0) await this.remember(cell.depth, context);
    // Written down first: making a long prompt while an answer arrives would make that answer's stamp late.
    const requests = Array.from({ length: cell.batch }, () => this.requestOf(cell));
    const before = performance.eventLoopUtilization();
    const start = context.clock.now();
    const all = await Promise.all(requests.map((request) => this.timed(request, context)));
    if (context.clock.now() - start >= shortestWatch) {
      this.busiest = Math.max(this.busiest, performance.eventLoopUtilization(before).utilization);
    }
    context.signal.throwIfAborted();
    return middle(all);
  }

  close(): Promise<void> {
    this.closed = true;
    this.connection.close();
    return Promise.resolve();
  }

  private requestOf({ phase, n, depth }: Cell): Prepared {
    if (phase === "reference") {
      return this.prepared({ prompt: this.fresh(referenceTokens), tokens: referenceTokens, depth: 0, answer: 1 });
    }
    if (phase === "decode") {
      // The same prompt each time, so that a prefix cache may help to get there.
      const steps = Math.min(this.options.decodeSteps, Math.max(2, 2 * depth - 1));
      const tokens = Math.max(1, depth - Math.floor(steps / 2));
      return this.prepared({ prompt: this.repeated(tokens), tokens, depth: null, answer: steps + 1 });
    }
    if (depth === 0) return this.prepared({ prompt: this.fresh(n), tokens: n, depth, answer: 1 });
    const prompt = joined(this.repeated(depth), this.fresh(n, depth));
    return this.prepared({ prompt, tokens: n + depth, depth, answer: 1 });
  }

  /** Lets the server see a prefix, so that it is in its cache. */
  private async remember(depth: number, context: RunContext): Promise<void> {
    await this.ask(this.prepared({ prompt: this.repeated(depth), tokens: depth, depth: null, answer: 1 }), context);
  }

  private prepared({
    prompt,
    ...rest
  }: Pick<Prepared, "tokens" | "depth" | "answer"> & { readonly prompt: Prompt }): Prepared {
    const asked = { model: this.options.model, prompt, answer: rest.answer, reusesCache: rest.depth !== 0 };
    const words = typeof prompt === "string" ? prompt.split(" ").length : prompt.length;
    const kind = kindOf(rest.tokens, rest.depth);
    const correction = this.corrections.get(kind) ?? 0;
    return { ...rest, words, correction, kind, question: questionOf(asked, this.probe.dialect) };
  }

  /** Time to the first token (TTFT) of an answer of one, else the mean time per further token (TPOT). */
  private async timed(prepared: Prepared, context: RunContext): Promise<Outcome> {
    const { request, problem, gone } = await this.ask(prepared, context);
    if (problem !== null) return { status: "failed", reason: problem, request, ...(gone ? { gone } : {}) };
    const steps = Math.max(1, prepared.answer - 1);
    const seconds = prepared.answer === 1 ? request.firstTokenSeconds : request.tokenSeconds;
    const reason = this.doubt(prepared, request);
    if (seconds === null) {
      return { status: "failed", reason: reason ?? "the answer came in one piece: no time per token", request };
    }
    return reason === null
      ? { status: "ok", seconds, steps, request }
      : { status: "rejected", seconds, steps, reason, request };
  }

  private async ask(prepared: Prepared, context: RunContext): Promise<Completion> {
    const asking: Asking = { ...context, timeoutSeconds: this.options.timeoutSeconds };
    const completion = await complete(this.connection, prepared.question, this.probe.dialect, asking);
    const { promptTokens, outputTokens } = completion.request;
    // A refusal costs nothing; an answer that was cut, or never came, was worked on.
    if (completion.status >= 400) return completion;
    this.spent.input += promptTokens ?? prepared.words;
    this.spent.output += outputTokens ?? prepared.answer;
    return completion;
  }

  /** A prompt of so many tokens that no cache has seen, or the end of one whose first `depth` tokens are there already. */
  private fresh(tokens: number, depth = 0): Prompt {
    return randomPrompt(this.probe.prompts, this.units(tokens, depth), this.random);
  }

  /** The same prompt whenever it is asked for with this length; longer ones begin with shorter ones. */
  private repeated(tokens: number): Prompt {
    return randomPrompt(this.probe.prompts, this.units(tokens, 0), seededRandom(this.options.seed));
  }

  private units(tokens: number, depth: number): number {
    const { scale } = this.probe;
    const correction = this.corrections.get(kindOf(tokens + depth, depth)) ?? 0;
    return Math.max(1, unitsFor(tokens, depth === 0 ? scale : { ...scale, extra: 0 }) + correction);
  }

  /** Why a timed answer must not be used, or null. */
  private doubt(prepared: Prepared, request: RequestFacts): string | null {
    const { tokens, depth, answer, correction } = prepared;
    const { promptTokens, outputTokens, cachedTokens } = request;
    // A prompt that was made longer since it was last counted, and is counted as short as before, is cut.
    const stays =
      promptTokens !== null && correction > 0 && tokens - promptTokens >= correction * this.probe.scale.perUnit;
    if (promptTokens !== null && promptTokens !== tokens && !stays) this.correct(prepared, promptTokens);
    if (promptTokens !== null && Math.abs(promptTokens - tokens) > Math.max(1, lengthTolerance * tokens)) {
      const cut = stays || promptTokens < (1 - cutShare) * tokens ? "; the server cuts prompts silently" : "";
      return `a prompt of ${tokens} tokens was sent, the server counted ${promptTokens}${cut}`;
    }
    if (depth === 0 && cachedTokens !== null && cachedTokens > cachedAllowance + cachedShare * tokens) {
      return `${cachedTokens} of ${tokens} prompt tokens came from the server's cache`;
    }
    if (depth !== null && depth > 0) {
      if (cachedTokens === null) return "the server does not say how much of the prefix it had cached";
      const missing = depth - cachedTokens;
      if (Math.abs(missing) > missingAllowance + missingShare * (tokens - depth)) {
        return `${cachedTokens} tokens came from the server's cache, the prefix has ${depth}`;
      }
    }
    if (outputTokens !== null && outputTokens < answer) {
      return `the answer ended after ${outputTokens} of ${answer} tokens`;
    }
    return null;
  }

  /** Lets the next prompt of this length have so many words more or fewer as this one was off. */
  private correct({ tokens, correction, kind }: Prepared, counted: number): void {
    const missed = Math.round((tokens - counted) / this.probe.scale.perUnit);
    if (Math.abs(missed) < cutShare * tokens) this.corrections.set(kind, correction + missed);
  }
}

function joined(prefix: Prompt, rest: Prompt): Prompt {
  if (typeof prefix !== "string" && typeof rest !== "string") return [...prefix, ...rest];
  return `${String(prefix)} ${String(rest)}`;
}

/** The outcome of requests that ran at once: the middle one where all are fit for use, else the first that is not. */
function middle(all: readonly Outcome[]): Outcome {
  const bad = all.find(({ status }) => status === "failed") ?? all.find(({ status }) => status === "rejected");
  if (bad !== undefined) return bad;
  const timed = all.flatMap((outcome) => (outcome.status === "ok" ? [outcome] : []));
  const sorted = timed.sort((left, right) => left.seconds - right.seconds);
  const found = sorted[(sorted.length - 1) >> 1];
  if (found === undefined) return { status: "failed", reason: "no request was sent" };
  const refused = all.filter(({ request }) => (request?.retries ?? 0) > 0).length;
  if (refused === 0 || all.length === 1) return found;
  const reason = `${refused} of ${all.length} requests were refused at first: they did not run at once`;
  return { ...found, status: "rejected", reason };
}
