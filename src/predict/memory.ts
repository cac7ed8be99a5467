import { longestLength } from "../base/lengths.js";
import type { Bytes } from "../base/units.js";
import { cacheBytes } from "../cost/cache.js";
import { liveBytes } from "../cost/live-bytes.js";
import { weightBytes } from "../cost/parameters.js";
import type { Block, Graph } from "../graph/types.js";

/** Bytes that a sequence of n tokens needs, from its prefill on. */
export interface MemoryCurve {
  readonly weights: Bytes;
  /** Keys, values and states kept once n tokens are in. */
  readonly cache: (n: number) => Bytes;
  /** The most that is alive of activations while n tokens are prefilled at once. */
  readonly activations: (n: number) => Bytes;
  readonly total: (n: number) => Bytes;
}

/** Memory of a prefill graph as a function of its length; `batch` sequences of n tokens each. */
export function memoryCurve(graph: Graph, batch = 1): MemoryCurve {
  const fixed = { c: 0, b: batch };
  const weights = weightBytes(graph);
  const cache = cacheBytes(graph).compile("n", fixed);
  const blocks = new Set<Block>(graph.instances.map((instance) => instance.block));
  // Most operators of a block are alive alike: equal laws are evaluated once.
  const laws = new Map([...blocks].flatMap((block) => liveBytes(block).map((law) => [law.toString(15), law])));
  const live = [...laws.values()].map((law) => law.compile("n", fixed));
  const activations = (n: number): number => {
    let most = 0;
    for (const bytes of live) most = Math.max(most, bytes(n));
    return most;
  };
  return { weights, cache, activations, total: (n) => weights + cache(n) + activations(n) };
}

/**
 * The longest prefill that fits in `available` bytes: 0 where even one token does not, null where there is no end
 * below 2⁴⁰ tokens.
 */
export function longestThatFits(memory: MemoryCurve, available: Bytes): number | null {
  if (memory.total(1) > available) return 0;
  if (memory.total(longestLength) <= available) return null;
  let fits = 1;
  let fails = longestLength;
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2);
    if (memory.total(middle) <= available) fits = middle;
    else fails = middle;
  }
  return fits;
}
