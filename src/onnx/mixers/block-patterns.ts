import type { Span } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import {
  type BlockedAttention,
  type Operands,
  type Piece,
  addPiece,
  cutMask,
  queriesPerBlock,
  windowMask,
} from "./blocked-attention.js";
import { evenBlocks } from "./even-blocks.js";

/** Patterns of encoders: some tokens see everything and are seen by everything, the others what is near, or drawn. */
export type PatternSpan =
  | Extract<Span, { kind: "blocks" }>
  /** The first tokens are the global ones (Longformer, arXiv:2004.05150). */
  | (Extract<Span, { kind: "window" }> & { readonly first: number });

/** The pattern of a span that looks both ways, or null where it is none. */
export function patternOf(span: Span, causal: boolean): PatternSpan | null {
  if (causal) return null;
  if (span.kind === "blocks") return span;
  return span.kind === "window" && span.first !== undefined ? { ...span, first: span.first } : null;
}

type Attention = Omit<BlockedAttention, "span" | "causal">;

/** [b, kvHeads, group, n, …] and what belongs to it. */
interface Whole {
  readonly query: string;
  readonly keys: string;
  readonly values: string;
  readonly n: string;
}

/**
 * Attention over a pattern that leaves out most pairs and never computes them: time grows with n. With `naive`, all
 * scores are made and masked.
 *
 * @returns the mixture, [b, n, heads·valueDim]
 */
export function addPatternAttention(e: Emitter, operands: Operands, attention: Attention, span: PatternSpan): string {
  const { heads, kvHeads, keyDim, valueDim, naive } = attention;
  const n = e.length(operands.query, 1);
  const query = e.transpose(e.reshape(operands.query, [0, 0, kvHeads, heads / kvHeads, keyDim]), [0, 2, 3, 1, 4]);
  const whole: Whole = { ...operands, query, n };
  const inOrder = (mixed: string): string => e.reshape(e.transpose(mixed, [0, 3, 1, 2, 4]), [0, 0, heads * valueDim]);
  const all = (mask: string | null): string =>
    inOrder(piece(e, attention, { query, keys: operands.keys, values: operands.values, rows: n, columns: n, mask }));
  if (naive) return all(span.kind === "blocks" ? blocksMask(e, span, n) : globalMask(e, span, n));
  const [least, sparse] =
    span.kind === "blocks"
      ? [(5 + 2 * span.random) * span.size, addBlocks(e, whole, attention, span)]
      : [span.first, addGlobalWindow(e, whole, attention, span)];
  const longer = e.node("Greater", [n, e.scope.builder.integers([least])]);
  return e.eitherOf(
    longer,
    3,
    () => inOrder(sparse()),
    () => all(null),
  );
}

function piece(e: Emitter, attention: Attention, content: Piece): string {
  return addPiece(e, content, { ...attention, span: { kind: "full" }, causal: false });
}

/** Queries from..to against all keys. */
function rowsOverAll(e: Emitter, { query, keys, values, n }: Whole, attention: Attention, from: string, to: string) {
  const part = e.node("Slice", [query, from, to, e.scope.builder.integers([3])]);
  return piece(e, attention, { query: part, keys, values, rows: e.subtract(to, from), columns: n, mask: null });
}

/** From what a loop stacks, [blocks, b, kvHeads, group, rows, dim], to [b, kvHeads, group, blocks·rows, dim]. */
function unstacked(e: Emitter, stacked: string, { heads, kvHeads, valueDim }: Attention): string {
  return e.reshape(e.transpose(stacked, [1, 2, 3, 0, 4, 5]), [0, kvHeads, heads / kvHeads, -1, valueDim]);
}

