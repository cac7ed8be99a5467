import { badInput, NsquaredError } from "../base/errors.js";
import { bytes as showBytes } from "../base/format.js";
import { seededRandom } from "../base/random.js";
import type { Bytes, Seconds } from "../base/units.js";
import type { Graph } from "../graph/types.js";
import type { ModelDescription } from "../model/types.js";
import { type LoweredModel, lowerGraph } from "../onnx/lower.js";
import { openingBytes, passBytes } from "../onnx/memory.js";
import { runnableGraph } from "../onnx/runnable.js";
import type { WeightFormat } from "../onnx/scope.js";
import { type WeightSource, syntheticWeights } from "../onnx/weights.js";
import { type Cell, cellKey, cellText, encoderLengthOption } from "../runs/schema.js";
import { cacheFiller, fillStates } from "./onnx-node-cache.js";
import { type Engine, openEngine, type Step } from "./onnx-node-engine.js";
import { float16Refusal } from "./onnx-node-float16.js";
import { type MicroSession, openMicro } from "./onnx-node-micro.js";
import { loadOnnxRuntime } from "./onnx-node-session.js";
import type { Provider } from "../onnx/provider.js";
import { type Outcome, type RunContext, type Runner, timeSteps } from "./runner.js";

export interface OnnxNodeOptions {
  /** `fused` runs GroupQueryAttention; `naive` makes all scores. */
  readonly attention: "fused" | "naive";
  /** Threads of one operator; ONNX Runtime decides where it is null. */
  readonly threads: number | null;
  /** The processor where it is left out. */
  readonly provider?: Provider;
  readonly seed: number;
  /** Longest n + depth of a cell: the length of the rotary tables. */
  readonly maxLength: number;
  /** Tokens of an encoder's input; as many as n, or in decode as are cached, where it is left out. */
  readonly encoderLength?: number;
  /** Bytes of memory that are free now. */
  readonly availableBytes: () => Bytes;
  /** How matrices are stored; float32 where it is left out. */
  readonly weightFormat?: WeightFormat;
  /** Parameters; synthetic ones from the seed where it is left out. */
  readonly weights?: WeightSource;
}

const onnxNodeName = "onnx-node";
/** The machine's pulse, always the same: a product of ordinary size. */
const reference = { kind: "matmul", m: 512, k: 1024, n: 1024, length: 1 } as const;
/** Steps that are shorter than this are repeated, and their mean is taken. */
const shortest: Seconds = 0.01;
const mostSteps = 64;

/** Memory that a process may still take, where the operating system tells. */
export function availableMemory(): Bytes {
  return process.availableMemory();
}

/**
 * Refuses what does not fit this machine's memory.
 *
 * @throws NsquaredError `memory`
 */
function assertFits(what: string, needed: Bytes, available: Bytes, advice: string): void {
  if (needed <= available) return;
  throw badInput("memory", {
    where: what,
    key: "memory needed",
    found: showBytes(needed),
    expected: `${showBytes(available)} are available; ${advice}`,
  });
}

/** @throws NsquaredError `memory` where opening the model would take more than is available */
export function assertModelFits(model: ModelDescription, lowered: LoweredModel, options: OnnxNodeOptions): void {
  assertFits(model.name, openingBytes(lowered), options.availableBytes(), "take a smaller model, or fewer layers");
}

/** @throws NsquaredError `float16-missing`, `provider-missing` */
export async function assertFloat16(provider: Provider): Promise<void> {
  const refusal = await float16Refusal(provider);
  if (refusal !== null) throw refusal;
}

/** Random token ids of a cell, [batch, n]. */
export function inputIds(
  model: ModelDescription,
  { batch, n }: Pick<Cell, "batch" | "n">,
  seed: number,
): BigInt64Array {
  const random = seededRandom(seed);
  return BigInt64Array.from({ length: batch * n }, () => BigInt(Math.floor(random() * model.vocabularySize)));
}

/**
 * A runner that executes the model's own graph in ONNX Runtime, in float32 but for the weights, with synthetic weights of the
 * true shapes. Opening it allocates and packs the weights.
 *
 * @throws NsquaredError `runtime-missing`, `memory` (before anything is allocated), `unsupported-operator`,
 *   `float16-missing`
 */
export async function openOnnxNodeRunner(model: ModelDescription, options: OnnxNodeOptions): Promise<Runner> {
  const { version } = await loadOnnxRuntime();
  const { provider = "cpu" } = options;
  const graph = runnableGraph(model, options.attention);
  const lowered = lowerGraph(graph, {
    positions: options.maxLength,
    provider,
    ...(options.weightFormat === undefined ? {} : { weights: options.weightFormat }),
  });
  assertModelFits(model, lowered, options);
  if (options.weightFormat === "f16") await assertFloat16(provider);
  const source = options.weights ?? syntheticWeights(options.seed);
  const session = { threads: options.threads, profilePrefix: null, provider };
  const engine = await openEngine(lowered, await lowered.parameters(source), session);
  return new OnnxNodeRunner(model, graph, engine, options, version);
}

/** Whether a model goes on token by token. */
export function decodes({ stacks }: Pick<ModelDescription, "stacks">): boolean {
  return stacks.at(-1)?.kind === "decoder";
}

