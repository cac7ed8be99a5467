import type { Span } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import { int } from "../proto.js";
import { assertTakesEmpty } from "../unsupported.js";
import { addPiece, type BlockedAttention, causalMask, type Operands } from "./blocked-attention.js";

type Strided = Extract<Span, { kind: "strided" }>;
type Sizes = Omit<BlockedAttention, "span" | "causal">;

/** Of the blocks farther back a head sees those that leave this rest when divided by the stride. */
function restOf(head: number, { heads, stride }: { readonly heads: number; readonly stride: number }): number {
  const step = Math.max(1, Math.floor(stride / heads));
  return (stride - ((head * step + 1) % stride)) % stride;
}

/**
 * Causal attention of Phi-3-small (arXiv:2404.14219): each block of queries meets the blocks near it, and of those farther
 * back one in `stride`, another one for each head; keys of the others are not touched. The far blocks of each head are
 * put beside each other once, so that what a block of queries sees of them is one stretch. With `naive`, all scores are
 * made and masked.
 *
 * @returns the mixture, [b, n, heads·valueDim]
 */
export function addStridedAttention(e: Emitter, operands: Operands, sizes: Sizes, span: Strided): string {
  const { heads, kvHeads, keyDim, valueDim, naive } = sizes;
  const { builder } = e.scope;
  const tokens = e.length(operands.query, 1);
  const all = e.length(operands.keys, 2);
  const offset = e.subtract(all, tokens);
  if (naive) {
    const query = e.transpose(e.reshape(operands.query, [0, 0, kvHeads, heads / kvHeads, keyDim]), [0, 2, 3, 1, 4]);
    const mask = wholeMask(e, sizes, span, { offset, all });
    const piece = { query, keys: operands.keys, values: operands.values, rows: tokens, columns: all, mask };
    const mixed = addPiece(e, piece, { ...sizes, span: { kind: "full" }, causal: true });
    return e.reshape(e.transpose(mixed, [0, 3, 1, 2, 4]), [0, 0, heads * valueDim]);
  }
  assertTakesEmpty(e.name, "the far blocks of a strided span", builder.provider);
  const size = builder.integers([span.size]);
  const one = builder.integers([1]);
  const far = {
    keys: farSide(e, operands.keys, all, sizes, span),
    values: farSide(e, operands.values, all, sizes, span),
  };
  const first = e.node("Div", [offset, size]);
  const block = (query: string, index: string, rows: string, mask: string | null, to: string): string =>
    addBlock(e, { query, index, rows, mask, to }, { ...operands, far }, sizes, span);
  const single = e.node("Equal", [tokens, one]);
  return e.eitherOf(
    single,
    3,
    () => block(operands.query, first, one, null, all),
    () => {
      const before = e.subtract(offset, e.multiply(first, size));
      const last = e.node("Div", [e.subtract(all, one), size]);
      const blocks = e.add(e.subtract(last, first), one);
      const behind = e.subtract(e.subtract(e.multiply(blocks, size), before), tokens);
      const zeros = builder.integers([0, 0]);
      const pads = e.concat([builder.integers([0]), before, zeros, behind, builder.integers([0])], 0);
      const filled = e.node("Pad", [operands.query, pads]);
      const [stacked = ""] = e.loop(e.alone(blocks), [], (counted) => {
        const start = e.multiply(e.reshape(counted, [1]), size);
        const index = e.add(e.reshape(counted, [1]), first);
        const query = e.slice(filled, 1, start, e.add(start, size));
        const to = e.node("Min", [e.multiply(e.add(index, one), size), all]);
        const from = nearFrom(e, index, span);
        const columns = e.subtract(to, from);
        const mask = causalMask(e, e.subtract(e.multiply(index, size), from), size, columns);
        return { carried: [], stacked: [{ value: block(query, index, size, mask, to), rank: 3 }] };
      });
      const inOrder = e.reshape(e.transpose(stacked, [1, 0, 2, 3]), [0, e.multiply(blocks, size), heads * valueDim]);
      return e.slice(inOrder, 1, before, e.add(before, tokens));
    },
  );
}

/** First key of the blocks near the block `index`. */
function nearFrom(e: Emitter, index: string, { size, local }: Strided): string {
  const { builder } = e.scope;
  const block = e.node("Max", [e.subtract(index, builder.integers([local - 1])), builder.integers([0])]);
  return e.multiply(block, builder.integers([size]));
}

/** The blocks that each head may see from afar, one behind the other: [b, kvHeads, t, dim] → [b, heads, ⌈t/stride⌉, dim]. */
function farSide(e: Emitter, side: string, all: string, { heads, kvHeads }: Sizes, { size, stride }: Strided): string {
  const { builder } = e.scope;
  const whole = builder.integers([size * stride]);
  const groups = e.node("Div", [e.add(all, builder.integers([size * stride - 1])), whole]);
  const missing = e.subtract(e.multiply(groups, whole), all);
  const filled = e.node("Pad", [
    side,
    e.concat([builder.integers([0, 0, 0, 0, 0, 0]), missing, builder.integers([0])], 0),
  ]);
  const width = e.length(side, 3);
  // Rows of [b, kvHeads, groups, stride, size·dim], by the rest first.
  const apart = e.reshape(filled, [0, kvHeads, groups, stride, -1]);
  const byRest = e.reshape(e.transpose(apart, [0, 1, 3, 2, 4]), [0, kvHeads * stride, groups, -1]);
  const wanted = Array.from(
    { length: heads },
    (_, head) => Math.floor((head * kvHeads) / heads) * stride + restOf(head, { heads, stride }),
  );
  const chosen = e.node("Gather", [byRest, builder.integers(wanted)], { axis: int(1) });
  return e.node("Reshape", [chosen, e.list([0, heads, e.multiply(groups, builder.integers([size])), width])]);
}

