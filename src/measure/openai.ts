import { type Random, seededRandom } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import type { Cell, RequestFacts, RuntimeInfo, Warning } from "../runs/schema.js";
import { Connection } from "./openai-http.js";
import { type Probe, probeServer } from "./openai-probe.js";
import { randomPrompt, unitsFor } from "./openai-prompt.js";
import { type Api, type Asking, type Completion, type Prompt, complete } from "./openai-request.js";
import type { Capabilities, Outcome, RunContext, Runner } from "./runner.js";

export interface OpenAiOptions {
  /** Base address of the API: `http://127.0.0.1:8000/v1`. */
  readonly address: URL;
  readonly model: string;
  readonly api: Api | "auto";
  /** Sent as a bearer token, kept nowhere. */
  readonly key: string | null;
  readonly seed: number;
  readonly timeoutSeconds: Seconds;
  /** Tokens of the answer that a decode step is the mean of. */
  readonly decodeSteps: number;
}

/** A runner on a server, with what asking it showed. */
export interface OpenAiRunner extends Runner {
  readonly probe: Probe;
  /** The probe's findings, as a run keeps them. */
  asked(): Record<string, string | number | boolean | null>;
  /** Tokens of prompts and answers so far, as the server counted them or as they were asked for. */
  spentTokens(): { readonly input: number; readonly output: number };
  /** Doubts about the client itself. */
  warnings(): Warning[];
  /** Whether a prompt of so many tokens is taken; asks for one token of answer. */
  accepts(tokens: number, context: RunContext): Promise<boolean>;
}

/** Tokens of the fixed workload that is watched for drift. */
const referenceTokens = 64;
/** A prompt may be off by this share, or by one token, and still count as of its length. */
const lengthTolerance = 0.002;
/** Tokens found in a cache that are the template's, or chance. */
const cachedAllowance = 16;
const cachedShare = 0.02;
/** Share of the time that this process computed, above which it may have been late. */
const saturation = 0.85;
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
    const random = seededRandom(options.seed);
    const asking = { ...context, timeoutSeconds: options.timeoutSeconds };
    const probe = await probeServer(connection, { ...asking, model: options.model, api: options.api, random });
    return new Server(connection, options, probe, random);
  } catch (error) {
    connection.close();
    throw error;
  }
}

class Server implements OpenAiRunner {
  readonly name = "openai";
  readonly capabilities: Capabilities;
  private readonly spent = { input: 0, output: 0 };
  private busiest = 0;
  /** Words more or fewer than the scale says, by what a prompt of that length was last counted as. */
  private readonly corrections = new Map<number, number>();
  private closed = false;

  constructor(
    private readonly connection: Connection,
    private readonly options: OpenAiOptions,
    readonly probe: Probe,
    private readonly random: Random,
  ) {
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
      name: "OpenAI-compatible server",
      version: "unknown",
      provider: options.address.host,
      threads: null,
      dtype: null,
      attention: null,
      options: {
        model: options.model,
        api: dialect.api,
        prompts: probe.prompts,
        streams: dialect.stream,
        counts: probe.counts,
        "fixed-length answers": dialect.fixedLength,
        "extra tokens": Math.round(probe.scale.extra),
        "server timings": probe.serverTimings,
        "reports cached tokens": probe.reportsCached,
        tokenizes: probe.tokenizes,
        "context limit": probe.contextLimit,
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
      models: probe.models.slice(0, 20).join(", ").slice(0, 1000),
      streams: probe.dialect.stream,
      "token-id prompts": probe.prompts === "ids",
      "usage in answers": probe.counts,
      "ignore_eos and min_tokens": probe.dialect.fixedLength,
      "server timings": probe.serverTimings,
      "cached tokens reported": probe.reportsCached,
      "/tokenize": probe.tokenizes,
      "context limit": probe.contextLimit,
    };
  }

  spentTokens(): { readonly input: number; readonly output: number } {
    return { ...this.spent };
  }

  warnings(): Warning[] {
    if (this.busiest < saturation) return [];
    const message = `this process was busy for ${Math.round(100 * this.busiest)} % of a step: it may have stamped tokens late; ask for fewer requests at once`;
    return [{ code: "client-saturated", message }];
  }

  async accepts(tokens: number, context: RunContext): Promise<boolean> {
    const { status, problem } = await this.ask(this.fresh(tokens), 1, false, context);
    return problem === null || (status !== 400 && status !== 413 && status !== 422);
  }

  async run(cell: Cell, context: RunContext): Promise<Outcome> {
    if (this.closed) return { status: "failed", reason: "the runner is closed" };
    const before = performance.eventLoopUtilization();
    const all = await Promise.all(Array.from({ length: cell.batch }, () => this.one(cell, context)));
    this.busiest = Math.max(this.busiest, performance.eventLoopUtilization(before).utilization);
    context.signal.throwIfAborted();
    return middle(all);
  }

  close(): Promise<void> {
    this.closed = true;
    this.connection.close();
    return Promise.resolve();
  }

