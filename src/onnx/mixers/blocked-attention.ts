import type { Span } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import { int } from "../proto.js";
import { evenBlocks } from "./even-blocks.js";

/** Queries of a block at most: scores of one block and all heads stay near the processor. */
const largestBlock = 128;

export type BlockedSpan = Extract<Span, { kind: "full" | "window" | "chunk" }>;

export interface BlockedAttention {
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly span: BlockedSpan;
  readonly causal: boolean;
  readonly scale: number;
  readonly softcap: number | null;
  /** Name of a parameter [heads]: a score of its own per head that takes part in the softmax. */
  readonly sinks: string | null;
  /** Computes all scores at once instead of block by block. */
  readonly naive: boolean;
}

export interface Operands {
  /** [b, n, heads·keyDim]. */
  readonly query: string;
  /** [b, kvHeads, t, keyDim]; the last n of the t are the queries' own. */
  readonly keys: string;
  /** [b, kvHeads, t, valueDim]. */
  readonly values: string;
}

/** Part of the queries against part of the keys. */
export interface Piece {
  /** [b, kvHeads, group, rows, keyDim]. */
  readonly query: string;
  readonly keys: string;
  readonly values: string;
  /** Numbers of queries and of keys, int64 [1]. */
  readonly rows: string;
  readonly columns: string;
  /** Added to the scores, [rows, columns] or [kvHeads, group, rows, columns], or null where everything is visible. */
  readonly mask: string | null;
}

/** Queries of one block: a quarter of the window or less, so that little of what is computed is thrown away. */
export function queriesPerBlock(span: BlockedSpan): number {
  if (span.kind === "full") return largestBlock;
  return Math.max(1, Math.min(largestBlock, Math.floor(span.size / 4)));
}

/**
 * Softmax attention in blocks of queries. Each block meets only the keys that its span lets it see, so that a window
 * or a chunk takes time in proportion to n; scores of one block are in memory at a time. One query needs no block and
 * no mask: what is kept in the cache is what it sees.
 *
 * @returns the mixture, [b, n, heads·valueDim]
 */
export function addBlockedAttention(e: Emitter, operands: Operands, attention: BlockedAttention): string {
  const { heads, kvHeads, keyDim, valueDim, causal, span } = attention;
  const { builder } = e.scope;
  const group = heads / kvHeads;
  const tokens = e.length(operands.query, 1);
  const all = e.length(operands.keys, 2);
  const inOrder = (mixed: string): string => e.reshape(e.transpose(mixed, [0, 3, 1, 2, 4]), [0, 0, heads * valueDim]);
  const atOnce = (mask: string | null): string => {
    const query = e.transpose(e.reshape(operands.query, [0, 0, kvHeads, group, keyDim]), [0, 2, 3, 1, 4]);
    return inOrder(addPiece(e, { ...operands, query, rows: tokens, columns: all, mask }, attention));
  };
  if (!causal && span.kind === "full") return atOnce(null);
  if (attention.naive) {
    const places = { first: e.subtract(all, tokens), rows: tokens, from: null, columns: all };
    return atOnce(positionMask(e, attention, places));
  }
  const inBlocks = (): string => addBlocks(e, operands, { tokens, all }, attention);
  if (!causal) return inBlocks();
  const single = e.node("Equal", [tokens, builder.integers([1])]);
  return e.eitherOf(single, 3, () => atOnce(null), inBlocks);
}

