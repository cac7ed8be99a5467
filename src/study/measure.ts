import { badInput } from "../base/errors.js";
import { bytes, threadCount, tokens } from "../base/format.js";
import { seededRandom } from "../base/random.js";
import type { Bytes } from "../base/units.js";
import { systemClock } from "../measure/clock.js";
import { readMachine } from "../measure/environment.js";
import { type OnnxNodeOptions, availableMemory, openOnnxNodeRunner } from "../measure/onnx-node.js";
import type { Provider } from "../onnx/provider.js";
import type { NextBlock } from "../measure/plan.js";
import type { ProgressEvent } from "../measure/progress.js";
import { type Recorded, recordRun } from "../measure/record.js";
import type { Runner } from "../measure/runner.js";
import { openingBytes, parameterBytesOf, passBytes, residentBytes } from "../onnx/memory.js";
import { runnableGraph } from "../onnx/runnable.js";
import type { WeightFormat } from "../onnx/scope.js";
import type { LoadedModel } from "../model/stored.js";
import type { ModelDescription } from "../model/types.js";
import { contentDigest } from "../runs/digest.js";
import { type Cell, type Phase, type Run, type RunHeader, type Warning, cellText } from "../runs/schema.js";
import type { Scaling } from "../variants/scale.js";
import { hasEncoderLength } from "./cost.js";
import { assertMergeable, remainderOf } from "./resume.js";

/** What is timed of a model. */
export type MeasuredPhase = Exclude<Phase, "reference">;

export interface MeasureOptions {
  readonly phases: readonly MeasuredPhase[];
  /** n of a prefill, the context c of a decode step; ascending. */
  readonly lengths: readonly number[];
  /** Tokens cached before a prefill; each depth is measured at each length. */
  readonly depths: readonly number[];
  readonly batch: number;
  /** Complete blocks. */
  readonly repeat: number;
  readonly warmups: number;
  readonly timeLimitSeconds: number | null;
  /** Threads of one operator; the runtime decides where it is null. */
  readonly threads: number | null;
  readonly attention: OnnxNodeOptions["attention"];
  /** Where ONNX Runtime executes; llama.cpp runs on the processor. */
  readonly provider: Provider;
  /** How matrices are stored. */
  readonly weights: WeightFormat;
  readonly seed: number;
  /** Tokens of an encoder's input; as many as n, or in decode as are cached, where it is left out. */
  readonly encoderLength?: number;
  /** A file, or a folder that gets `<model>-<time>.json`. */
  readonly output: { readonly file: string } | { readonly folder: string };
  /** A run that ended early, whose missing samples are measured; it decides lengths and repeats. */
  readonly resume?: Run;
  /** How the model was made smaller or larger than its source says, for whoever loads it again. */
  readonly scaling?: Scaling;
  /** Decides the blocks while measuring, from cells of at most `longest` tokens; `lengths` are only the first of them. */
  readonly adaptive?: { readonly next: NextBlock; readonly longest: number };
}

export const defaultMeasureOptions: MeasureOptions = {
  phases: ["prefill"],
  lengths: [128, 256, 512, 1024, 2048],
  depths: [0],
  batch: 1,
  repeat: 3,
  warmups: 1,
  timeLimitSeconds: null,
  threads: null,
  attention: "fused",
  provider: "cpu",
  weights: "f32",
  seed: 1,
  output: { folder: "runs" },
};

/** Who watches, and what the machine allows. */
export interface MeasureWorld {
  readonly created: Date;
  readonly signal?: AbortSignal;
  readonly progress?: (event: ProgressEvent) => void;
  /** Says what is being prepared, before the first step. */
  readonly say?: (text: string) => void;
  readonly availableBytes?: () => Bytes;
}

/** Watched for drift in every block. */
export const reference: Cell = { phase: "reference", n: 512, depth: 0, batch: 1 };

/** The cell that times a phase at a length. */
export function cellOf(phase: MeasuredPhase, length: number, batch: number): Cell {
  return phase === "decode" ? { phase, n: 1, depth: length, batch } : { phase, n: length, depth: 0, batch };
}

/** A prefill that continues so many cached tokens; other phases as they are. */
export function withDepth(cell: Cell, depth: number): Cell {
  return depth === 0 || cell.phase === "decode" ? cell : { ...cell, depth };
}

/**
 * Times a model in ONNX Runtime on this machine's CPU and writes the run file.
 *
 * @throws NsquaredError before anything is allocated where a length or the model does not fit this machine's memory, or
 *   the run file cannot be written
 */
export async function measureModel(
  model: ModelDescription,
  wanted: Partial<MeasureOptions>,
  world: MeasureWorld,
): Promise<Recorded> {
  const options = { ...defaultMeasureOptions, ...wanted };
  const availableBytes = world.availableBytes ?? availableMemory;
  const { encoderLength } = options;
  const reads = hasEncoderLength(model);
  if (encoderLength !== undefined && !reads) {
    throw badInput("option-alone", {
      where: "--encoder-length",
      key: "model",
      found: model.name,
      expected: "an encoder–decoder whose encoder reads text of any length",
    });
  }
  return measureOn("onnx-node", model, options, world, async (cells, threads) => {
    assertEachFits(model, cells, options, availableBytes());
    world.say?.(
      `opening ${model.name} in ONNX Runtime on ${options.provider === "webgpu" ? "WebGPU" : threadCount(threads)}, float32, synthetic weights${options.weights === "f32" ? "" : ` stored as ${options.weights}`}`,
    );
    if (reads) {
      world.say?.(
        encoderLength === undefined
          ? "an encoder–decoder: each half reads n tokens; a decode step reads as many keys of both as its context is long (--encoder-length sets the encoder's)"
          : `an encoder–decoder: the encoder reads ${tokens(encoderLength)} tokens with each prompt; a decode step reads as many of its keys`,
      );
    }
    const runner = await openOnnxNodeRunner(model, {
      attention: options.attention,
      provider: options.provider,
      weightFormat: options.weights,
      threads,
      seed: options.seed,
      ...(encoderLength === undefined ? {} : { encoderLength }),
      maxLength: Math.max(longestOf(cells), (options.adaptive?.longest ?? 0) + 1),
      availableBytes,
    });
    return { runner, reference };
  });
}

