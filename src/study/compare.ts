import { NsquaredError } from "../base/errors.js";
import { bytes, tokens } from "../base/format.js";
import { seededRandom } from "../base/random.js";
import type { Bytes } from "../base/units.js";
import { systemClock } from "../measure/clock.js";
import { readMachine } from "../measure/environment.js";
import { availableMemory, openOnnxNodeRunner } from "../measure/onnx-node.js";
import { float16Refusal } from "../measure/onnx-node-float16.js";
import { type Peak, measurePeak } from "../measure/onnx-node-peak.js";
import type { Provider } from "../onnx/provider.js";
import type { NextBlock } from "../measure/plan.js";
import { type Recorded, recordRun } from "../measure/record.js";
import type { Runner } from "../measure/runner.js";
import { type Subject, severalRunner } from "../measure/several.js";
import { openingBytes, passBytes, residentBytes } from "../onnx/memory.js";
import { contentDigest } from "../runs/digest.js";
import type { Cell, RuntimeInfo, Warning } from "../runs/schema.js";
import { type Contender, attentionOf } from "./contenders.js";
import { type Entrant, type Skipped, entrantsOf } from "./entrants.js";
import { type MeasureWorld, longestOf, modelOfRun, reference } from "./measure.js";

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

/**
 * Times several models in interleaved rounds into one run, whose samples say in `variant` whose they are.
 *
 * @throws NsquaredError where nothing can be run
 */
export async function compareModels(
  contenders: readonly Contender[],
  wanted: Partial<CompareOptions>,
  world: MeasureWorld,
): Promise<Compared> {
  const options = { ...defaultCompareOptions, ...wanted };
  const availableBytes = world.availableBytes ?? availableMemory;
  const available = availableBytes();
  // A processor is refused by the lowering, with what it would do instead.
  const asked = options.provider !== "cpu" && contenders.some(({ run }) => run.weights === "f16");
  const float16 = asked ? await float16Refusal(options.provider) : null;
  const { entrants, skipped, notes } = entrantsOf(contenders, { ...options, float16 }, available);
  for (const { name, reason } of skipped) world.say?.(`skipped ${name}: ${reason}`);
  for (const { message } of notes) world.say?.(`note: ${message}`);
  const machine = await readMachine();
  const threads = options.threads ?? machine.cores;
  const maxLength = Math.max(1, ...entrants.map(({ cells }) => longestOf(cells)));
  const together = fitTogether(entrants, available);
  const open = ({ contender }: Entrant): Promise<Runner> =>
    openOnnxNodeRunner(contender.model, {
      attention: attentionOf(contender),
      threads,
      seed: options.seed,
      provider: options.provider,
      maxLength,
      availableBytes,
      ...(contender.run.weights === undefined ? {} : { weightFormat: contender.run.weights }),
    });
  const { opened, refused } = await openEach(entrants, open, together, world);
  try {
    const running = opened.map(({ entrant }) => entrant);
    const [leader] = opened;
    if (leader === undefined) throw nothingToRun([...skipped, ...refused]);
    const runner = severalRunner(subjectsOf(opened, open), {
      together,
      maxLength,
      runtime: {
        ...leader.described,
        attention: null,
        options: { ...leader.described.options, variants: opened.length },
      },
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
        skipped: [...skipped, ...refused],
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
    for (const { first } of opened) await first?.close();
  }
}

/** An entrant whose session could be made. */
interface Opened {
  readonly entrant: Entrant;
  readonly described: RuntimeInfo;
  /** The session, for whoever needs it first; null where it was closed again, or handed on. */
  first: Runner | null;
}

/** Makes each session once: what the provider lacks shows there. They stay open where they may stay side by side. */
async function openEach(
  entrants: readonly Entrant[],
  open: (entrant: Entrant) => Promise<Runner>,
  together: boolean,
  world: MeasureWorld,
): Promise<{ readonly opened: readonly Opened[]; readonly refused: readonly Skipped[] }> {
  const opened: Opened[] = [];
  const refused: Skipped[] = [];
  for (const entrant of entrants) {
    if (opened.length > 0 && world.signal?.aborted === true) break;
    world.signal?.throwIfAborted();
    const { name } = entrant.contender;
    world.say?.(`opening ${name}: ${bytes(entrant.parameterBytes)} of parameters`);
    try {
      const runner = await open(entrant);
      if (!together) await runner.close();
      opened.push({ entrant, described: runner.describe(), first: together ? runner : null });
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      refused.push({ name, reason });
      world.say?.(`skipped ${name}: ${reason}`);
    }
  }
  return { opened, refused };
}

function subjectsOf(opened: readonly Opened[], open: (entrant: Entrant) => Promise<Runner>): Subject[] {
  return opened.map((one) => ({
    name: one.entrant.contender.name,
    open: async () => {
      const { first } = one;
      one.first = null;
      return first ?? (await open(one.entrant));
    },
  }));
}

/**
 * Peak memory of each contender's shortest and longest measured prefill, in a process of its own each: by contender, then
 * by length. Ends early, with what there is, once the signal is aborted.
 */
export async function comparedPeaks(
  { recorded, contenders }: Compared,
  { threads, seed, batch }: Pick<CompareOptions, "threads" | "seed" | "batch">,
  { signal, say }: Pick<MeasureWorld, "signal" | "say">,
): Promise<Map<string, Map<number, Peak | null>>> {
  const { samples, machine } = recorded.run;
  const peaks = new Map<string, Map<number, Peak | null>>();
  for (const contender of contenders) {
    const measured = samples
      .filter(({ variant, phase, seconds }) => variant === contender.name && phase === "prefill" && seconds !== null)
      .map(({ n }) => n);
    if (measured.length === 0) continue;
    const ends = [...new Set([Math.min(...measured), Math.max(...measured)])];
    say?.(`memory of ${contender.name} at ${ends.map(tokens).join(" and ")}, in a process of its own`);
    const own = new Map<number, Peak | null>();
    peaks.set(contender.name, own);
    for (const n of ends) {
      if (signal?.aborted === true) return peaks;
      const { weights } = contender.run;
      const options = {
        attention: attentionOf(contender),
        threads: threads ?? machine.cores,
        seed,
        maxLength: n,
        ...(weights === undefined ? {} : { weightFormat: weights }),
      };
      const cell = { phase: "prefill" as const, n, depth: 0, batch };
      own.set(n, await measurePeak({ model: contender.model, cell, options }, signal));
    }
  }
  return peaks;
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
  const reasons = skipped.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  return new NsquaredError("nothing-to-run", `compare: nothing can be run here; ${reasons}`, { where: "compare" });
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