class OnnxNodeRunner implements Runner {
  readonly name = onnxNodeName;
  readonly capabilities;
  private readonly fill = cacheFiller();
  private readonly stepSeconds = new Map<string, Seconds>();
  private prepared: { readonly key: string; readonly step: Step } | null = null;
  private pulse: MicroSession | null = null;
  private closed = false;

  constructor(
    private readonly model: ModelDescription,
    private readonly graph: Graph,
    private readonly engine: Engine,
    private readonly options: OnnxNodeOptions,
    private readonly version: string,
  ) {
    this.capabilities = {
      // An encoder reads; nothing is decoded from it.
      phases: decodes(model)
        ? (["prefill", "decode", "decode-uncached", "reference"] as const)
        : (["prefill", "reference"] as const),
      maxLength: options.maxLength,
      maxBatch: 2 ** 20,
    };
  }

  describe() {
    const { attention, threads, seed, maxLength, weights, weightFormat = "f32", encoderLength } = this.options;
    return {
      runner: this.name,
      name: "onnxruntime-node",
      version: this.version,
      provider: this.options.provider ?? "cpu",
      threads,
      dtype: "float32",
      attention,
      options: {
        seed,
        weights: weights === undefined ? "synthetic" : "given",
        positions: maxLength,
        format: weightFormat,
        ...(encoderLength === undefined ? {} : { [encoderLengthOption]: encoderLength }),
      },
    };
  }

  async prepare(cell: Cell): Promise<void> {
    this.assertOpen();
    if (cell.phase === "reference") {
      this.pulse ??= await openMicro(reference, this.options.threads, this.options.provider);
      return;
    }
    const key = cellKey(cell);
    if (this.prepared?.key === key) return;
    this.assertCell(cell);
    const { n, depth, batch } = cell;
    const ids = inputIds(this.model, cell, this.options.seed);
    this.forget();
    const { encoderLength, seed } = this.options;
    const past = this.fill(this.engine.caches, batch, depth, encoderLength);
    const states = depth === 0 ? {} : { states: fillStates(this.engine.states, batch) };
    const encoder =
      encoderLength === undefined ? {} : { encoderIds: inputIds(this.model, { batch, n: encoderLength }, seed) };
    const step = this.engine.prepare({ batch, n, depth, ids, past, ...states, ...encoder });
    this.prepared = { key, step: await this.engine.place(step) };
  }

  private forget(): void {
    if (this.prepared !== null) this.engine.discard(this.prepared.step);
    this.prepared = null;
  }

  async run(cell: Cell, { clock, signal }: RunContext): Promise<Outcome> {
    await this.prepare(cell);
    const key = cellKey(cell);
    const once = this.stepOf(cell);
    await (cell.phase === "reference" ? this.pulse : this.engine)?.settle();
    const known = this.stepSeconds.get(key);
    const steps = known === undefined ? 1 : Math.min(mostSteps, Math.max(1, Math.ceil(shortest / known)));
    let logits: Float32Array | null = null;
    const outcome = await timeSteps(clock, steps, async () => {
      signal.throwIfAborted();
      logits = await once();
    });
    if (outcome.status === "ok") {
      this.stepSeconds.set(key, outcome.seconds);
      if (known === undefined && !allFinite(logits)) {
        return { status: "failed", reason: "the logits are not all finite" };
      }
    }
    return outcome;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.forget();
    await this.pulse?.close();
    await this.engine.close();
  }

  private stepOf(cell: Cell): () => Promise<Float32Array | null> {
    const { pulse, prepared } = this;
    if (cell.phase === "reference") {
      if (pulse === null) throw new Error("the reference was not prepared");
      return async () => {
        await pulse.run();
        return null;
      };
    }
    if (prepared === null) throw new Error("the cell was not prepared");
    return () => this.engine.logits(prepared.step);
  }

  private assertOpen(): void {
    if (this.closed) throw new NsquaredError("runner-closed", "the runner is closed");
  }

  /** @throws NsquaredError where the runtime or the memory cannot do the cell */
  private assertCell(cell: Cell): void {
    const where = cellText(cell);
    const { attention, maxLength } = this.options;
    if (cell.n + cell.depth > maxLength) {
      throw badInput("length", {
        where,
        key: "length",
        found: cell.n + cell.depth,
        expected: `at most ${maxLength}, which this runner was opened for`,
      });
    }
    if (attention === "fused" && cell.batch > 1 && cell.n > 1 && cell.depth > 0) {
      throw badInput("batch", {
        where,
        key: "batch",
        found: cell.batch,
        expected: "1: ONNX Runtime's fused attention continues one sequence at a time; naive attention does more",
      });
    }
    const advice = attention === "naive" ? "take a shorter length, or fused attention" : "take a shorter length";
    const { encoderLength } = this.options;
    const size = encoderLength === undefined ? cell : { ...cell, encoder: encoderLength };
    assertFits(where, passBytes(this.graph, size), this.options.availableBytes(), advice);
  }
}

function allFinite(values: Float32Array | null): boolean {
  return values === null || values.every(Number.isFinite);
}
