import { badInput } from "../base/errors.js";
import { tokens } from "../base/format.js";
import { seededRandom } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import { type Clock, systemClock } from "../measure/clock.js";
import { readMachine } from "../measure/environment.js";
import type { ProgressEvent } from "../measure/progress.js";
import type { RunContext } from "../measure/runner.js";
import { type Recorded, recordRun } from "../measure/record.js";
import { type OpenAiOptions, type OpenAiRunner, openOpenAiRunner } from "../measure/openai.js";
import { contentDigest } from "../runs/digest.js";
import {
  type Cell,
  type Plan,
  type Run,
  type RunHeader,
  type Warning,
  cachedBefore,
  lengthOf,
} from "../runs/schema.js";
import type { UntilDocument } from "./documents/measure.js";
import { untilDocuments } from "./measure-until.js";
import {
  type EndpointEstimate,
  type PlanOptions,
  cellsOf,
  estimateOf,
  referenceCell,
  spentTokens,
  stopAtTokens,
  withinContext,
  withinFoundContext,
  withinTokens,
} from "./endpoint-plan.js";
import { assertMergeable, remainderOf } from "./resume.js";
import { type Goal, untilRule, type UntilPlan } from "./until.js";

export interface EndpointOptions extends PlanOptions, Omit<OpenAiOptions, "decodeSteps" | "timeoutSeconds" | "nonce"> {
  readonly repeat: number;
  readonly timeLimitSeconds: number | null;
  readonly timeoutSeconds?: Seconds;
  readonly decodeSteps?: number;
  readonly output: { readonly file: string } | { readonly folder: string };
  readonly resume?: Run;
  /** What to measure until: `lengths` are then the first blocks alone, and the time limit is a number. */
  readonly goal?: Goal;
}

export interface EndpointWorld {
  readonly created: Date;
  readonly signal: AbortSignal;
  readonly progress?: (event: ProgressEvent) => void;
  /** The system's unless given. */
  readonly clock?: Clock;
  readonly say: (text: string) => void;
  /** Asked before the first sample; a no ends it without a run. */
  readonly agree: (estimate: EndpointEstimate) => Promise<boolean>;
}

export interface EndpointMeasurement extends Recorded {
  readonly estimate: EndpointEstimate;
  readonly until?: readonly UntilDocument[];
}

const defaultTimeout = 600;
const defaultDecodeSteps = 32;

/** How a run names a server's model: by its name and where it is served, never by anything secret. */
function endpointModel({ address, model }: Pick<OpenAiOptions, "address" | "model">): RunHeader["model"] {
  const source = `${address.protocol}//${address.host}${address.pathname}`;
  return { name: model, source, digest: contentDigest({ endpoint: source, model }) };
}

/**
 * Times an OpenAI-compatible server over a ladder of prompt lengths and writes the run file.
 *
 * @returns null where the estimate was not agreed to
 * @throws NsquaredError `no-server`, `unauthorised`, `unknown-model`, and where no length fits the server's context
 */
export async function measureEndpoint(
  options: EndpointOptions,
  world: EndpointWorld,
): Promise<EndpointMeasurement | null> {
  const { signal, clock = systemClock } = world;
  const context = { clock, signal };
  const before = options.resume?.runtime.options["decode steps"];
  const decodeSteps = options.decodeSteps ?? (typeof before === "number" ? before : defaultDecodeSteps);
  world.say(`asking ${options.address.host} what it can do`);
  // An answer that never comes must not outlast the limit of the whole run by much.
  const timeoutSeconds = Math.min(
    options.timeoutSeconds ?? defaultTimeout,
    options.timeLimitSeconds ?? Number.POSITIVE_INFINITY,
  );
  const runner = await openOpenAiRunner(
    {
      ...options,
      decodeSteps,
      timeoutSeconds,
      nonce: world.created.getTime(),
    },
    context,
  );
  try {
    world.say(summaryOf(runner));
    const model = endpointModel(options);
    const remainder = options.resume === undefined ? null : remainderOf(options.resume, model, runner.name);
    const machine = await readMachine();
    if (remainder !== null && options.resume !== undefined) {
      const plan = { ...remainder.plan, reference: referenceCell };
      assertMergeable(options.resume, { model, runtime: runner.describe(), machine, plan });
    }
    const warnings: Warning[] = [];
    const wanted = remainder?.plan.cells ?? cellsOf(options, runner);
    if (wanted.some(({ phase, depth }) => phase === "prefill" && depth > 0)) await assertCaches(runner, context);
    const named = withinContext(wanted, runner.probe.contextLimit, decodeSteps, warnings);
    const affordable = withinTokens(named, options, spentTokens(runner), decodeSteps, warnings);
    const planOf = (cells: Cell[]): Plan => ({
      cells,
      reference: referenceCell,
      repeat: remainder?.plan.repeat ?? options.repeat,
      warmups: options.warmups,
      timeLimitSeconds: options.timeLimitSeconds,
    });
    // An upper bound where the limit must be found: what it cuts off costs nothing but the search.
    const first = estimateOf(planOf(affordable), runner, options, decodeSteps);
    const estimate = { ...first, atMostSeconds: options.goal === undefined ? null : options.timeLimitSeconds };
    for (const { message } of warnings) world.say(`warning: ${message}`);
    const said = warnings.length;
    if (!(await world.agree(estimate))) return null;
    const cells =
      runner.probe.contextLimit === null
        ? withinTokens(
            await withinFoundContext(affordable, runner, decodeSteps, context, warnings),
            options,
            // The search has cost some, too.
            spentTokens(runner),
            decodeSteps,
            warnings,
          )
        : affordable;
    for (const { message } of warnings.slice(said)) world.say(`warning: ${message}`);
    const plan = planOf(cells);
    const aims = options.goal === undefined ? null : untilPlans(options.goal, plan, runner, decodeSteps);
    const rule = aims === null ? null : untilRule(aims);
    const next = stopAtTokens(rule?.next ?? remainder?.next, plan, runner, options, decodeSteps, warnings);
    const recorded = await recordRun({
      runner,
      plan,
      model,
      machine,
      probe: runner.asked(),
      seed: options.seed,
      random: seededRandom(options.seed),
      clock,
      created: world.created,
      output: options.output,
      ...(next === undefined ? {} : { next }),
      ...(remainder === null ? {} : { parent: remainder.parent }),
      ...(world.progress === undefined ? {} : { progress: world.progress }),
      signal,
      doubts: () => [...warnings, ...runner.warnings()],
    });
    if (aims === null || rule === null) return { ...recorded, estimate };
    return { ...recorded, estimate, until: untilDocuments(recorded, aims, rule) };
  } finally {
    await runner.close();
  }
}

