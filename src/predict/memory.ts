import { longestLength } from "../base/lengths.js";
import type { Bytes } from "../base/units.js";
import { cacheBytes } from "../cost/cache.js";
import { liveBytes } from "../cost/live-bytes.js";
import { weightBytes } from "../cost/parameters.js";
import type { Block, Graph } from "../graph/types.js";
import type { EngineMemory } from "../hardware/engine.js";

/** Bytes that a sequence of n tokens needs, from its prefill on. */
export interface MemoryCurve {
  readonly weights: Bytes;
  /** The peak of opening the model, before the first token. */
  readonly opening: Bytes;
  /** Keys, values and states kept once n tokens are in. */
  readonly cache: (n: number) => Bytes;
  /** The most that is alive of activations while n tokens are prefilled at once. */
  readonly activations: (n: number) => Bytes;
  /** Weights, cache and activations together. */
  readonly total: (n: number) => Bytes;
}

const asNeeded = { opening: 1, resident: 1, pass: 1 };

/**
 * Memory of a prefill graph as a function of its length; `batch` sequences of n tokens each.
 *
 * @param engine multiples of what the model needs that its runtime takes
 */
export function memoryCurve(
  graph: Graph,
  batch = 1,
  engine: Pick<EngineMemory, "opening" | "resident" | "pass"> = asNeeded,
): MemoryCurve {
  const fixed = { c: 0, b: batch };
  const needed = weightBytes(graph);
  const weights = needed * engine.resident;
  const cache = cacheBytes(graph).times(engine.pass).compile("n", fixed);
  const blocks = new Set<Block>(graph.instances.map((instance) => instance.block));
  // Most operators of a block are alive alike: equal laws are evaluated once.
  const laws = new Map([...blocks].flatMap((block) => liveBytes(block).map((law) => [law.toString(15), law])));
  const live = [...laws.values()].map((law) => law.compile("n", fixed));
  const activations = (n: number): number => {
    let most = 0;
    for (const bytes of live) most = Math.max(most, bytes(n));
    return most * engine.pass;
  };
  const opening = needed * engine.opening;
  return { weights, opening, cache, activations, total: (n) => weights + cache(n) + activations(n) };
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
  return Math.max(memory.opening, memory.total(n)) <= available;
}
