import { badInput, NsquaredError, show } from "../base/errors.js";
import { runId } from "./names.js";
import { type Cell, cellKey, type Run, type RunStatus, runSchemaName, type Warning } from "./schema.js";

type Fields = Readonly<Record<string, unknown>>;

/** What decides whether runs timed the same thing. */
export type Timed = Pick<Run, "model" | "runtime" | "machine" | "plan">;

/** What must be equal for two runs to have timed the same thing. The load and the power of the moment may differ. */
function identityOf({ model, runtime, machine }: Timed): Fields {
  const { options, ...plainRuntime } = runtime;
  const entries: [string, unknown][] = [["model.digest", model.digest]];
  for (const [key, value] of Object.entries(plainRuntime)) entries.push([`runtime.${key}`, value]);
  for (const [key, value] of Object.entries(options)) entries.push([`runtime.options.${key}`, value]);
  for (const key of ["cpu", "cores", "os", "node", "governor"] as const) entries.push([`machine.${key}`, machine[key]]);
  return Object.fromEntries(entries);
}

/** The first field in which two runs differ so that they must not be mixed; null when they may. */
export function incompatibility(a: Timed, b: Timed): { key: string; a: unknown; b: unknown } | null {
  const first = identityOf(a);
  const second = identityOf(b);
  const key = [...Object.keys(first), ...Object.keys(second)].find((name) => first[name] !== second[name]);
  if (key !== undefined) return { key, a: first[key] ?? null, b: second[key] ?? null };
  const references = [a, b].map(({ plan }) => plan.reference);
  const [left, right] = references.map((cell) => (cell === null || cell === undefined ? null : cellKey(cell)));
  if (left !== null && right !== null && left !== right) return { key: "plan.reference", a: left, b: right };
  return null;
}

function assertCompatible(a: Run, b: Run): void {
  const difference = incompatibility(a, b);
  if (difference === null) return;
  const { key } = difference;
  throw new NsquaredError(
    "runs-incompatible",
    `incompatible runs: ${key} is ${show(difference.a)} in ${a.id} and ${show(difference.b)} in ${b.id}`,
    { where: b.id, key, found: difference.b, expected: show(difference.a) },
  );
}

/** A run counted twice would pretend to repeats that nobody made. */
function assertDistinct(runs: readonly Run[]): void {
  const seen = new Set<string>();
  for (const run of runs) {
    const sources = run.mergedFrom.length === 0 ? [run.id] : run.mergedFrom;
    for (const id of sources) {
      if (seen.has(id))
        throw badInput("runs-repeated", { where: run.id, key: "id", found: id, expected: "each run once" });
      seen.add(id);
    }
  }
}

const order: readonly RunStatus[] = ["complete", "incomplete", "interrupted"];

function worst(runs: readonly Run[]): RunStatus {
  return order.findLast((status) => runs.some((run) => run.status === status)) ?? "complete";
}

function distinctBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

function blocksOf(run: Run): number {
  return run.samples.reduce((most, { block }) => Math.max(most, block + 1), 0);
}

/** All samples in one numbering: blocks and times of each run follow those of the run before it. */
function joinedSamples(runs: readonly Run[]): Run["samples"] {
  let block = 0;
  let start = 0;
  return runs.flatMap((run) => {
    const moved = run.samples.map((sample) => ({
      ...sample,
      block: sample.block < 0 ? sample.block : sample.block + block,
      at: sample.at + start,
    }));
    block += blocksOf(run);
    start += Math.max(run.seconds, run.samples.at(-1)?.at ?? 0);
    return moved;
  });
}

/**
 * One run from several of the same model, runtime and machine, in the order of their creation. The result names its
 * sources; its warnings are those of its sources.
 *
 * @param created ISO time of the merge
 * @throws NsquaredError `runs-incompatible` naming the field that differs, `runs-repeated`, `runs-missing`
 */
export function mergeRuns(runs: readonly Run[], created: string): Run {
  const sorted = [...runs].sort((a, b) => a.created.localeCompare(b.created));
  const first = sorted[0];
  if (first === undefined)
    throw badInput("runs-missing", { where: "merge", key: "runs", expected: "at least one run" });
  for (const run of sorted.slice(1)) assertCompatible(first, run);
  assertDistinct(sorted);
  const header = {
    created,
    model: first.model,
    runtime: first.runtime,
    machine: first.machine,
    seed: first.seed,
    plan: {
      cells: distinctBy<Cell>(
        sorted.flatMap(({ plan }) => plan.cells),
        cellKey,
      ),
      reference: sorted.find(({ plan }) => plan.reference !== null)?.plan.reference ?? null,
      repeat: sorted.reduce((sum, { plan }) => sum + plan.repeat, 0),
      warmups: Math.max(...sorted.map(({ plan }) => plan.warmups)),
      timeLimitSeconds: null,
    },
    parent: null,
    mergedFrom: sorted.flatMap((run) => (run.mergedFrom.length === 0 ? [run.id] : run.mergedFrom)),
  };
  return {
    schema: runSchemaName,
    id: runId(header),
    ...header,
    status: worst(sorted),
    seconds: sorted.reduce((sum, { seconds }) => sum + seconds, 0),
    warnings: distinctBy<Warning>(
      sorted.flatMap(({ warnings }) => warnings),
      ({ code, message }) => `${code} ${message}`,
    ),
    samples: joinedSamples(sorted),
  };
}
