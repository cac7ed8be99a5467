import type { Random } from "../base/random.js";
import { type Cell, cellKey, isUsable, type Plan, type RunEnd, type Sample } from "../runs/schema.js";
import { byLength, completeBlock, distinctCells } from "./order.js";
import { assertSupported, fixedBlocks, measurablePlan, type NextBlock } from "./plan.js";
import type { Runner } from "./runner.js";
import { Session, type SessionOptions } from "./session.js";

export interface MeasureOptions extends SessionOptions {
  /** Decides the order within blocks. */
  readonly random: Random;
  /** Replaces the rule "each cell in `repeat` blocks". The time limit holds all the same. */
  readonly next?: NextBlock;
}

export interface Measurement extends RunEnd {
  readonly samples: readonly Sample[];
}

/**
 * Warms up what `warm` lacks: the reference, then the cells, shortest first. Leaves out what, as far as shorter cells
 * foretell, could not be followed by one block within the time limit.
 */
async function warmUp(session: Session, cells: readonly Cell[], warm: Set<string>): Promise<void> {
  const { estimator, plan } = session;
  const isWarm = (cell: Cell): boolean => warm.has(cellKey(cell));
  const reference = session.reference();
  const block = cells.filter(isWarm);
  const colder = byLength(cells.filter((cell) => !isWarm(cell)));
  const fresh = reference === null || isWarm(reference) ? colder : [reference, ...colder];
  const tooLong: Cell[] = [];
  for (const [index, cell] of fresh.entries()) {
    const foreseen = estimator.of(cell);
    if (foreseen !== null && !session.fits(foreseen * plan.warmups + session.blockSeconds([...block, cell]))) {
      tooLong.push(cell);
      continue;
    }
    warm.add(cellKey(cell));
    if (cell !== reference) block.push(cell);
    const behind = fresh.slice(index + 1).flatMap((later) => Array<Cell>(plan.warmups).fill(later));
    for (let left = plan.warmups - 1; left >= 0; left -= 1) {
      if (session.stopped() || session.kept([cell]).length === 0) break;
      await session.take(cell, -1, [...Array<Cell>(left).fill(cell), ...behind]);
    }
  }
  await session.leaveOutForTime(tooLong);
}

/** Leaves out the cells that take longest until one block fits the time limit. The last cell stays. */
async function dropUntilItFits(session: Session, cells: readonly Cell[]): Promise<void> {
  const cost = (cell: Cell): number => session.estimator.of(cell) ?? 0;
  const kept = [...cells].sort((a, b) => cost(a) - cost(b));
  const tooLong: Cell[] = [];
  while (kept.length > 1 && !session.fits(session.blockSeconds(kept))) tooLong.push(...kept.splice(-1));
  await session.leaveOutForTime(tooLong);
}

/** Runs one block in its order; false when it had to stop before the last cell. */
async function runBlock(session: Session, order: readonly Cell[], block: number): Promise<boolean> {
  for (const [index, cell] of order.entries()) {
    if (session.stopped()) return false;
    await session.take(cell, block, order.slice(index + 1));
  }
  return !session.signal.aborted;
}

interface Ending {
  /** Blocks that were measured whole. */
  readonly blocks: number;
  readonly cut: boolean;
}

/** Blocks until the rule says stop, Ctrl-C, or the next block would not fit. */
async function runBlocks(session: Session, next: NextBlock, random: Random): Promise<Ending> {
  const { runner } = session;
  const warm = new Set<string>();
  for (let block = 0; ; block += 1) {
    const proposed = next(session.samples, block);
    if (proposed === null) return { blocks: block, cut: false };
    if (session.stopped()) return { blocks: block, cut: true };
    session.perBlock = distinctCells(proposed);
    assertSupported(session.perBlock, runner);
    await warmUp(session, session.kept(session.perBlock), warm);
    if (session.stopped()) return { blocks: block, cut: true };
    if (block === 0) await dropUntilItFits(session, session.kept(session.perBlock));
    const cells = session.kept(session.perBlock);
    if (cells.length === 0) return { blocks: block, cut: false };
    if (block > 0 && !session.fits(session.blockSeconds(cells))) return { blocks: block, cut: true };
    const whole = await runBlock(session, completeBlock(cells, session.reference(), random), block);
    if (!whole) return { blocks: block, cut: true };
  }
}

/** Whether a sample has no time, or a cell was measured and nothing of it is of use. */
function failed(samples: readonly Sample[]): boolean {
  const useful = new Set(samples.filter(isUsable).map(cellKey));
  return samples.some((sample) => sample.seconds === null || (!sample.warmup && !useful.has(cellKey(sample))));
}

/**
 * Measures the plan's cells with the runner: warm-ups shortest first, then randomised complete blocks with the reference
 * around each. Every sample is in the journal before the next step starts. It stops when `next` says so, on Ctrl-C, or
 * before a block that would not fit the time limit; when not even one block fits, the longest cells are left out, with a
 * warning. A cell that fails is recorded and the rest goes on, until the runner says that what it runs on is gone, or what had
 * worked fails again and again.
 *
 * @throws NsquaredError `plan-invalid`, `cell-unsupported` before anything is timed; whatever the journal throws
 */
export async function measure(runner: Runner, wanted: Plan, options: MeasureOptions): Promise<Measurement> {
  const session = new Session(runner, measurablePlan(wanted, runner), options);
  const { samples, warnings, signal, limit } = session;

  const { blocks, cut } = await runBlocks(session, options.next ?? fixedBlocks(session.plan), options.random);
  if (signal.aborted) {
    await session.warn("interrupted", `stopped by hand after ${blocks} complete blocks; what was measured is kept`);
  } else if (session.over() !== null) {
    const kept = samples.filter(isUsable).length;
    await session.warn("ended", `ended early: ${session.over()}; samples that are kept and of use: ${kept}`);
  } else if (cut) {
    await session.warn("time-limit", `the time limit of ${limit} s ended the run after ${blocks} complete blocks`);
  }
  session.report(null, blocks - 1, []);
  return {
    status: signal.aborted ? "interrupted" : failed(samples) ? "incomplete" : "complete",
    seconds: session.elapsed(),
    warnings,
    samples,
  };
}
