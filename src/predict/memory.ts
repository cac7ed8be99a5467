import { longestLength } from "../base/lengths.js";
import type { Bytes } from "../base/units.js";
import { cacheBytes, stateBytes } from "../cost/cache.js";
import { liveBytes } from "../cost/live-bytes.js";
import { weightBytes } from "../cost/parameters.js";
import type { Block, Graph } from "../graph/types.js";
import type { EngineMemory } from "../hardware/engine.js";
import type { Plan } from "./plan.js";
import { type Schedule, defaultSchedule, groupsOf, sequencesPerChunk } from "./schedule.js";

/** Bytes that a sequence of n tokens needs, from its prefill on, on the device that needs most. */
export interface MemoryCurve {
  readonly weights: Bytes;
  /** The peak of opening the model, before the first token. */
  readonly opening: Bytes;
  /** Keys, values and states kept once n tokens are in. */
  readonly cache: (n: number) => Bytes;
  /** The most that is alive of activations while n tokens are prefilled. */
  readonly activations: (n: number) => Bytes;
  /** Weights, cache and activations together. */
  readonly total: (n: number) => Bytes;
}

const asNeeded = { opening: 1, resident: 1, pass: 1 };

/** What a prefill holds at once, beside its length. */
export interface MemoryOptions {
  /** Sequences whose cache is kept. */
  readonly batch: number;
  /** Sequences of one pass. */
  readonly passBatch: number;
  /** Tokens already cached before. */
  readonly depth: number;
  /** Tokens computed at once; all where null. */
  readonly chunk: number | null;
  /** Share of the tokens that is cached already. */
  readonly cachedShare: number;
  /** Devices that share each sequence. */
  readonly context: number;
  /** Tokens of an encoder's input where they are not n. */
  readonly encoderLength: number;
}

/**
 * Memory of a prefill graph as a function of its length; `batch` sequences of n tokens each.
 *
 * @param engine multiples of what the model needs that its runtime takes
 */
export function memoryCurve(
  graph: Graph,
  batch = 1,
  engine: Pick<EngineMemory, "opening" | "resident" | "pass"> = asNeeded,
  options: Partial<MemoryOptions> = {},
): MemoryCurve {
  const { passBatch = batch, depth = 0, chunk = null, cachedShare = 0, context = 1, encoderLength = 0 } = options;
  const m = encoderLength;
  const needed = weightBytes(graph);
  const weights = needed * engine.resident;
  const states = stateBytes(graph).at({ b: batch, m }) * engine.pass;
  const all = cacheBytes(graph).times(engine.pass).compile("n", { c: depth, b: batch, m });
  const cache = (n: number): number => (context === 1 ? all(n) : states + (all(n) - states) / context);
  const blocks = new Set<Block>(graph.instances.map((instance) => instance.block));
  // Most operators of a block are alive alike: equal laws are evaluated once.
  const laws = new Map([...blocks].flatMap((block) => liveBytes(block).map((law) => [law.toString(15), law])));
  const most = (functions: readonly ((length: number) => number)[], length: number): number => {
    let bytes = 0;
    for (const one of functions) bytes = Math.max(bytes, one(length));
    return bytes * engine.pass;
  };
  const compiled = (variable: "n" | "c", values: { n?: number; c?: number; b: number }) =>
    [...laws.values()].map((law) => law.compile(variable, { ...values, m }));
  const together = new Map<number, ReturnType<typeof compiled>>();
  const atOnce = (sequences: number): ReturnType<typeof compiled> => {
    const made = together.get(sequences) ?? compiled("n", { c: depth / context, b: sequences });
    together.set(sequences, made);
    return made;
  };
  const later = chunk === null ? [] : compiled("c", { n: chunk / context, b: 1 });
  const activations = (n: number): number => {
    const fresh = n * (1 - cachedShare);
    if (chunk !== null && fresh > chunk) return most(later, (depth + n - chunk) / context);
    const sequences = chunk === null ? passBatch : sequencesPerChunk(n, { cachedShare }, chunk, passBatch);
    return most(atOnce(sequences), fresh / context);
  };
  const opening = needed * engine.opening;
  return { weights, opening, cache, activations, total: (n) => weights + cache(n) + activations(n) };
}

