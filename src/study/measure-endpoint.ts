import { badInput } from "../base/errors.js";
import { tokens } from "../base/format.js";
import { seededRandom } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import { type Clock, systemClock } from "../measure/clock.js";
import { readMachine } from "../measure/environment.js";
import type { NextBlock } from "../measure/plan.js";
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
  type RuntimeInfo,
  type Warning,
  lengthOf,
} from "../runs/schema.js";
import type { UntilDocument } from "./documents/measure.js";
import { onlyPhase, untilDocument } from "./measure-until.js";
import { remainderOf } from "./resume.js";
import { type Goal, untilRule, type UntilPlan } from "./until.js";

export interface EndpointOptions extends Omit<OpenAiOptions, "decodeSteps" | "timeoutSeconds" | "nonce"> {
  readonly phases: readonly ("prefill" | "decode")[];
  readonly lengths: readonly number[];
  /** Requests at once, each a batch of its own. */
  readonly concurrency: readonly number[];
  readonly repeat: number;
  readonly warmups: number;
  readonly timeLimitSeconds: number | null;
  readonly timeoutSeconds?: Seconds;
  readonly decodeSteps?: number;
  /** Tokens of prompts and answers that the whole run may cost. */
  readonly maxTokens: number | null;
  /** Price of a million tokens of prompts and of answers, in whatever currency. */
  readonly prices: { readonly input: number; readonly output: number } | null;
  readonly output: { readonly file: string } | { readonly folder: string };
  readonly resume?: Run;
  /** What to measure until: `lengths` are then the first blocks alone, and the time limit is a number. */
  readonly goal?: Goal;
}

/** What a run will cost, as far as two small prompts foretell. */
export interface EndpointEstimate {
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Where time grew only linearly. */
  readonly seconds: Seconds;
  readonly price: number | null;
  /** Where the run decides its lengths itself, the above is of its first blocks, and this is when it ends at the latest. */
  readonly atMostSeconds: Seconds | null;
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
  readonly until?: UntilDocument;
}