  private async one(cell: Cell, context: RunContext): Promise<Outcome> {
    if (cell.phase === "reference") return this.first(referenceTokens, this.fresh(referenceTokens), 0, context);
    if (cell.phase === "decode") return this.further(cell, context);
    const { n, depth } = cell;
    if (depth === 0) return this.first(n, this.fresh(n), 0, context);
    // A prefix that the server has seen, then new tokens.
    const prefix = this.repeated(depth);
    await this.ask(prefix, 1, true, context);
    return this.first(n + depth, joined(prefix, this.fresh(n, false)), depth, context);
  }

  /** Time to the first token of a prompt that must have `tokens` tokens, `depth` of them cached. */
  private async first(tokens: number, prompt: Prompt, depth: number, context: RunContext): Promise<Outcome> {
    const { request, problem } = await this.ask(prompt, 1, depth > 0, context);
    if (problem !== null) return { status: "failed", reason: problem, request };
    const seconds = request.firstTokenSeconds ?? 0;
    const reason = this.doubt(tokens, depth, 1, request);
    return reason === null
      ? { status: "ok", seconds, steps: 1, request }
      : { status: "rejected", seconds, steps: 1, reason, request };
  }

  /** Mean time per further token around a context; the prompt is the same each time, so a prefix cache may help. */
  private async further({ depth }: Cell, context: RunContext): Promise<Outcome> {
    const steps = Math.min(this.options.decodeSteps, Math.max(2, 2 * depth - 1));
    const tokens = Math.max(1, depth - Math.floor(steps / 2));
    const { request, problem } = await this.ask(this.repeated(tokens), steps + 1, true, context);
    if (problem !== null) return { status: "failed", reason: problem, request };
    const seconds = request.tokenSeconds;
    if (seconds === null)
      return { status: "failed", reason: "the answer came in one piece: no time per token", request };
    const reason = this.doubt(tokens, null, steps + 1, request);
    return reason === null
      ? { status: "ok", seconds, steps, request }
      : { status: "rejected", seconds, steps, reason, request };
  }

  private async ask(prompt: Prompt, answer: number, reusesCache: boolean, context: RunContext): Promise<Completion> {
    const asking: Asking = { ...context, timeoutSeconds: this.options.timeoutSeconds };
    const asked = { model: this.options.model, prompt, answer, reusesCache };
    const completion = await complete(this.connection, asked, this.probe.dialect, asking);
    const { promptTokens, outputTokens } = completion.request;
    const length = typeof prompt === "string" ? prompt.split(" ").length : prompt.length;
    this.spent.input += promptTokens ?? length;
    this.spent.output += outputTokens ?? answer;
    return completion;
  }

  /** A prompt of so many tokens that no cache has seen. */
  private fresh(tokens: number, whole = true): Prompt {
    return randomPrompt(this.probe.prompts, this.units(tokens, whole), this.random);
  }

  /** The same prompt whenever it is asked for with this length. */
  private repeated(tokens: number): Prompt {
    return randomPrompt(this.probe.prompts, this.units(tokens, true), seededRandom(this.options.seed + tokens));
  }

  private units(tokens: number, whole: boolean): number {
    const { scale } = this.probe;
    const correction = this.corrections.get(tokens) ?? 0;
    return Math.max(1, unitsFor(tokens, whole ? scale : { ...scale, extra: 0 }) + correction);
  }

  /** Why a timed answer must not be used, or null. */
  private doubt(tokens: number, depth: number | null, answer: number, request: RequestFacts): string | null {
    const { promptTokens, outputTokens, cachedTokens } = request;
    if (promptTokens !== null && Math.abs(promptTokens - tokens) > Math.max(1, lengthTolerance * tokens)) {
      const { perUnit } = this.probe.scale;
      const missed = Math.round((tokens - promptTokens) / perUnit);
      if (Math.abs(missed) < tokens / 10) this.corrections.set(tokens, (this.corrections.get(tokens) ?? 0) + missed);
      const cut = promptTokens < 0.9 * tokens ? "; the server cuts prompts silently" : "";
      return `a prompt of ${tokens} tokens was sent, the server counted ${promptTokens}${cut}`;
    }
    if (depth === 0 && cachedTokens !== null && cachedTokens > cachedAllowance + cachedShare * tokens) {
      return `${cachedTokens} of ${tokens} prompt tokens came from the server's cache`;
    }
    if (depth !== null && depth > 0 && (cachedTokens === null || cachedTokens < depth * 0.9 - cachedAllowance)) {
      return cachedTokens === null
        ? "the server does not say how much of the prefix it had cached"
        : `only ${cachedTokens} of the prefix's ${depth} tokens came from the server's cache`;
    }
    if (outputTokens !== null && outputTokens < answer) {
      return `the answer ended after ${outputTokens} of ${answer} tokens`;
    }
    return null;
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
  return sorted[(sorted.length - 1) >> 1] ?? { status: "failed", reason: "no request was sent" };
}
