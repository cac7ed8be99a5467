import { NsquaredError, badInput } from "../base/errors.js";
import { bytes, tokens } from "../base/format.js";
import { seededRandom } from "../base/random.js";
import type { Bytes } from "../base/units.js";
import type { Graph } from "../graph/types.js";
import { systemClock } from "../measure/clock.js";
import { readMachine } from "../measure/environment.js";
import { availableMemory, decodes, openOnnxNodeRunner } from "../measure/onnx-node.js";
import type { Provider } from "../measure/onnx-node-session.js";
import type { NextBlock } from "../measure/plan.js";
import { type Recorded, recordRun } from "../measure/record.js";
import type { Runner } from "../measure/runner.js";
import { type Subject, severalRunner } from "../measure/several.js";
import type { ModelDescription } from "../model/types.js";
import { lowerGraph } from "../onnx/lower.js";
import { openingBytes, passBytes, residentBytes } from "../onnx/memory.js";
import { runnableGraph } from "../onnx/runnable.js";
import { contentDigest } from "../runs/digest.js";
import type { Cell, Warning } from "../runs/schema.js";
import type { VariantRun } from "../variants/variant.js";
import { type MeasureWorld, type MeasuredPhase, cellOf, modelOfRun, reference } from "./measure.js";

/** One side of a comparison: a model, or a variant of one, and how to run it. */
export interface Contender {
  /** Unique among the contenders: `window:1024`, or a model's name. */
  readonly name: string;
  readonly summary: string;
  readonly model: ModelDescription;
  readonly run: VariantRun;
}

export interface CompareOptions {
  readonly phases: readonly ("prefill" | "decode")[];
  readonly lengths: readonly number[];
  readonly batch: number;
  readonly repeat: number;
  readonly warmups: number;
  readonly timeLimitSeconds: number | null;
  readonly threads: number | null;
  readonly seed: number;
  readonly provider: Provider;
  readonly output: { readonly file: string } | { readonly folder: string };
}

export const defaultCompareOptions: CompareOptions = {
  phases: ["prefill", "decode"],
  lengths: [128, 256, 512, 1024, 2048],
  batch: 1,
  repeat: 3,
  warmups: 1,
  timeLimitSeconds: null,
  threads: null,
  seed: 1,
  provider: "cpu",
  output: { folder: "runs" },
};

/** A contender that is not run, and why. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

export interface Compared {
  readonly recorded: Recorded;
  /** Those that were run, in the order asked for. */
  readonly contenders: readonly Contender[];
  readonly skipped: readonly Skipped[];
  /** Lengths that were left out before measuring, and other things to know. */
  readonly notes: readonly Warning[];
  /** Bytes that a contender's step at a length is predicted to take, beside the runtime itself. */
  readonly predictedBytes: (name: string, cell: Cell) => Bytes;
}

interface Entrant {
  readonly contender: Contender;
  readonly graph: Graph;
  readonly parameterBytes: Bytes;
  readonly cells: readonly Cell[];
}

/** The kernel of attention that a contender runs with. */
export function attentionOf({ run }: Pick<Contender, "run">): "naive" | "fused" {
  return run.attention ?? "fused";
}

/** How a contender times one token more: with its cache, or the whole sequence again. */
export function phaseOf(phase: "prefill" | "decode", { run }: Pick<Contender, "run">): MeasuredPhase {
  return phase === "decode" && run.uncached === true ? "decode-uncached" : phase;
}

/**
 * Times several models in interleaved rounds into one run, whose samples say in `variant` whose they are.
 *
 * @throws NsquaredError where not even two can be run
 */