/** Memory of a plan under a schedule, on whichever stage of a pipeline needs most. */
export function memoryOf(plan: Plan, schedule: Partial<Schedule> = {}): MemoryCurve {
  const [first, ...others] = memoryOfStages(plan, schedule);
  if (first === undefined) throw new Error("a model has at least one stage");
  if (others.length === 0) return first;
  const fullest = (n: number): MemoryCurve =>
    others.reduce((most, stage) => (stage.total(n) > most.total(n) ? stage : most), first);
  const heaviest = others.reduce((most, stage) => (stage.weights > most.weights ? stage : most), first);
  return {
    weights: heaviest.weights,
    opening: heaviest.opening,
    cache: (n) => fullest(n).cache(n),
    activations: (n) => fullest(n).activations(n),
    total: (n) => fullest(n).total(n),
  };
}

/** Memory of one device of each stage of the pipeline. */
export function memoryOfStages(plan: Plan, schedule: Partial<Schedule> = {}): readonly MemoryCurve[] {
  const { batch, depth, chunk, cachedShare } = { ...defaultSchedule, ...schedule };
  const options = {
    passBatch: groupsOf(plan, batch).size,
    depth,
    chunk,
    cachedShare,
    context: plan.parallel.context,
    encoderLength: plan.encoderLength ?? 0,
  };
  const local = Math.ceil(batch / plan.replicas);
  const { engine } = plan;
  const key = JSON.stringify([options, local, engine.memory, plan.parallel.pipeline]);
  const graph = plan.graph("prefill");
  const made = known.get(graph) ?? new Map<string, readonly MemoryCurve[]>();
  known.set(graph, made);
  const found = made.get(key);
  if (found !== undefined) return found;
  const stages = stagesOf(plan).map((stage) => memoryCurve(stage, local, engine.memory, options));
  if (made.size >= mostKept) made.clear();
  made.set(key, stages);
  return stages;
}

/** Memory of graphs by what was asked: it does not depend on the device, so that a second one takes it from the first. */
const known = new WeakMap<Graph, Map<string, readonly MemoryCurve[]>>();
const mostKept = 64;

/** The prefill graph, cut into the stages of the pipeline: the embedding runs in the first, the head in the last. */
function stagesOf(plan: Plan): readonly Graph[] {
  const graph = plan.graph("prefill");
  const { pipeline } = plan.parallel;
  if (pipeline === 1) return [graph];
  const stageOfLayer = plan.model.stacks.flatMap(({ layers }) =>
    layers.map((_, index) => Math.floor((index * pipeline) / layers.length)),
  );
  let begun = false;
  const placed = graph.instances.map((instance) => {
    if (instance.layer === null) return { instance, stage: begun ? pipeline - 1 : 0 };
    begun = true;
    return { instance, stage: stageOfLayer[instance.layer] ?? 0 };
  });
  return Array.from({ length: pipeline }, (_, stage) => ({
    ...graph,
    instances: placed.filter((one) => one.stage === stage).map(({ instance }) => instance),
  }));
}

/**
 * The longest prefill that fits in `available` bytes: 0 where even one token does not, null where there is no end
 * below 2⁴⁰ tokens.
 */
export function longestThatFits(memory: MemoryCurve, available: Bytes): number | null {
  if (!fits(memory, 1, available)) return 0;
  if (fits(memory, longestLength, available)) return null;
  let longest = 1;
  let fails = longestLength;
  while (fails - longest > 1) {
    const middle = Math.floor((longest + fails) / 2);
    if (fits(memory, middle, available)) longest = middle;
    else fails = middle;
  }
  return longest;
}

/** Whether the model can be opened and n tokens be prefilled in `available` bytes. */
export function fits(memory: MemoryCurve, n: number, available: Bytes): boolean {
  return needs(memory, n) <= available;
}

/** Bytes that opening the model and prefilling n tokens need at their peak. */
export function needs(memory: MemoryCurve, n: number): Bytes {
  return Math.max(memory.opening, memory.total(n));
}