/** Queries are cut, filled up and turned block by block, while they are near the processor, and so is what leaves. */
function addBlocks(
  e: Emitter,
  { query, keys, values }: Operands,
  { tokens, all }: { readonly tokens: string; readonly all: string },
  attention: BlockedAttention,
): string {
  const { builder } = e.scope;
  const { span, causal, heads, kvHeads, keyDim, valueDim } = attention;
  const most = builder.integers([queriesPerBlock(span)]);
  const { blocks, rows, padded } = evenBlocks(e, tokens, most);
  const offset = e.subtract(all, tokens);
  const mask = span.kind === "window" ? windowMask(e, span.size, causal, rows) : null;
  const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
    const start = e.multiply(e.reshape(index, [1]), rows);
    const stop = e.add(start, rows);
    const first = e.add(offset, start);
    const reach = span.kind === "window" && !causal ? e.add(stop, builder.integers([span.size - 1])) : stop;
    const to = e.node("Min", [e.add(offset, reach), all]);
    const sinks = sinkCount(e, span, to);
    const oldest = firstKey(e, span, first);
    const from = sinks === null ? oldest : e.node("Max", [oldest, sinks]);
    const columns = e.subtract(to, from);
    const seen = (side: string): string => {
      const near = e.node("Slice", [side, from, to, builder.integers([2])]);
      return sinks === null ? near : e.concat([e.slice(side, 2, 0, sinks), near], 2);
    };
    const own =
      mask === null || span.kind !== "window"
        ? positionMask(e, attention, { first, rows, from, columns })
        : cutMask(e, mask, e.add(e.subtract(from, first), builder.integers([span.size - 1])), columns);
    const cut = e.slice(query, 1, start, stop);
    const missing = e.subtract(rows, e.length(cut, 1));
    const filled = e.node("Pad", [cut, e.concat([builder.integers([0, 0, 0, 0]), missing, builder.integers([0])], 0)]);
    const piece = {
      query: e.transpose(e.reshape(filled, [0, 0, kvHeads, heads / kvHeads, keyDim]), [0, 2, 3, 1, 4]),
      keys: seen(keys),
      values: seen(values),
      rows,
      columns: sinks === null ? columns : e.add(columns, sinks),
      mask: sinks === null || own === null ? own : e.concat([causalMask(e, first, rows, sinks), own], 1),
    };
    const mixed = e.transpose(addPiece(e, piece, attention), [0, 3, 1, 2, 4]);
    return { carried: [], stacked: [{ value: e.reshape(mixed, [0, 0, heads * valueDim]), rank: 3 }] };
  });
  // [blocks, b, rows, heads·dim] → [b, blocks·rows, heads·dim]
  const inOrder = e.reshape(e.transpose(stacked, [1, 0, 2, 3]), [0, padded, heads * valueDim]);
  return e.slice(inOrder, 1, 0, tokens);
}

/** How many of the first tokens, which stay visible beside a window, stand before the place `to`; null for none. */
function sinkCount(e: Emitter, span: BlockedSpan, to: string): string | null {
  if (span.kind !== "window" || span.first === undefined) return null;
  return e.node("Min", [e.scope.builder.integers([span.first]), to]);
}

/** First key that the first query of a block sees. Positions are places in the list of keys. */
function firstKey(e: Emitter, span: BlockedSpan, first: string): string {
  const { builder } = e.scope;
  const zero = builder.integers([0]);
  switch (span.kind) {
    case "full":
      return zero;
    case "window":
      return e.node("Max", [e.subtract(first, builder.integers([span.size - 1])), zero]);
    case "chunk": {
      const size = builder.integers([span.size]);
      return e.multiply(e.node("Div", [first, size]), size);
    }
  }
}

/**
 * The mask of a block of `rows` queries whose first key is size − 1 before its first query: the same for every block
 * and layer with that window.
 */
export function windowMask(e: Emitter, size: number, causal: boolean, rows: string): string {
  const before = size - 1;
  const columns = e.add(rows, e.scope.builder.integers([causal ? before : 2 * before]));
  const blank = e.expand(e.scope.builder.scalar(masked), [rows, columns]);
  // Column j of row i is the key j − i − before after the query.
  const late = triangle(e, blank, e.scope.builder.integer(before + (causal ? 1 : size)), "upper");
  return e.add(late, triangle(e, blank, e.scope.builder.integer(-1), "lower"));
}

export function cutMask(e: Emitter, mask: string, from: string, columns: string): string {
  return e.node("Slice", [mask, from, e.add(from, columns), e.scope.builder.integers([1])]);
}

/** The mask of queries from the place `first` on against the keys up to a place, [rows, columns]. */
export function causalMask(e: Emitter, first: string, rows: string, columns: string): string {
  const blank = e.expand(e.scope.builder.scalar(masked), [rows, columns]);
  return triangle(e, blank, e.alone(e.add(first, e.scope.builder.integers([1]))), "upper");
}