interface BlockOfQueries {
  /** [b, rows, heads·keyDim]. */
  readonly query: string;
  /** Which block of the sequence it is, int64 [1]. */
  readonly index: string;
  readonly rows: string;
  /** Of the near keys, [rows, columns], or null where all are visible. */
  readonly mask: string | null;
  /** Where the near keys end. */
  readonly to: string;
}

interface Seen extends Operands {
  /** [b, heads, …, dim]. */
  readonly far: { readonly keys: string; readonly values: string };
}

/** One softmax over near and far keys, [b, rows, heads·valueDim]. */
function addBlock(
  e: Emitter,
  { query, index, rows, mask, to }: BlockOfQueries,
  { keys, values, far }: Seen,
  { heads, kvHeads, keyDim, valueDim, scale, softcap, sinks }: Sizes,
  span: Strided,
): string {
  const { builder } = e.scope;
  const group = heads / kvHeads;
  const { size, local, stride } = span;
  const from = nearFrom(e, index, span);
  const near = (side: string): string => e.node("Slice", [side, from, to, builder.integers([2])]);
  const turned = e.transpose(e.reshape(query, [0, 0, heads, keyDim]), [0, 2, 1, 3]);
  const shared = e.reshape(turned, [0, kvHeads, -1, keyDim]);
  const columns = e.subtract(to, from);
  let close = e.node("Reshape", [e.transposedProduct(shared, near(keys), scale), e.list([0, heads, rows, columns])]);
  if (mask !== null) close = e.add(close, mask);
  // Whole groups of `stride` blocks of which the first stands far enough back.
  const beyond = e.subtract(index, builder.integers([local]));
  const reaching = e.node("Max", [e.add(beyond, builder.integers([stride])), builder.integers([0])]);
  const groups = e.node("Div", [reaching, builder.integers([stride])]);
  const length = e.multiply(groups, builder.integers([size]));
  const part = (side: string): string => e.slice(side, 2, 0, length);
  const rests = e.reshape(
    builder.integers(Array.from({ length: heads }, (_, head) => restOf(head, { heads, stride }))),
    [heads, 1],
  );
  const starts = e.multiply(
    e.node("Range", [builder.integer(0), e.alone(groups), builder.integer(1)]),
    builder.integers([stride]),
  );
  const late = e.node("Greater", [e.add(rests, starts), beyond]);
  const hidden = e.node("Where", [late, builder.scalar(masked), builder.scalar(0)]);
  const byKey = e.expand(e.reshape(hidden, [heads, 1, -1, 1]), [heads, 1, 1, size]);
  const distant = e.add(
    e.transposedProduct(turned, part(far.keys), scale),
    e.node("Reshape", [byKey, e.list([heads, 1, length])]),
  );
  let scores = e.concat([close, distant], 3);
  if (softcap !== null) scores = e.scale(e.node("Tanh", [e.scale(scores, 1 / softcap)]), softcap);
  if (sinks !== null) {
    scores = e.concat([scores, e.expand(e.reshape(sinks, [1, heads, 1, 1]), [e.length(query, 0), heads, rows, 1])], 3);
  }
  const weights = e.softmax(scores);
  const ofNear = e.slice(weights, 3, 0, columns);
  const ofFar = e.slice(weights, 3, columns, e.add(columns, length));
  const mixedNear = e.matmul(
    e.node("Reshape", [ofNear, e.list([0, kvHeads, e.multiply(rows, builder.integers([group])), columns])]),
    near(values),
  );
  const mixed = e.add(
    e.node("Reshape", [mixedNear, e.list([0, heads, rows, valueDim])]),
    e.matmul(ofFar, part(far.values)),
  );
  return e.reshape(e.transpose(mixed, [0, 2, 1, 3]), [0, 0, heads * valueDim]);
}

/** The mask of all pairs, [kvHeads, group, n, t]. */
function wholeMask(
  e: Emitter,
  { heads, kvHeads }: Sizes,
  { size, local, stride }: Strided,
  { offset, all }: { readonly offset: string; readonly all: string },
): string {
  const { builder } = e.scope;
  const places = (from: string): string => e.node("Range", [e.alone(from), e.alone(all), builder.integer(1)]);
  const queries = e.reshape(places(offset), [-1, 1]);
  const keys = e.reshape(places(builder.integers([0])), [1, -1]);
  const [from, to] = [queries, keys].map((place) => e.node("Div", [place, builder.integers([size])]));
  if (from === undefined || to === undefined) throw new Error("two sides");
  const near = e.node("Less", [e.subtract(from, to), builder.integers([local])]);
  const rests = builder.integers(Array.from({ length: heads }, (_, head) => restOf(head, { heads, stride })));
  const byHead = e.reshape(rests, [kvHeads, heads / kvHeads, 1, 1]);
  const far = e.node("Equal", [e.node("Mod", [to, builder.integers([stride])]), byHead]);
  const earlier = e.node("LessOrEqual", [keys, queries]);
  const seen = e.node("And", [e.node("Or", [near, far]), earlier]);
  return e.node("Where", [seen, builder.scalar(0), builder.scalar(masked)]);
}
