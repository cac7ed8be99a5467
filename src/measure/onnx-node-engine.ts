import { seededRandom } from "../base/random.js";
import { type LoweredModel } from "../onnx/lower.js";
import { type CacheBinding, type StateBinding, inputNames, keptTokens } from "../onnx/scope.js";
import type { ExternalFile, Feed } from "../onnx/tensors.js";
import { type Runtime, type Session, type SessionOptions, type Tensor, loadOnnxRuntime } from "./onnx-node-session.js";
import { discard, Uploader } from "./onnx-node-upload.js";

/** Keys and values of one cache, [b, kvHeads, room, dim] each. */
export interface CacheContent {
  /** Tokens that there is room for; as many as are kept where it is left out. */
  readonly room?: number;
  readonly key: Float32Array;
  readonly value: Float32Array;
}

/** What one forward pass takes: n new tokens of each sequence after `depth` cached ones. */
export interface StepInput {
  readonly batch: number;
  readonly n: number;
  readonly depth: number;
  /** Token ids, [batch, n]. */
  readonly ids: BigInt64Array;
  /** Token ids of the encoder, [batch, m], which the first step of a sequence reads; `ids` where they are left out. */
  readonly encoderIds?: BigInt64Array;
  /** What an encoder of sound reads, [batch, bins, frames]; noise where it is left out. */
  readonly encoderFeatures?: Float32Array;
  /** One per cache of the model; empty arrays at depth 0. Read where they are, not copied. */
  readonly past: readonly CacheContent[];
  /** One per state of the model, [batch, …shape]; zeros where it is left out. */
  readonly states?: readonly Float32Array[];
}

/** What one pass leaves behind for the next. */
export interface Memory {
  readonly caches: readonly CacheContent[];
  readonly states: readonly Float32Array[];
}

/** A step with its tensors made, so that nothing but the pass itself is timed. */
export type Step = Readonly<Record<string, Tensor>>;

/** A lowered model in ONNX Runtime. */
export interface Engine {
  readonly caches: readonly CacheBinding[];
  readonly states: readonly StateBinding[];
  prepare(input: StepInput): Step;
  /**
   * The same step with its caches and states in the memory of whatever computes, for passes that give logits alone: the step itself
   * on the processor. A placed step is discarded when it is done with.
   */
  place(step: Step): Promise<Step>;
  discard(step: Step): void;
  /** Runs one pass and gives the logits. The grown cache stays inside the runtime and is thrown away. */
  logits(step: Step): Promise<Float32Array>;
  /** Waits until the threads of other sessions leave the cores alone. */
  settle(): Promise<void>;
  /**
   * Runs one pass and gives the logits, the caches with the new tokens and the states. New tokens are written into the
   * past that was handed in where it has room for them: a sequence is continued once.
   */
  logitsAndCaches(step: Step): Promise<Memory & { readonly logits: Float32Array }>;
  endProfiling(): void;
  close(): Promise<void>;
}

export async function openEngine(
  lowered: LoweredModel,
  files: readonly ExternalFile[],
  options: SessionOptions,
): Promise<Engine> {
  const runtime = await loadOnnxRuntime();
  const session = await runtime.open(lowered.model, files, options);
  return engine(lowered, runtime, session, options.provider === "webgpu" ? new Uploader(runtime) : null);
}

function engine(lowered: LoweredModel, runtime: Runtime, session: Session, uploader: Uploader | null): Engine {
  const { caches, states, output } = lowered;
  const onlyLogits = { [output]: null };
  const everything: Record<string, null> = { [output]: null };
  for (const { present } of caches) {
    everything[present.key] = null;
    everything[present.value] = null;
  }
  for (const { present } of states) everything[present] = null;
  return {
    caches,
    states,
    prepare: (input) => {
      const tensors: Record<string, Tensor> = {};
      for (const feed of feedsOf(lowered, input)) tensors[feed.name] = runtime.tensor(feed);
      return tensors;
    },
    place: async (step) => (uploader === null ? step : uploader.upload(step)),
    discard,
    logits: async (step) => floats(await session.run(step, onlyLogits), output),
    logitsAndCaches: async (step) => {
      const results = await session.run(step, everything);
      return {
        logits: floats(results, output),
        caches: caches.map((binding) => {
          const { kept, past, present } = binding;
          // What the encoder left in the first step stays as it is.
          const stays = kept.kind === "encoder" && (step[past.key]?.size ?? 0) > 0;
          const content = (side: "key" | "value"): Float32Array =>
            stays ? floats(step, past[side]) : floats(results, present[side]);
          if (binding.hands === "new") return continued(binding, depthOf(step), step, results);
          return { key: content("key"), value: content("value") };
        }),
        states: states.map(({ present }) => floats(results, present)),
      };
    },
    settle: () => session.settle(),
    endProfiling: () => session.endProfiling(),
    close: async () => {
      await uploader?.close();
      await session.close();
    },
  };
}

