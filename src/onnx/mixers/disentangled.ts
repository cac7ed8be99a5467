import type { Attention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { addLinear } from "../linear.js";
import { elementTypes, int, ints } from "../proto.js";
import { unsupported } from "../unsupported.js";
import { type BlockedAttention, type Operands, type Piece, addPiece, queriesPerBlock } from "./blocked-attention.js";
import { evenBlocks } from "./even-blocks.js";

type Disentangled = NonNullable<Attention["disentangled"]>;

/** Name under which a stack leaves its table of places, [2·reach, hidden]. */
export const placesTable = "places";

/**
 * The least distances that belong to the places mid + 1, mid + 2, … (mid = reach/2): a distance a > mid has the place
 * mid + ⌈log(a/mid)/log((farthest − 1)/mid)·(mid − 1)⌉.
 */
export function placeStarts(reach: number, farthest: number): number[] {
  const mid = Math.floor(reach / 2);
  return Array.from({ length: mid }, (_, step) => {
    const before = mid * ((farthest - 1) / mid) ** (step / (mid - 1));
    // Rounded down from just above, so that a distance on the edge stays with the place before.
    return Math.floor(before + 1e-9) + 1;
  });
}

/** Places by distance query − key, from −(n − 1) to n − 1, int64 [2n − 1]. */
function placesByDistance(e: Emitter, { reach, farthest }: Disentangled, n: string): string {
  const { builder } = e.scope;
  const one = builder.integers([1]);
  const distances = e.node("Range", [e.alone(e.subtract(one, n)), e.alone(n), builder.integer(1)]);
  let far = distances;
  if (farthest !== null) {
    const away = e.node("Abs", [distances]);
    const starts = builder.integers(placeStarts(reach, farthest));
    const beyond = e.node("GreaterOrEqual", [e.reshape(away, [-1, 1]), starts]);
    const counted = e.node("ReduceSum", [e.node("Cast", [beyond], { to: int(elementTypes.int64) }), one], {
      keepdims: int(0),
    });
    const shared = e.add(e.node("Min", [away, builder.integers([Math.floor(reach / 2)])]), counted);
    far = e.multiply(shared, e.node("Sign", [distances]));
  }
  const place = e.add(far, builder.integers([reach]));
  const least = e.node("Max", [place, builder.integers([0])]);
  return e.node("Min", [least, builder.integers([2 * reach - 1])]);
}

/**
 * Attention with scores by place beside those by content, in blocks of queries: of each block the scores of all places
 * are there once, and each pair picks its own.
 *
 * @returns the mixture, [b, n, heads·valueDim]
 */
export function addDisentangledAttention(
  e: Emitter,
  operands: Operands,
  mixer: Attention,
  disentangled: Disentangled,
  naive: boolean,
): string {
  const { heads, kvHeads, keyDim, valueDim, scale } = mixer;
  if (mixer.causal || kvHeads !== heads)
    throw unsupported(e.name, "scores by place are of encoders with a key per head");
  const { builder, left } = e.scope;
  const table = left.get(placesTable);
  if (table === undefined) throw unsupported(e.name, "its stack has no table of places");
  const attention: BlockedAttention = { ...mixer, span: { kind: "full" }, sinks: null, naive };
  const { reach, places, shared } = disentangled;
  const [one, zero, count] = [builder.integers([1]), builder.integers([0]), builder.integers([2 * reach])];
  const n = e.length(operands.query, 1);
  const placeKey = `places.${reach}`;
  const byDistance = left.get(placeKey) ?? placesByDistance(e, disentangled, n);
  left.set(placeKey, byDistance);
  const most = naive ? n : builder.integers([queriesPerBlock({ kind: "full" })]);
  const { blocks, rows, padded } = evenBlocks(e, n, most);
  const missing = e.subtract(padded, n);
  const query = e.transpose(e.reshape(operands.query, [0, 0, heads, 1, keyDim]), [0, 2, 3, 1, 4]);
  const filled = e.node("Pad", [query, e.list([0, 0, 0, 0, 0, 0, 0, 0, missing, 0])]);

  /** The table through a layer's projection, [1, heads, 2·reach, keyDim]. */
  const projected = (side: "key" | "query"): string => {
    const names = shared
      ? { weight: e.local(`${side}.weight`), bias: e.local(`${side}.bias`) }
      : { weight: `extra.position_${side}`, bias: `extra.position_${side}_bias` };
    const bias = e.scope.hasWeight(names.bias) ? names.bias : null;
    const all = addLinear(table, { weight: names.weight, bias }, e.fresh(`position_${side}`), e.scope);
    return e.transpose(e.reshape(all, [1, 2 * reach, heads, keyDim]), [0, 2, 1, 3]);
  };
  const ofKeys = places.includes("key") ? projected("key") : null;
  // Scores of every key by place, one after the other: [b, heads, n·2·reach].
  const ofQueries = places.includes("query")
    ? e.reshape(e.transposedProduct(operands.keys, projected("query"), scale), [0, heads, -1])
    : null;
  const range = (from: string, to: string): string => e.node("Range", [e.alone(from), e.alone(to), builder.integer(1)]);
  const keyPlaces = e.reshape(range(zero, n), [1, -1]);
  const rowPlaces = e.reshape(range(zero, rows), [-1, 1]);
  const lastDistance = e.subtract(e.add(n, n), builder.integers([2]));

  const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
    const start = e.multiply(e.reshape(index, [1]), rows);
    const part = e.node("Slice", [filled, start, e.add(start, rows), builder.integers([3])]);
    const apart = e.subtract(e.add(e.add(rowPlaces, start), e.subtract(n, one)), keyPlaces);
    const place = e.node("Gather", [byDistance, e.node("Min", [apart, lastDistance])]);
    const picked = (scores: string, from: string): string => {
      const where = e.reshape(e.add(place, e.multiply(from, count)), [-1]);
      const values = e.node("Gather", [scores, where], { axis: int(2) });
      return e.node("Reshape", [values, e.list([0, heads, 1, rows, n])]);
    };
    const terms: string[] = [];
    if (ofKeys !== null) {
      const all = e.transposedProduct(e.node("Squeeze", [part, builder.integers([2])]), ofKeys, scale);
      terms.push(picked(e.reshape(all, [0, heads, -1]), rowPlaces));
    }
    if (ofQueries !== null) terms.push(picked(ofQueries, keyPlaces));
    const [first, ...others] = terms;
    const mask = first === undefined ? null : others.reduce((sum, term) => e.add(sum, term), first);
    const piece: Piece = { query: part, keys: operands.keys, values: operands.values, rows, columns: n, mask };
    return { carried: [], stacked: [{ value: addPiece(e, piece, attention), rank: 5 }] };
  });
  // [blocks, b, heads, 1, rows, dim] → [b, blocks·rows, heads·dim]
  const inOrder = e.node("Transpose", [stacked], { perm: ints([1, 0, 4, 2, 3, 5]) });
  return e.slice(e.reshape(inOrder, [0, padded, heads * valueDim]), 1, 0, n);
}