/** What stands on and beyond the diagonal j = i + k; zeros elsewhere. */
function triangle(e: Emitter, matrix: string, k: string, side: "upper" | "lower"): string {
  return e.node("Trilu", [matrix, k], { upper: int(side === "upper" ? 1 : 0) });
}

interface Places {
  /** Place of the first query in the list of keys, int64 [1]. */
  readonly first: string;
  readonly rows: string;
  /** Place of the first key; the first of all where it is null. */
  readonly from: string | null;
  readonly columns: string;
}

/** The mask of any queries and keys, [rows, columns]. */
function positionMask(e: Emitter, { span, causal }: BlockedAttention, places: Places): string | null {
  const { builder } = e.scope;
  const { first, rows, from, columns } = places;
  const before = from === null ? first : e.subtract(first, from);
  const blank = e.expand(builder.scalar(masked), [rows, columns]);
  const beyond = (distance: number): string => e.alone(e.add(before, builder.integers([distance])));
  const masks: string[] = [];
  if (causal) masks.push(triangle(e, blank, beyond(1), "upper"));
  if (span.kind === "window") {
    const far = triangle(e, blank, beyond(-span.size), "lower");
    masks.push(span.first === undefined ? far : exceptFirst(e, far, span.first, columns));
    if (!causal) masks.push(triangle(e, blank, beyond(span.size), "upper"));
  }
  if (span.kind === "chunk") {
    const positions = (start: string, count: string, axis: number): string =>
      e.node("Unsqueeze", [
        e.add(e.node("Range", [builder.integer(0), e.alone(count), builder.integer(1)]), start),
        builder.integers([axis]),
      ]);
    const chunk = (place: string): string => e.node("Div", [place, builder.integers([span.size])]);
    const same = e.node("Equal", [
      chunk(positions(from ?? builder.integers([0]), columns, 0)),
      chunk(positions(first, rows, 1)),
    ]);
    masks.push(e.node("Where", [same, builder.scalar(0), builder.scalar(masked)]));
  }
  const [only, ...others] = masks;
  return only === undefined ? null : others.reduce((sum, mask) => e.add(sum, mask), only);
}

/** A mask of all keys, lifted from the first ones. */
function exceptFirst(e: Emitter, mask: string, count: number, columns: string): string {
  const { builder } = e.scope;
  const places = e.node("Range", [builder.integer(0), e.alone(columns), builder.integer(1)]);
  return e.node("Where", [e.node("Less", [places, builder.integers([count])]), builder.scalar(0), mask]);
}

/** Scores, softmax and mixture of one piece, [b, kvHeads, group, rows, valueDim]. */
export function addPiece(e: Emitter, piece: Piece, attention: BlockedAttention): string {
  const { builder } = e.scope;
  const { heads, kvHeads, keyDim, valueDim, scale, softcap, sinks } = attention;
  const group = heads / kvHeads;
  // Queries of the heads that share keys stand one below the other in one product, so that keys are not repeated.
  const stacked = e.reshape(piece.query, [0, kvHeads, -1, keyDim]);
  let scores = e.transposedProduct(stacked, piece.keys, scale);
  if (softcap !== null) scores = e.scale(e.node("Tanh", [e.scale(scores, 1 / softcap)]), softcap);
  const apart = (columns: string): string => e.list([0, kvHeads, group, piece.rows, columns]);
  if (piece.mask !== null || sinks !== null) scores = e.node("Reshape", [scores, apart(piece.columns)]);
  if (piece.mask !== null) scores = e.add(scores, piece.mask);
  let { values } = piece;
  let columns = piece.columns;
  if (sinks !== null) {
    // One more column of scores, and a value of zeros that it mixes in.
    const batch = e.length(piece.keys, 0);
    const own = e.expand(e.reshape(sinks, [1, kvHeads, group, 1, 1]), [batch, kvHeads, group, piece.rows, 1]);
    scores = e.concat([scores, own], 4);
    values = e.concat([values, e.expand(builder.scalar(0), [batch, kvHeads, 1, valueDim])], 2);
    columns = e.add(columns, builder.integers([1]));
  }
  let weights = e.softmax(scores);
  if (piece.mask !== null || sinks !== null) weights = e.reshape(weights, [0, kvHeads, -1, columns]);
  return e.reshape(e.matmul(weights, values), [0, kvHeads, group, piece.rows, valueDim]);
}