/**
 * The plans of a run towards a goal, from the cells of its first blocks: one for each phase and depth. A context that the
 * server doesn't name is met by a prompt that it refuses: nothing as long is asked for again.
 */
function untilPlans(goal: Goal, plan: Plan, { probe }: OpenAiRunner, decodeSteps: number): UntilPlan[] {
  const { cells, repeat, warmups, timeLimitSeconds } = plan;
  const batches = new Set(cells.map(({ batch }) => batch));
  const [batch = 1] = batches;
  if (batches.size > 1) {
    const expected = "one number: each of them has a law of its own";
    throw badInput("until-batches", {
      where: "--until",
      key: "--concurrency",
      found: [...batches].join(","),
      expected,
    });
  }
  const laws = new Map<string, UntilPlan>();
  for (const cell of cells) {
    if (cell.phase === "reference") continue;
    const depth = cachedBefore(cell);
    const key = `${cell.phase} ${depth}`;
    const before = laws.get(key);
    laws.set(key, {
      goal,
      phase: cell.phase,
      batch,
      depth,
      start: [...(before?.start ?? []), lengthOf(cell)],
      repeat,
      warmups,
      seconds: timeLimitSeconds ?? Number.POSITIVE_INFINITY,
      longest: Math.min(goal.n, (probe.contextLimit ?? Number.POSITIVE_INFINITY) - depth - decodeSteps - 1),
      curve: null,
    });
  }
  return [...laws.values()];
}

/** @throws NsquaredError where prefills at depth could not be told from whole ones */
async function assertCaches(runner: OpenAiRunner, context: RunContext): Promise<void> {
  const { tokens: asked, cached } = await runner.prefixCache(context);
  if (cached !== null && cached >= asked / 2) return;
  throw badInput("no-prefix-cache", {
    where: "--depths",
    key: "cached tokens of a prompt sent twice",
    found: cached === null ? "not told" : `${cached} of ${asked}`,
    expected:
      cached === null
        ? "a server that tells them (vLLM: --enable-prompt-tokens-details, SGLang: --enable-cache-report); else nobody knows what it computed"
        : "a server that caches prefixes, and has that switched on",
  });
}

function summaryOf(runner: OpenAiRunner): string {
  const { probe } = runner;
  const { dialect } = probe;
  const limit = probe.contextLimit === null ? "context limit not said" : `context ${tokens(probe.contextLimit)}`;
  const extras = [
    [dialect.fixedLength, "answers of fixed length (ignore_eos, min_tokens)"],
    [dialect.streamUsage, "usage in the stream"],
    [dialect.cachePrompt, "cache_prompt"],
    [dialect.completionTokens, "max_completion_tokens"],
    [probe.serverTimings, "the server's own timings"],
    [probe.reportsCached, "cached tokens"],
    [probe.tokenizes, "/tokenize"],
  ] as const;
  const taken = extras.filter(([has]) => has).map(([, name]) => name);
  const not = extras.filter(([has]) => !has).map(([, name]) => name);
  const told = [probe.server, probe.version].filter((text) => text !== null).join(" ");
  return [
    [
      ...(told === "" ? [] : [told]),
      `${dialect.api === "chat" ? "/chat/completions" : "/completions"} with ${probe.prompts === "ids" ? "token ids" : "text"}`,
      dialect.stream ? "streaming" : "not streaming: prefill only",
      probe.counts ? "tokens counted by the server" : "the server counts no tokens: lengths are taken on trust",
      limit,
      `no-op request ${(probe.noopSeconds * 1000).toFixed(1)} ms`,
    ].join("; "),
    `  takes or tells ${taken.length === 0 ? "nothing more" : taken.join(", ")}${not.length === 0 ? "" : `; not ${not.join(", ")}`}`,
  ].join("\n");
}