function feedsOf({ caches, states, inputs, features }: LoweredModel, input: StepInput): Feed[] {
  const { batch, n, depth, ids, past } = input;
  const encoderIds = depth > 0 ? new BigInt64Array(0) : (input.encoderIds ?? ids);
  const all: Feed[] = [
    { name: inputNames.ids, shape: [batch, n], data: ids },
    { name: inputNames.encoderIds, shape: [batch, encoderIds.length / batch], data: encoderIds },
    { name: inputNames.last, shape: [batch], data: new Int32Array(batch).fill(depth + n - 1) },
    { name: inputNames.total, shape: [], data: Int32Array.of(depth + n) },
    { name: inputNames.depth, shape: [1], data: BigInt64Array.of(BigInt(depth)) },
  ];
  if (features !== null) {
    const { bins, frames, each } = features;
    const length = depth > 0 ? 0 : frames + (each * encoderIds.length) / batch;
    const data = depth > 0 ? new Float32Array(0) : (input.encoderFeatures ?? noise(batch * bins * length));
    all.push({ name: inputNames.encoderFeatures, shape: [batch, bins, length], data });
  }
  const feeds = all.filter(({ name }) => inputs.has(name));
  caches.forEach(({ past: names, kept, kvHeads, keyDim, valueDim }, index) => {
    const content = past[index];
    if (content === undefined) throw new Error(`no content for cache ${index}`);
    const tokens =
      kept.kind === "encoder"
        ? content.key.length / (batch * kvHeads * keyDim)
        : (content.room ?? keptTokens(kept, depth));
    feeds.push({ name: names.key, shape: [batch, kvHeads, tokens, keyDim], data: content.key });
    feeds.push({ name: names.value, shape: [batch, kvHeads, tokens, valueDim], data: content.value });
  });
  states.forEach(({ past: name, shape }, index) => {
    const length = shape.reduce((product, size) => product * size, batch);
    feeds.push({ name, shape: [batch, ...shape], data: input.states?.[index] ?? new Float32Array(length) });
  });
  return feeds;
}

/** Room is made for so many tokens at a time, so that a cache is moved once in so many steps. */
const roomStep = 64;

/** What is kept after a pass that handed out the new tokens alone. */
function continued({ past, present }: CacheBinding, depth: number, step: Step, results: Step): CacheContent {
  const [batch = 0, heads = 0, rows = 0, keyDim = 0] = step[past.key]?.dims ?? [];
  const fresh = results[present.key]?.dims[2] ?? 0;
  // Nothing stands before them: they are all there is, and making room waits for the next step.
  if (depth === 0 && rows === 0) {
    return { key: floats(results, present.key), value: floats(results, present.value), room: fresh };
  }
  const room = depth + fresh <= rows ? rows : Math.ceil((depth + fresh) / roomStep) * roomStep;
  const side = (which: "key" | "value"): Float32Array => {
    const dim = step[past[which]]?.dims[3] ?? keyDim;
    const held = floats(step, past[which]);
    const added = floats(results, present[which]);
    const all = room === rows ? held : new Float32Array(batch * heads * room * dim);
    for (let head = 0; head < batch * heads; head += 1) {
      if (all !== held) all.set(held.subarray(head * rows * dim, (head * rows + depth) * dim), head * room * dim);
      all.set(added.subarray(head * fresh * dim, (head + 1) * fresh * dim), (head * room + depth) * dim);
    }
    return all;
  };
  return { key: side("key"), value: side("value"), room };
}

function depthOf(step: Step): number {
  const depth = step[inputNames.depth]?.data[0];
  if (typeof depth !== "bigint") throw new Error("the step does not say how many tokens are cached");
  return Number(depth);
}

function noise(length: number): Float32Array {
  const random = seededRandom(1);
  return Float32Array.from({ length }, () => 2 * random() - 1);
}

function floats(results: Readonly<Record<string, Tensor>>, name: string): Float32Array {
  const data = results[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`the runtime gave no ${name}`);
  return data;
}