const defaultTimeout = 600;
const defaultDecodeSteps = 32;
const referenceCell: Cell = { phase: "reference", n: 64, depth: 0, batch: 1 };

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
  const runner = await openOpenAiRunner(
    {
      ...options,
      decodeSteps,
      timeoutSeconds: options.timeoutSeconds ?? defaultTimeout,
      nonce: world.created.getTime(),
    },
    context,
  );
  try {
    world.say(summaryOf(runner));
    const model = endpointModel(options);
    const remainder = options.resume === undefined ? null : remainderOf(options.resume, model, runner.name);
    if (options.resume !== undefined) assertAlike(options.resume, runner.describe());
    const warnings: Warning[] = [];
    const wanted = remainder?.plan.cells ?? cellsOf(options, runner);
    const named = withinContext(wanted, runner.probe.contextLimit, decodeSteps, warnings);
    const affordable = withinTokens(named, options, decodeSteps, warnings);
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
        ? await withinFoundContext(affordable, runner, decodeSteps, context, warnings)
        : affordable;
    for (const { message } of warnings.slice(said)) world.say(`warning: ${message}`);
    const plan = planOf(cells);
    const aim = options.goal === undefined ? null : untilPlan(options.goal, plan, runner, decodeSteps);
    const rule = aim === null ? null : untilRule(aim);
    const next = stopAtTokens(rule?.next ?? remainder?.next, plan, runner, options, decodeSteps, warnings);
    const recorded = await recordRun({
      runner,
      plan,
      model,
      machine: await readMachine(),
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
    if (aim === null || rule === null) return { ...recorded, estimate };
    return { ...recorded, estimate, until: untilDocument(recorded, aim, rule) };
  } finally {
    await runner.close();
  }
}

/**
 * The plan of a run towards a goal, from the cells of its first blocks. A context that the server doesn't name is met by
 * a prompt that it refuses: nothing as long is asked for again.
 */
function untilPlan(goal: Goal, plan: Plan, { probe }: OpenAiRunner, decodeSteps: number): UntilPlan {
  const { cells, repeat, warmups, timeLimitSeconds } = plan;
  const batches = new Set(cells.map(({ batch }) => batch));
  const phase = onlyPhase([...new Set(cells.map((cell) => cell.phase))].filter((one) => one !== "reference"));
  const [batch = 1] = batches;
  if (batches.size > 1) {
    const expected = "one number: the interval is of one law";
    throw badInput("until-batches", {
      where: "--until",
      key: "--concurrency",
      found: [...batches].join(","),
      expected,
    });
  }
  return {
    goal,
    phase,
    batch,
    start: [...new Set(cells.map(lengthOf))],
    repeat,
    warmups,
    seconds: timeLimitSeconds ?? Number.POSITIVE_INFINITY,
    longest: Math.min(goal.n, (probe.contextLimit ?? Number.POSITIVE_INFINITY) - decodeSteps - 1),
    curve: null,
  };
}

/** @throws NsquaredError where the new samples could not be put together with those of the run that is resumed */
function assertAlike(run: Run, now: RuntimeInfo): void {
  for (const [key, found] of Object.entries(now.options)) {
    const expected = run.runtime.options[key] ?? null;
    if (found === expected) continue;
    throw badInput("resume-differs", { where: run.id, key, found, expected: `${expected}, as in the run to resume` });
  }
}

function summaryOf(runner: OpenAiRunner): string {
  const { probe } = runner;
  const { dialect } = probe;
  const limit = probe.contextLimit === null ? "context limit not said" : `context ${tokens(probe.contextLimit)}`;
  return [
    `${dialect.api === "chat" ? "/chat/completions" : "/completions"} with ${probe.prompts === "ids" ? "token ids" : "text"}`,
    dialect.stream ? "streaming" : "not streaming: prefill only",
    probe.counts ? "tokens counted by the server" : "the server counts no tokens: lengths are taken on trust",
    limit,
    `no-op request ${(probe.noopSeconds * 1000).toFixed(1)} ms`,
  ].join("; ");
}

function cellsOf(options: EndpointOptions, runner: OpenAiRunner): Cell[] {
  const phases = options.phases.filter((phase) => runner.capabilities.phases.includes(phase));
  if (phases.length === 0) {
    throw badInput("phase-unsupported", {
      where: options.address.href,
      key: "--phase",
      found: options.phases.join(", "),
      expected: "prefill: without streaming there is no time per token",
    });
  }
  return phases.flatMap((phase) =>
    options.concurrency.flatMap((batch) =>
      options.lengths.map(
        (length): Cell =>
          phase === "decode" ? { phase, n: 1, depth: length, batch } : { phase, n: length, depth: 0, batch },
      ),
    ),
  );
}

/** Tokens of prompt and answer of one request of a cell. */
function sizeOf({ phase, n, depth }: Cell, decodeSteps: number): { readonly input: number; readonly output: number } {
  if (phase !== "decode") return { input: n + depth, output: 1 };
  const steps = Math.min(decodeSteps, Math.max(2, 2 * depth - 1));
  return { input: Math.max(1, depth - Math.floor(steps / 2)), output: steps + 1 };
}

/** Tokens of a cell's prompt and answer together. */
function wholeOf(cell: Cell, decodeSteps: number): number {
  const { input, output } = sizeOf(cell, decodeSteps);
  return input + output;
}

/** The cells that a context of so many tokens holds; all of them where the limit is not known. */
function withinContext(cells: readonly Cell[], limit: number | null, decodeSteps: number, warnings: Warning[]): Cell[] {
  if (limit === null) return [...cells];
  const whole = (cell: Cell): number => wholeOf(cell, decodeSteps);
  const kept = cells.filter((cell) => whole(cell) <= limit);
  if (kept.length === 0) {
    throw badInput("context", {
      where: "--lengths",
      key: "shortest",
      found: Math.min(...cells.map(whole)),
      expected: `at most ${limit} tokens, prompt and answer together, the server's context`,
    });
  }
  if (kept.length < cells.length) {
    const message = `the server's context ends at ${tokens(limit)} tokens: ${leftOut(cells, kept)} are left out`;
    warnings.push({ code: "context-limit", message });
  }
  return kept;
}

/** The cells that the server takes where it names no limit: the ladder itself finds it. */
async function withinFoundContext(
  cells: readonly Cell[],
  runner: OpenAiRunner,
  decodeSteps: number,
  context: RunContext,
  warnings: Warning[],
): Promise<Cell[]> {
  const sizes = [...new Set(cells.map((cell) => wholeOf(cell, decodeSteps)))].sort((a, b) => a - b);
  const longest = await longestAccepted(sizes, runner, context);
  const kept = cells.filter((cell) => wholeOf(cell, decodeSteps) <= longest);
  if (kept.length > 0) {
    if (kept.length < cells.length) {
      const message = `the server refused or cut longer prompts than ${tokens(longest)} tokens: ${leftOut(cells, kept)} are left out`;
      warnings.push({ code: "context-limit", message });
    }
    return kept;
  }
  throw badInput("context", {
    where: "--lengths",
    key: "shortest",
    found: sizes[0] ?? 0,
    expected: "a length that the server takes; it refused, or cut, each of these",
  });
}

function leftOut(cells: readonly Cell[], kept: readonly Cell[]): string {
  return [...new Set(cells.filter((cell) => !kept.includes(cell)).map(lengthOf))].map(tokens).join(", ");
}

/** The longest of the sizes that the server takes, by bisection; 0 where it takes none. */
async function longestAccepted(sizes: readonly number[], runner: OpenAiRunner, context: RunContext): Promise<number> {
  const longest = sizes.at(-1) ?? 0;
  if (await runner.accepts(longest - 1, context)) return longest;
  let [low, high] = [-1, sizes.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (await runner.accepts((sizes[middle] ?? 0) - 1, context)) low = middle;
    else high = middle;
  }
  return low < 0 ? 0 : (sizes[low] ?? 0);
}

function blockTokens(cells: readonly Cell[], decodeSteps: number): number {
  return cells.reduce((sum, cell) => {
    const { input, output } = sizeOf(cell, decodeSteps);
    return sum + cell.batch * (input + output);
  }, 0);
}

/** Leaves out the longest cells until warm-ups and one block stay within the cap. */
function withinTokens(
  cells: readonly Cell[],
  { maxTokens, warmups }: EndpointOptions,
  decodeSteps: number,
  warnings: Warning[],
): Cell[] {
  if (maxTokens === null) return [...cells];
  const kept = [...cells].sort((a, b) => blockTokens([a], decodeSteps) - blockTokens([b], decodeSteps));
  const left: Cell[] = [];
  while (kept.length > 1 && blockTokens(kept, decodeSteps) * (1 + warmups) > maxTokens) left.push(...kept.splice(-1));
  if (left.length > 0) {
    const lengths = [...new Set(left.map((cell) => cell.n + cell.depth))].sort((a, b) => a - b);
    const message = `within ${tokens(maxTokens)} tokens there is no room for ${lengths.map(tokens).join(", ")}: left out`;
    warnings.push({ code: "token-limit-lengths", message });
  }
  return cells.filter((cell) => kept.includes(cell));
}

/** The rule of the blocks, ended where the next block would pass the cap on tokens. */
function stopAtTokens(
  inner: NextBlock | undefined,
  plan: Plan,
  runner: OpenAiRunner,
  { maxTokens }: EndpointOptions,
  decodeSteps: number,
  warnings: Warning[],
): NextBlock | undefined {
  if (maxTokens === null) return inner;
  const rule: NextBlock = inner ?? ((_samples, block) => (block < plan.repeat ? plan.cells : null));
  return (samples, block) => {
    const cells = rule(samples, block);
    if (cells === null) return null;
    const { input, output } = runner.spentTokens();
    if (block === 0 || input + output + blockTokens(cells, decodeSteps) <= maxTokens) return cells;
    const message = `the limit of ${tokens(maxTokens)} tokens ended the run after ${block} complete blocks`;
    warnings.push({ code: "token-limit", message });
    return null;
  };
}

function estimateOf(
  { cells, reference, repeat, warmups }: Plan,
  { probe }: OpenAiRunner,
  { prices }: EndpointOptions,
  decodeSteps: number,
): Omit<EndpointEstimate, "atMostSeconds"> {
  const [short, long] = [...probe.small].sort((left, right) => left.tokens - right.tokens);
  const span = (long?.tokens ?? 1) - (short?.tokens ?? 0);
  const slope = Math.max(0, ((long?.seconds ?? 0) - (short?.seconds ?? 0)) / Math.max(1, span));
  const fixed = Math.min(...probe.small.map(({ seconds }) => seconds));
  const turns = repeat + warmups;
  const sums = { requests: 0, input: 0, output: 0, seconds: 0 };
  const add = (cell: Cell, times: number): void => {
    const { input, output } = sizeOf(cell, decodeSteps);
    sums.requests += times * cell.batch;
    sums.input += times * cell.batch * input;
    sums.output += times * cell.batch * output;
    sums.seconds += times * (fixed + slope * input + (output - 1) * (probe.tokenSeconds ?? 0));
  };
  for (const cell of cells) add(cell, turns);
  // First and last in each block.
  if (reference !== null) add(reference, 2 * repeat + warmups);
  return {
    requests: sums.requests,
    inputTokens: sums.input,
    outputTokens: sums.output,
    seconds: sums.seconds,
    price: prices === null ? null : (sums.input * prices.input + sums.output * prices.output) / 1e6,
  };
}
