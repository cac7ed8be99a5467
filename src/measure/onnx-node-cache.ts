import { seededRandom } from "../base/random.js";
import { type CacheBinding, type StateBinding, keptTokens } from "../onnx/scope.js";
import type { CacheContent } from "./onnx-node-engine.js";

/** Gives caches as they are after `depth` tokens, [batch, kvHeads, tokens, dim] each, filled with random numbers. */
export type CacheFiller = (
  caches: readonly CacheBinding[],
  batch: number,
  depth: number,
  /** Tokens of an encoder's input; as many as the depth where it is left out. */
  encoder?: number,
) => CacheContent[];

/** Numbers drawn one by one; the rest of a cache repeats them, which takes as long to attend to. */
const drawn = 2 ** 16;

function randomTile(): Float32Array {
  const random = seededRandom(1);
  return Float32Array.from({ length: drawn }, () => 2 * random() - 1);
}

function filled(length: number, tile: Float32Array): Float32Array {
  const data = new Float32Array(length);
  data.set(tile.subarray(0, Math.min(length, tile.length)));
  for (let done = tile.length; done < length; done *= 2) data.copyWithin(done, 0, Math.min(done, length - done));
  return data;
}

/** Each cache has memory of its own, as in generation; it is kept, and longer memory serves shorter caches. */
export function cacheFiller(): CacheFiller {
  const kept: { key: Float32Array; value: Float32Array }[] = [];
  const tile = randomTile();
  return (caches, batch, depth, encoder = depth) =>
    caches.map(({ kept: rule, kvHeads, keyDim, valueDim }, index) => {
      const tokens = depth > 0 && rule.kind === "encoder" ? (rule.tokens ?? encoder) : keptTokens(rule, depth);
      const keys = batch * kvHeads * tokens * keyDim;
      const values = batch * kvHeads * tokens * valueDim;
      let own = kept[index];
      if (own === undefined || own.key.length < keys || own.value.length < values) {
        own = { key: filled(keys, tile), value: filled(values, tile) };
        kept[index] = own;
      }
      return { key: own.key.subarray(0, keys), value: own.value.subarray(0, values) };
    });
}

/** States as they may be after some tokens, [batch, …shape] each: numbers in [0, 1), of which denominators are sums. */
export function fillStates(states: readonly StateBinding[], batch: number): Float32Array[] {
  const tile = randomTile().map(Math.abs);
  return states.map(({ shape }) =>
    filled(
      shape.reduce((product, size) => product * size, batch),
      tile,
    ),
  );
}