/** Longformer: `first` tokens over everything; the others over these and their window, block by block. */
function addGlobalWindow(
  e: Emitter,
  whole: Whole,
  attention: Attention,
  { size, first }: Extract<PatternSpan, { kind: "window" }>,
): () => string {
  return () => {
    const { builder } = e.scope;
    const { query, keys, values, n } = whole;
    const [zero, before] = [builder.integers([0]), builder.integers([size - 1])];
    const start = builder.integers([first]);
    const rest = e.subtract(n, start);
    const most = builder.integers([queriesPerBlock({ kind: "window", size })]);
    const { blocks, rows, padded } = evenBlocks(e, rest, most);
    const missing = e.subtract(padded, rest);
    const filled = e.node("Pad", [query, e.list([0, 0, 0, 0, 0, 0, 0, 0, missing, 0])]);
    const globalKeys = e.slice(keys, 2, 0, first);
    const globalValues = e.slice(values, 2, 0, first);
    const visible = e.expand(builder.scalar(0), [rows, first]);
    const mask = windowMask(e, size, false, rows);
    const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
      const row = e.add(start, e.multiply(e.reshape(index, [1]), rows));
      const stop = e.add(row, rows);
      const from = e.node("Max", [e.subtract(row, before), start]);
      const to = e.node("Min", [e.add(stop, before), n]);
      const near = e.subtract(to, from);
      const part = (side: string): string => e.node("Slice", [side, from, to, builder.integers([2])]);
      const content: Piece = {
        query: e.node("Slice", [filled, row, stop, builder.integers([3])]),
        keys: e.concat([globalKeys, part(keys)], 2),
        values: e.concat([globalValues, part(values)], 2),
        rows,
        columns: e.add(near, start),
        mask: e.concat([visible, cutMask(e, mask, e.add(e.subtract(from, row), before), near)], 1),
      };
      return { carried: [], stacked: [{ value: piece(e, attention, content), rank: 5 }] };
    });
    const others = e.slice(unstacked(e, stacked, attention), 3, zero, rest);
    return e.concat([rowsOverAll(e, whole, attention, zero, start), others], 3);
  };
}

/**
 * BigBird (arXiv:2007.14062): blocks of queries over the first and the last block, the blocks around and the drawn
 * ones; the first and the last block over everything. No mask: only keys that are seen are gathered.
 */
function addBlocks(
  e: Emitter,
  whole: Whole,
  attention: Attention,
  span: Extract<PatternSpan, { kind: "blocks" }>,
): () => string {
  const { size } = span;
  const drawn = drawnBlocks(e, span, whole.n);
  return () => {
    const { builder } = e.scope;
    const { query, keys, values, n } = whole;
    const [zero, one] = [builder.integers([0]), builder.integers([1])];
    const width = builder.integers([size]);
    const last = lastBlock(e, size, n);
    const lastStart = e.multiply(last, width);
    const range = (from: string, to: string): string =>
      e.node("Range", [e.alone(from), e.alone(to), builder.integer(1)]);
    const ends = e.concat([range(zero, width), range(lastStart, n)], 0);
    const within = range(zero, width);
    const middle = e.subtract(last, one);
    const [stacked = ""] = e.loop(e.alone(middle), [], (index) => {
      const block = e.add(e.reshape(index, [1]), one);
      const from = e.node("Max", [e.subtract(block, one), one]);
      const to = e.node("Min", [e.add(block, builder.integers([2])), last]);
      const around = range(e.multiply(from, width), e.multiply(to, width));
      const starts = e.multiply(e.reshape(e.node("Gather", [drawn, block]), [-1, 1]), width);
      const seen = e.concat([ends, around, e.reshape(e.add(starts, within), [-1])], 0);
      const gathered = (side: string): string => e.node("Gather", [side, seen], axis2);
      const row = e.multiply(block, width);
      const content: Piece = {
        query: e.node("Slice", [query, row, e.add(row, width), builder.integers([3])]),
        keys: gathered(keys),
        values: gathered(values),
        rows: width,
        columns: e.length(seen, 0),
        mask: null,
      };
      return { carried: [], stacked: [{ value: piece(e, attention, content), rank: 5 }] };
    });
    return e.concat(
      [
        rowsOverAll(e, whole, attention, zero, width),
        unstacked(e, stacked, attention),
        rowsOverAll(e, whole, attention, lastStart, n),
      ],
      3,
    );
  };
}

const axis2 = { axis: { kind: "int", value: 2 } } as const;

/** Index of the last block, which may not be full. */
function lastBlock(e: Emitter, size: number, n: string): string {
  const { builder } = e.scope;
  return e.node("Div", [e.subtract(n, builder.integers([1])), builder.integers([size])]);
}

/** A step of a sequence that visits blocks in no order that matters (a large prime), and where it begins. */
const [stride, offset] = [7_368_787, 104_729];