/** What opens a runner for the cells of a plan. */
type Open = (
  cells: readonly Cell[],
  threads: number,
) => Promise<{
  readonly runner: Runner;
  /** Watched for drift in every block. */
  readonly reference: Cell;
}>;

/** Opens a runner of this machine, measures the cells that were asked for, or that a run to resume lacks, and closes it. */
export async function measureOn(
  runnerName: string,
  model: ModelDescription,
  options: MeasureOptions,
  world: MeasureWorld,
  open: Open,
): Promise<Recorded> {
  const remainder = options.resume === undefined ? null : remainderOf(options.resume, modelOfRun(model), runnerName);
  const cells =
    remainder?.plan.cells ??
    options.phases.flatMap((phase) =>
      (phase === "prefill" ? options.depths : [0]).flatMap((depth) =>
        options.lengths.map((length) => withDepth(cellOf(phase, length, options.batch), depth)),
      ),
    );
  const machine = await readMachine();
  // A run that is resumed was opened for all of its cells, and what it was opened for is part of what was timed.
  const opened = await open(options.resume?.plan.cells ?? cells, options.threads ?? machine.cores);
  try {
    const plan = {
      cells,
      reference: opened.reference,
      repeat: remainder?.plan.repeat ?? options.repeat,
      warmups: options.warmups,
      timeLimitSeconds: options.timeLimitSeconds,
    };
    if (options.resume !== undefined) {
      const runtime = opened.runner.describe();
      assertMergeable(options.resume, { model: modelOfRun(model), runtime, machine, plan });
    }
    return await recordRun({
      runner: opened.runner,
      plan,
      model: { ...modelOfRun(model), ...(options.scaling === undefined ? {} : { scaling: options.scaling }) },
      machine,
      seed: options.seed,
      random: seededRandom(options.seed),
      clock: systemClock,
      created: world.created,
      output: options.output,
      ...(remainder === null ? {} : { next: remainder.next, parent: remainder.parent }),
      ...(options.adaptive === undefined ? {} : { next: options.adaptive.next }),
      ...(world.progress === undefined ? {} : { progress: world.progress }),
      ...(world.signal === undefined ? {} : { signal: world.signal }),
    });
  } finally {
    await opened.runner.close();
  }
}

export function longestOf(cells: readonly Cell[]): number {
  return Math.max(...cells.map((cell) => cell.n + cell.depth));
}

/**
 * How a run names its model. The digest is of the structure alone: the same model has the same one, whatever its file is
 * called and wherever it lies.
 */
export function modelOfRun(model: LoadedModel): RunHeader["model"] {
  const { name, source, filled: _filled, notes: _notes, stored: _stored, ...structure } = model;
  return { name, source, digest: contentDigest(structure) };
}

/** Doubts that need no measuring. */
export function contextWarnings(model: ModelDescription, lengths: readonly number[]): Warning[] {
  const { contextLength } = model;
  const beyond = contextLength === null ? [] : lengths.filter((length) => length > contextLength);
  if (contextLength === null || beyond.length === 0) return [];
  const message = `${beyond.map(tokens).join(", ")}: beyond the ${tokens(contextLength)} tokens ${model.name} was made for; the times hold, its answers would not`;
  return [{ code: "beyond-context", message }];
}

/** The longest length up to `wanted`, in steps of √2 from it, whose pass fits the memory that is available; 0 if none does. */
export function longestThatFits(
  model: ModelDescription,
  phase: MeasuredPhase,
  wanted: number,
  {
    attention,
    batch,
    depths,
    ...stored
  }: Pick<MeasureOptions, "attention" | "batch" | "depths" | "weights" | "provider">,
  available: Bytes,
): number {
  const deepest = Math.max(0, ...depths);
  const graph = runnableGraph(model, attention);
  const resident = residentBytes({ parameterBytes: parameterBytesOf(graph, stored) });
  let length = wanted;
  while (length >= 1 && resident + passBytes(graph, withDepth(cellOf(phase, length, batch), deepest)) > available) {
    length = Math.floor(length / Math.SQRT2);
  }
  return length;
}

function assertEachFits(
  model: ModelDescription,
  cells: readonly Cell[],
  { attention, encoderLength, weights, provider }: MeasureOptions,
  available: Bytes,
): void {
  const graph = runnableGraph(model, attention);
  const parameters = { parameterBytes: parameterBytesOf(graph, { weights, provider }) };
  assertFits(
    model.name,
    openingBytes(parameters),
    available,
    `take a smaller model or fewer layers${weights === "q4" ? "" : ", or --weights q4"}`,
  );
  const advice = attention === "naive" ? "take shorter lengths, or --attention fused" : "take shorter lengths";
  const resident = residentBytes(parameters);
  const encoder = encoderLength === undefined ? {} : { encoder: encoderLength };
  for (const cell of cells) {
    assertFits(cellText(cell), resident + passBytes(graph, { ...cell, ...encoder }), available, advice);
  }
}

/** @throws NsquaredError `memory` */
export function assertFits(where: string, needed: Bytes, available: Bytes, advice: string): void {
  if (needed <= available) return;
  throw badInput("memory", {
    where,
    key: "memory needed",
    found: bytes(needed),
    expected: `${bytes(available)} are available; ${advice}`,
  });
}