export async function compareModels(
  contenders: readonly Contender[],
  wanted: Partial<CompareOptions>,
  world: MeasureWorld,
): Promise<Compared> {
  const options = { ...defaultCompareOptions, ...wanted };
  const available = (world.availableBytes ?? availableMemory)();
  const skipped: Skipped[] = [];
  const notes: Warning[] = [];
  const entrants = contenders.flatMap((contender): Entrant[] => {
    try {
      return [entrantOf(contender, options, available, notes)];
    } catch (error) {
      if (!(error instanceof NsquaredError)) throw error;
      skipped.push({ name: contender.name, reason: error.message });
      return [];
    }
  });
  for (const { name, reason } of skipped) world.say?.(`skipped ${name}: ${reason}`);
  for (const { message } of notes) world.say?.(`note: ${message}`);
  const machine = await readMachine();
  const threads = options.threads ?? machine.cores;
  const maxLength = Math.max(1, ...entrants.flatMap(({ cells }) => cells.map((cell) => cell.n + cell.depth)));
  const together = fitTogether(entrants, available);
  const open = ({ contender }: Entrant): Promise<Runner> =>
    openOnnxNodeRunner(contender.model, {
      attention: attentionOf(contender),
      threads,
      seed: options.seed,
      provider: options.provider,
      maxLength,
      availableBytes: world.availableBytes ?? availableMemory,
      ...(contender.run.weights === undefined ? {} : { weightFormat: contender.run.weights }),
    });
  const ready: { readonly entrant: Entrant; first: Runner | null }[] = [];
  try {
    for (const entrant of entrants) {
      if (world.signal?.aborted === true) break;
      const { name } = entrant.contender;
      world.say?.(`opening ${name}: ${bytes(entrant.parameterBytes)} of parameters`);
      try {
        const runner = await open(entrant);
        ready.push({ entrant, first: runner });
        if (!together) {
          await runner.close();
          Object.assign(ready.at(-1) ?? {}, { first: null });
        }
      } catch (error) {
        // What the provider lacks shows when a session is made.
        const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
        skipped.push({ name, reason });
        world.say?.(`skipped ${name}: ${reason}`);
      }
    }
    if (ready.length === 0) throw nothingToRun(skipped);
    const subjects = ready.map(
      (one): Subject => ({
        name: one.entrant.contender.name,
        open: async () => {
          const { first } = one;
          one.first = null;
          return first ?? (await open(one.entrant));
        },
      }),
    );
    const running = ready.map(({ entrant }) => entrant);
    const [leader] = ready;
    const described = leader?.first?.describe() ?? (await describeOnce(subjects));
    const runner = severalRunner(subjects, {
      together,
      maxLength,
      runtime: { ...described, attention: null, options: { ...described.options, variants: subjects.length } },
    });
    try {
      const cells = running.map((entrant) => entrant.cells);
      const recorded = await recordRun({
        runner,
        plan: {
          cells: cells.flat(),
          reference,
          repeat: options.repeat,
          warmups: options.warmups,
          timeLimitSeconds: options.timeLimitSeconds,
        },
        model: modelOfComparison(running.map(({ contender }) => contender)),
        machine,
        seed: options.seed,
        random: seededRandom(options.seed),
        clock: systemClock,
        created: world.created,
        output: options.output,
        // With one session at a time, a block is one contender's share of a round: it is opened once per round.
        ...(together ? {} : { next: inTurn(cells, options.repeat) }),
        ...(world.progress === undefined ? {} : { progress: world.progress }),
        ...(world.signal === undefined ? {} : { signal: world.signal }),
      });
      const byName = new Map(running.map((entrant) => [entrant.contender.name, entrant]));
      return {
        recorded,
        contenders: running.map(({ contender }) => contender),
        skipped,
        notes,
        predictedBytes: (name, cell) => {
          const entrant = byName.get(name);
          return entrant === undefined ? Number.NaN : residentBytes(entrant) + passBytes(entrant.graph, cell);
        },
      };
    } finally {
      await runner.close();
    }
  } finally {
    for (const { first } of ready) await first?.close();
  }
}

async function describeOnce(subjects: readonly Subject[]): Promise<ReturnType<Runner["describe"]>> {
  const runner = await subjects[0]?.open();
  if (runner === undefined) throw new Error("no subject");
  const described = runner.describe();
  await runner.close();
  return described;
}