/**
 * The drawn blocks of each block, [blocks, random], the same for all heads and layers: never the first, the last or one
 * around, and no block twice. Block i has L that may be drawn; it draws ranks (s + k·⌊L/random⌋) mod L, s a hash of i.
 * Rows of the first and the last block mean nothing.
 */
function drawnBlocks(e: Emitter, { size, random }: Extract<PatternSpan, { kind: "blocks" }>, n: string): string {
  const { builder, left } = e.scope;
  const key = `drawn.${size}.${random}`;
  const known = left.get(key);
  if (known !== undefined) return known;
  const one = builder.integers([1]);
  const last = lastBlock(e, size, n);
  const column = (values: string): string => e.reshape(values, [-1, 1]);
  const index = column(e.node("Range", [builder.integer(0), e.alone(e.add(last, one)), builder.integer(1)]));
  const lowest = e.node("Max", [e.subtract(index, one), one]);
  const around = e.subtract(e.node("Min", [e.add(index, builder.integers([2])), last]), lowest);
  const choices = e.node("Max", [e.subtract(e.subtract(last, one), around), one]);
  const hashed = e.add(e.multiply(index, builder.integers([stride])), builder.integers([offset]));
  const steps = e.multiply(
    builder.integers(Array.from({ length: random }, (_, k) => k)),
    e.node("Div", [choices, builder.integers([Math.max(1, random)])]),
  );
  const rank = e.node("Mod", [e.add(hashed, steps), choices]);
  const block = e.add(rank, one);
  const beyond = e.node("GreaterOrEqual", [block, lowest]);
  const drawn = e.node("Where", [beyond, e.add(block, around), block]);
  left.set(key, drawn);
  return drawn;
}

/** Places 0 … n − 1 as a column and as a row. */
function places(e: Emitter, n: string): { readonly rows: string; readonly columns: string } {
  const { builder } = e.scope;
  const all = e.node("Range", [builder.integer(0), e.alone(n), builder.integer(1)]);
  return { rows: e.reshape(all, [-1, 1]), columns: e.reshape(all, [1, -1]) };
}

function either(e: Emitter, conditions: readonly string[]): string {
  return conditions.reduce((any, condition) => e.node("Or", [any, condition]));
}

function maskWhere(e: Emitter, visible: string): string {
  return e.node("Where", [visible, e.scope.builder.scalar(0), e.scope.builder.scalar(masked)]);
}

/** The mask of a window with global tokens, [n, n]. */
function globalMask(e: Emitter, { size, first }: Extract<PatternSpan, { kind: "window" }>, n: string): string {
  const { builder } = e.scope;
  const { rows, columns } = places(e, n);
  const near = e.node("Less", [e.node("Abs", [e.subtract(rows, columns)]), builder.integers([size])]);
  const global = (side: string): string => e.node("Less", [side, builder.integers([first])]);
  return maskWhere(e, either(e, [near, global(rows), global(columns)]));
}

/** The mask of BigBird's blocks, [n, n]; everything is visible up to (5 + 2·random) blocks. */
function blocksMask(e: Emitter, span: Extract<PatternSpan, { kind: "blocks" }>, n: string): string {
  const { builder } = e.scope;
  const { size, random } = span;
  const { rows, columns } = places(e, n);
  const width = builder.integers([size]);
  const [query, key] = [e.node("Div", [rows, width]), e.node("Div", [columns, width])];
  const last = lastBlock(e, size, n);
  const ends = [query, key].flatMap((side) => [
    e.node("Equal", [side, builder.integers([0])]),
    e.node("Equal", [side, last]),
  ]);
  const near = e.node("LessOrEqual", [e.node("Abs", [e.subtract(query, key)]), builder.integers([1])]);
  const chosen = e.node("Gather", [drawnBlocks(e, span, n), e.reshape(query, [-1])]);
  const drawn = Array.from({ length: random }, (_, k) => e.node("Equal", [e.slice(chosen, 1, k, k + 1), key]));
  const short = e.node("LessOrEqual", [n, builder.integers([(5 + 2 * random) * size])]);
  return maskWhere(e, either(e, [...ends, near, ...drawn, short]));
}
