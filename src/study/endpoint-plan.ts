import { badInput } from "../base/errors.js";
import { tokens } from "../base/format.js";
import type { Seconds } from "../base/units.js";
import type { OpenAiRunner } from "../measure/openai.js";
import type { NextBlock } from "../measure/plan.js";
import type { RunContext } from "../measure/runner.js";
import { type Cell, type Plan, type Sample, type Warning, cachedBefore, cellKey, lengthOf } from "../runs/schema.js";

/** Watched for drift in every block. */
export const referenceCell: Cell = { phase: "reference", n: 64, depth: 0, batch: 1 };
/** It is first and last in each block. */
const aroundBlock = 2;

/** What decides the cells of a run and what they may cost. */
export interface PlanOptions {
  readonly address: URL;
  readonly phases: readonly ("prefill" | "decode")[];
  readonly lengths: readonly number[];
  /** Tokens that are cached before a prefill; each depth is measured at each length. */
  readonly depths: readonly number[];
  /** Requests at once, each a batch of its own. */
  readonly concurrency: readonly number[];
  readonly warmups: number;
  /** Tokens of prompts and answers that the whole run may cost. */
  readonly maxTokens: number | null;
  /** Price of a million tokens of prompts and of answers, in whatever currency. */
  readonly prices: { readonly input: number; readonly output: number } | null;
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

/** The cells of every phase, length, depth and number of requests at once that were asked for. */
export function cellsOf(options: PlanOptions, runner: OpenAiRunner): Cell[] {
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
      options.lengths.flatMap((length): Cell[] =>
        phase === "decode"
          ? [{ phase, n: 1, depth: length, batch }]
          : options.depths.map((depth) => ({ phase, n: length, depth, batch })),
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

/** Tokens that a cell costs in all: before a prefill at depth its prefix is asked for by itself. */
function costOf(cell: Cell, decodeSteps: number): { readonly input: number; readonly output: number } {
  const { input, output } = sizeOf(cell, decodeSteps);
  const prefix =
    cell.phase === "prefill" && cell.depth > 0 ? { input: cell.depth, output: 1 } : { input: 0, output: 0 };
  return { input: cell.batch * input + prefix.input, output: cell.batch * output + prefix.output };
}

/** Tokens of a cell's prompt and answer together. */
function wholeOf(cell: Cell, decodeSteps: number): number {
  const { input, output } = sizeOf(cell, decodeSteps);
  return input + output;
}

/** The cells that a context of so many tokens holds; all of them where the limit is not known. */
export function withinContext(
  cells: readonly Cell[],
  limit: number | null,
  decodeSteps: number,
  warnings: Warning[],
): Cell[] {
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
export async function withinFoundContext(
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
  return [...new Set(cells.filter((cell) => !kept.includes(cell)).map(lengthText))].join(", ");
}

/** `4k`, or `512 after 16k` where so many tokens are cached before. */
function lengthText(cell: Cell): string {
  const cached = cachedBefore(cell);
  return `${tokens(lengthOf(cell))}${cached > 0 ? ` after ${tokens(cached)}` : ""}`;
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
    const { input, output } = costOf(cell, decodeSteps);
    return sum + input + output;
  }, 0);
}

/** Tokens of one block and the reference around it, warm-ups of what was not measured before included. */
function comingTokens(cells: readonly Cell[], before: readonly Sample[], warmups: number, decodeSteps: number): number {
  const known = new Set(before.map(cellKey));
  const cold = [...cells, referenceCell].filter((cell) => !known.has(cellKey(cell)));
  const around = aroundBlock * blockTokens([referenceCell], decodeSteps);
  return blockTokens(cells, decodeSteps) + around + warmups * blockTokens(cold, decodeSteps);
}

/**
 * Leaves out the longest cells until warm-ups and one block stay within the cap.
 *
 * @param spent tokens that asking the server has cost so far
 * @throws NsquaredError where the shortest alone passes the cap
 */
export function withinTokens(
  cells: readonly Cell[],
  { maxTokens, warmups }: PlanOptions,
  spent: number,
  decodeSteps: number,
  warnings: Warning[],
): Cell[] {
  if (maxTokens === null) return [...cells];
  const whole = (some: readonly Cell[]): number => spent + comingTokens(some, [], warmups, decodeSteps);
  const kept = [...cells].sort((a, b) => blockTokens([a], decodeSteps) - blockTokens([b], decodeSteps));
  while (kept.length > 1 && whole(kept) > maxTokens) kept.pop();
  if (whole(kept) > maxTokens) {
    throw badInput("token-limit", {
      where: "--max-tokens",
      key: "tokens",
      found: maxTokens,
      expected: `at least ${whole(kept)}: ${spent} were spent on asking, and warm-ups and one block of ${lengthText(kept[0] ?? referenceCell)} take the rest`,
    });
  }
  if (kept.length < cells.length) {
    const message = `within ${tokens(maxTokens)} tokens there is no room for ${leftOut(cells, kept)}: left out`;
    warnings.push({ code: "token-limit-lengths", message });
  }
  return cells.filter((cell) => kept.includes(cell));
}

/** Tokens of prompts and answers that a runner has cost so far. */
export function spentTokens(runner: Pick<OpenAiRunner, "spentTokens">): number {
  const { input, output } = runner.spentTokens();
  return input + output;
}

/** The rule of the blocks, ended where the next block would pass the cap on tokens. */
export function stopAtTokens(
  inner: NextBlock | undefined,
  plan: Plan,
  runner: OpenAiRunner,
  { maxTokens }: PlanOptions,
  decodeSteps: number,
  warnings: Warning[],
): NextBlock | undefined {
  if (maxTokens === null) return inner;
  const rule: NextBlock = inner ?? ((_samples, block) => (block < plan.repeat ? plan.cells : null));
  return (samples, block) => {
    const cells = rule(samples, block);
    if (cells === null) return null;
    const spent = spentTokens(runner);
    if (spent + comingTokens(cells, samples, plan.warmups, decodeSteps) <= maxTokens) return cells;
    const message = `the limit of ${tokens(maxTokens)} tokens ended the run after ${block} complete blocks`;
    warnings.push({ code: "token-limit", message });
    return null;
  };
}

/** What a plan costs, as far as two small prompts foretell. */
export function estimateOf(
  { cells, reference, repeat, warmups }: Plan,
  { probe }: OpenAiRunner,
  { prices }: PlanOptions,
  decodeSteps: number,
): Omit<EndpointEstimate, "atMostSeconds"> {
  const [short, long] = [...probe.small].sort((left, right) => left.tokens - right.tokens);
  const span = (long?.tokens ?? 1) - (short?.tokens ?? 0);
  const slope = Math.max(0, ((long?.seconds ?? 0) - (short?.seconds ?? 0)) / Math.max(1, span));
  const fixed = Math.min(...probe.small.map(({ seconds }) => seconds));
  const turns = repeat + warmups;
  const sums = { requests: 0, input: 0, output: 0, seconds: 0 };
  const add = (cell: Cell, times: number): void => {
    const cost = costOf(cell, decodeSteps);
    const { input, output } = sizeOf(cell, decodeSteps);
    // What is cached is not computed again.
    const computed = cell.phase === "prefill" ? cell.n : input;
    sums.requests += times * (cell.batch + (cell.phase === "prefill" && cell.depth > 0 ? 1 : 0));
    sums.input += times * cost.input;
    sums.output += times * cost.output;
    sums.seconds += times * (fixed + slope * computed + (output - 1) * (probe.tokenSeconds ?? 0));
  };
  for (const cell of cells) add(cell, turns);
  if (reference !== null) add(reference, aroundBlock * repeat + warmups);
  return {
    requests: sums.requests,
    inputTokens: sums.input,
    outputTokens: sums.output,
    seconds: sums.seconds,
    price: prices === null ? null : (sums.input * prices.input + sums.output * prices.output) / 1e6,
  };
}
