import type { Bytes } from "../base/units.js";

/** More than the caches of any processor so far: some servers have half of it in the third level. */
const mostCached: Bytes = 512 * 2 ** 20;
/** Share of the memory that is taken for it at most. */
const mostShare = 1 / 8;
/** Float64s in a cache line, of which one is enough. */
const stride = 8;

/** Bytes that are written to empty the caches of a machine with so much memory. */
export function evictedBytes(memoryBytes: Bytes): Bytes {
  return Math.min(mostCached, memoryBytes * mostShare);
}

/**
 * Makes what fills the processor's caches with something else, so that whatever is read next comes from memory.
 *
 * @param memoryBytes what the machine has
 */
export function cacheEvictor(memoryBytes: Bytes): () => void {
  let filler: Float64Array | null = null;
  return () => {
    filler ??= new Float64Array(Math.floor(evictedBytes(memoryBytes) / Float64Array.BYTES_PER_ELEMENT));
    // Written, not only read: lines that nobody ever wrote may all be the system's one page of zeros.
    for (let i = 0; i < filler.length; i += stride) filler[i] = (filler[i] ?? 0) + 1;
  };
}
