import type { Attention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import { elementTypes, int } from "../proto.js";
import { unsupported } from "../unsupported.js";
import { type BlockedAttention, type Operands, type Piece, addPiece, queriesPerBlock } from "./blocked-attention.js";
import { evenBlocks } from "./even-blocks.js";

type Relative = NonNullable<Attention["relativePositions"]>;

/**
 * Distances from which on the k-th of the wide buckets begins, k ≥ 1: ⌊log(a/exact)/log(reach/exact)·wide⌋ ≥ k. Up to
 * `exact` every distance has a bucket of its own.
 */
export function bucketStarts(exact: number, wide: number, reach: number): number[] {
  return Array.from({ length: Math.max(0, wide - 1) }, (_, index) => {
    // Rounded up from just below, so that distances that begin a bucket exactly are in it.
    return Math.ceil(exact * (reach / exact) ** ((index + 1) / wide) - 1e-9);
  });
}

/**
 * The bias of every distance between key and query, [heads, all + n − 1], from the farthest key before the last query to
 * the farthest after the first (T5, arXiv:1910.10683).
 */
function biasByDistance(e: Emitter, { buckets, reach }: Relative, causal: boolean, n: string, all: string): string {
  const { builder } = e.scope;
  const one = builder.integers([1]);
  const zero = builder.integers([0]);
  const distances = e.node("Range", [e.alone(e.subtract(one, all)), e.alone(n), builder.integer(1)]);
  const cast = (from: string): string => e.node("Cast", [from], { to: int(elementTypes.int64) });
  const half = causal ? buckets : buckets / 2;
  const exact = Math.floor(half / 2);
  const away = causal ? e.node("Max", [e.node("Neg", [distances]), zero]) : e.node("Abs", [distances]);
  let bucket = e.node("Min", [away, builder.integers([exact])]);
  for (const start of bucketStarts(exact, half - exact, reach)) {
    bucket = e.add(bucket, cast(e.node("GreaterOrEqual", [away, builder.integers([start])])));
  }
  if (!causal) {
    const after = cast(e.node("Greater", [distances, zero]));
    bucket = e.add(bucket, e.multiply(after, builder.integers([half])));
  }
  return e.transpose(e.node("Gather", [e.weight("relative_positions"), bucket]), [1, 0]);
}

/** The same with what the mask hides. */
function hidden(e: Emitter, values: string, { span, causal }: BlockedAttention, n: string, all: string): string {
  const { builder } = e.scope;
  const distances = e.node("Range", [e.alone(e.subtract(builder.integers([1]), all)), e.alone(n), builder.integer(1)]);
  const conditions: string[] = [];
  if (causal) conditions.push(e.node("Greater", [distances, builder.integers([0])]));
  if (span.kind === "window") {
    conditions.push(e.node("GreaterOrEqual", [e.node("Abs", [distances]), builder.integers([span.size])]));
  }
  const [first, ...others] = conditions;
  if (first === undefined) return values;
  const any = others.reduce((either, condition) => e.node("Or", [either, condition]), first);
  return e.node("Where", [any, builder.scalar(masked), values]);
}

/**
 * What is added to the scores of any block of `rows` queries, [kvHeads, group, rows, all + n + rows − 2]: a row is the
 * one above it moved by one, so that a block's columns are a stretch of it.
 */
function bandOf(e: Emitter, byDistance: string, { heads, kvHeads }: BlockedAttention, rows: string): string {
  const { builder } = e.scope;
  const one = builder.integers([1]);
  const front = e.concat([builder.integers([0]), rows, builder.integers([0, 0])], 0);
  const padded = e.node("Pad", [byDistance, front]);
  const width = e.length(padded, 1);
  const repeated = e.expand(e.reshape(padded, [heads, 1, -1]), [heads, rows, width]);
  // Reading rows of one element less moves each of them by one against the row before.
  const flat = e.slice(e.reshape(repeated, [heads, -1]), 1, rows);
  return e.reshape(flat, [kvHeads, heads / kvHeads, rows, e.subtract(width, one)]);
}

/**
 * Attention to its own sequence with a bias for each distance, in blocks of queries: the biases of all blocks are
 * stretches of one band, made once for all layers that share a table, so that nothing grows with n².
 *
 * @returns the mixture, [b, n, heads·valueDim]
 */
export function addBiasedAttention(
  e: Emitter,
  operands: Operands,
  attention: BlockedAttention,
  relative: Relative,
): string {
  const { heads, kvHeads, keyDim, valueDim, span, causal, naive } = attention;
  if (span.kind === "chunk") throw unsupported(e.name, "no lowering of relative positions in chunks");
  const { builder, left } = e.scope;
  const one = builder.integers([1]);
  const tokens = e.length(operands.query, 1);
  const all = e.length(operands.keys, 2);
  const most = naive ? tokens : builder.integers([queriesPerBlock(span)]);
  const { blocks, rows, padded } = evenBlocks(e, tokens, most);
  if (relative.own) {
    left.clear();
    left.set("relative", biasByDistance(e, relative, causal, tokens, all));
  }
  const values = left.get("relative");
  if (values === undefined) throw unsupported(e.name, "no layer before it has a table of relative positions");
  const key = `relative.${span.kind}.${span.kind === "window" ? span.size : ""}`;
  const band = left.get(key) ?? bandOf(e, hidden(e, values, attention, tokens, all), attention, rows);
  left.set(key, band);
  const query = e.transpose(e.reshape(operands.query, [0, 0, kvHeads, heads / kvHeads, keyDim]), [0, 2, 3, 1, 4]);
  const maskOf = (first: string, from: string, columns: string): string => {
    const start = e.subtract(e.add(from, all), e.add(first, one));
    return e.node("Slice", [band, start, e.add(start, columns), builder.integers([3])]);
  };
  const offset = e.subtract(all, tokens);
  const alone = (): string => {
    const whole: Piece = {
      query,
      keys: operands.keys,
      values: operands.values,
      rows: tokens,
      columns: all,
      mask: maskOf(offset, builder.integers([0]), all),
    };
    const mixed = addPiece(e, whole, attention);
    return e.reshape(e.transpose(mixed, [0, 3, 1, 2, 4]), [0, 0, heads * valueDim]);
  };
  if (naive) return alone();
  const inBlocks = (): string => {
    const missing = e.concat(
      [builder.integers([0, 0, 0, 0, 0, 0, 0, 0]), e.subtract(padded, tokens), builder.integers([0])],
      0,
    );
    const filled = e.node("Pad", [query, missing]);
    const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
      const start = e.multiply(e.reshape(index, [1]), rows);
      const stop = e.add(start, rows);
      const first = e.add(offset, start);
      const reach = span.kind === "window" ? span.size - 1 : null;
      const from =
        reach === null
          ? builder.integers([0])
          : e.node("Max", [e.subtract(first, builder.integers([reach])), builder.integers([0])]);
      const beyond = causal
        ? e.add(offset, stop)
        : reach === null
          ? all
          : e.add(e.add(offset, stop), builder.integers([reach]));
      const to = e.node("Min", [beyond, all]);
      const columns = e.subtract(to, from);
      // An encoder's queries see all keys as they are, without a copy.
      const seen = (side: string): string =>
        causal || reach !== null ? e.node("Slice", [side, from, to, builder.integers([2])]) : side;
      const piece: Piece = {
        query: e.node("Slice", [filled, start, stop, builder.integers([3])]),
        keys: seen(operands.keys),
        values: seen(operands.values),
        rows,
        columns,
        mask: maskOf(first, from, columns),
      };
      return { carried: [], stacked: [{ value: addPiece(e, piece, attention), rank: 5 }] };
    });
    // [blocks, b, kvHeads, group, rows, dim] → [b, blocks·rows, heads·dim]
    const inOrder = e.reshape(e.transpose(stacked, [1, 0, 4, 2, 3, 5]), [0, padded, heads * valueDim]);
    return e.slice(inOrder, 1, 0, tokens);
  };
  const single = e.node("Equal", [blocks, one]);
  return e.eitherOf(single, 3, alone, inBlocks);
}
