const offset = 0x811c9dc5;

/**
 * FNV-1a, 32 bits (G. Fowler, L. C. Noll, K.-P. Vo), over the bytes of a text as UTF-8: tells texts apart, protects nothing.
 *
 * @param seed makes another hash of it
 */
export function fnv1a(text: string, seed = 0): number {
  let hash = (offset ^ seed) >>> 0;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