/** @throws NsquaredError where the contender cannot be run at all */
function entrantOf(contender: Contender, options: CompareOptions, available: Bytes, notes: Warning[]): Entrant {
  const { model, name } = contender;
  const graph = runnableGraph(model, attentionOf(contender));
  const { weights } = contender.run;
  const { parameterBytes } = lowerGraph(graph, { positions: 1, ...(weights === undefined ? {} : { weights }) });
  if (openingBytes({ parameterBytes }) > available) {
    throw badInput("memory", {
      where: name,
      key: "memory needed",
      found: bytes(openingBytes({ parameterBytes })),
      expected: `${bytes(available)} are available; take fewer layers (--layers), or a smaller model`,
    });
  }
  const resident = residentBytes({ parameterBytes });
  const phases = options.phases.filter((phase) => phase === "prefill" || decodes(model));
  const all = phases.flatMap((phase) =>
    options.lengths.map(
      (length): Cell => ({
        ...cellOf(phaseOf(phase, contender), length, options.batch),
        variant: name,
      }),
    ),
  );
  const positions = longestOf(model);
  const beyond = all.filter((cell) => cell.n + cell.depth > positions);
  if (beyond.length > 0) {
    notes.push({
      code: "length-beyond-positions",
      message: `${name}: lengths above the ${tokens(positions)} positions that its matrices are for are left out`,
    });
  }
  const possible = all.filter((cell) => !beyond.includes(cell));
  const cells = possible.filter((cell) => resident + passBytes(graph, cell) <= available);
  const cut = possible.filter((cell) => !cells.includes(cell));
  const [shortest] = cut;
  if (shortest !== undefined) {
    const lengths = [...new Set(cut.map((cell) => tokens(Math.max(cell.n, cell.depth))))].join(", ");
    notes.push({
      code: "length-beyond-memory",
      message: `${name} at ${lengths}: left out, it would take ${bytes(resident + passBytes(graph, shortest))} and more, ${bytes(available)} are available`,
    });
  }
  if (cells.length === 0) {
    throw badInput("memory", {
      where: name,
      key: "lengths",
      found: options.lengths.map(tokens).join(", "),
      expected: "none of them can be run here",
    });
  }
  return { contender, graph, parameterBytes, cells };
}

/** Longest sequence that a model can be run with at all: projections over positions have so many columns. */
function longestOf({ stacks }: ModelDescription): number {
  const mixers = stacks.flatMap(({ layers }) => layers.flatMap((layer) => layer.mixers));
  return Math.min(...mixers.map((mixer) => (mixer.kind === "linformer" ? mixer.positions : Number.POSITIVE_INFINITY)));
}

/** Share of the memory that sessions side by side may fill. */
const mostFilled = 0.7;

function fitTogether(entrants: readonly Entrant[], available: Bytes): boolean {
  const resident = entrants.reduce((sum, entrant) => sum + residentBytes(entrant), 0);
  const opening = Math.max(0, ...entrants.map((entrant) => openingBytes(entrant)));
  const pass = Math.max(
    0,
    ...entrants.map(({ graph, cells }) => Math.max(0, ...cells.map((cell) => passBytes(graph, cell)))),
  );
  return resident + Math.max(opening, pass) <= mostFilled * available;
}

/** Rounds in which each contender's cells are a block of their own, in an order that turns from round to round. */
function inTurn(cells: readonly (readonly Cell[])[], repeat: number): NextBlock {
  return (_samples, block) => {
    const round = Math.floor(block / cells.length);
    return round < repeat ? (cells[(block + round) % cells.length] ?? null) : null;
  };
}

function nothingToRun(skipped: readonly Skipped[]): NsquaredError {
  return badInput("nothing-to-run", {
    where: "compare",
    key: "variants",
    found: skipped.map(({ name }) => name).join(", "),
    expected: `none of them can be run: ${skipped.map(({ reason }) => reason).join("; ")}`,
  });
}

const longestName = 120;

function modelOfComparison(contenders: readonly Contender[]): ReturnType<typeof modelOfRun> {
  const models = contenders.map(({ model }) => modelOfRun(model));
  const [first] = models;
  const names = contenders.map(({ name }) => name.replaceAll(":", "-")).join("-vs-");
  return {
    name: (names.length > longestName ? `${contenders.length}-variants` : names) || "comparison",
    source: first?.source ?? "",
    digest: contentDigest(models.map(({ digest }, index) => [contenders[index]?.name, digest])),
  };
}
