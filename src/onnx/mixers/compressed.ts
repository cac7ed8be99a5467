import type { CompressedAttention, Norm, Rotary } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import { int } from "../proto.js";
import { inputNames, type Kept } from "../scope.js";
import { assertTakesEmpty } from "../unsupported.js";
import type { Around } from "./around.js";
import { cutMask, windowMask } from "./blocked-attention.js";
import { gather } from "./chosen-attention.js";
import { evenBlocks } from "./even-blocks.js";
import { addIndexScores } from "./indexer.js";
import { anglesAt, turnLast } from "./trailing-rotary.js";

/** Queries of a block at most. */
const mostRows = 128;
/** Numbers that a block gathers at most, so that they stay near the processor. */
const gatheredNumbers = 2 ** 21;

/** What the queries of a pass meet. */
interface Met {
  /** [b, n, heads·dim]. */
  readonly query: string;
  /** Plain keys, [b, 1, t, dim]; the last n of the t are the queries' own. */
  readonly near: string;
  /** Compressed keys of all groups so far, [b, 1, groups, dim], or null where there are none. */
  readonly far: string | null;
  /** What the indexer chooses by, or null where every compressed key is met. */
  readonly index: { readonly queries: string; readonly keys: string; readonly weights: string } | null;
}

/**
 * Attention of DeepSeek-V4, [b, n, hidden] → the same: a window of plain keys and compressed keys of whole groups of
 * tokens before, in one softmax with a sink per head. A key is its own value, and all heads share it. Where an indexer
 * chooses among the compressed keys, each query gathers its own. The last dimensions are rotated, and those of the mixture,
 * whose keys are values, back.
 */
export function addCompressedAttention(
  e: Emitter,
  input: string,
  mixer: CompressedAttention,
  { norm, naive }: Around,
): string {
  const { heads, dim, window, ratio, indexer, outputGroups, outputRank, rotary } = mixer;
  const { offset, epsilon } = norm;
  if (ratio > 0) assertTakesEmpty(e.name, "compressed keys", e.scope.builder.provider);
  const latent = e.rms(e.linear("query_down", input), e.weight("query_norm.weight", offset), epsilon);
  const places = rotary === undefined ? null : placesOf(e, input);
  const angles = rotary === undefined || places === null ? null : anglesAt(e, rotary, places);
  const turned = (x: string, count: number, width: number): string =>
    angles === null ? x : turnLast(e, x, [count, width], angles);
  const key = e.rms(e.linear("key", input), e.weight("key_norm.weight", offset), epsilon);
  const groups = { ratio, overlapping: indexer !== null, rotary };
  const asked = e.linear("query", latent);
  const apartQuery = e.reshape(asked, [0, 0, heads, dim]);
  const normedQuery =
    angles === null ? asked : e.reshape(e.normalised(apartQuery, "rms", dim, epsilon), [0, 0, heads * dim]);
  const met: Met = {
    query: turned(normedQuery, heads, dim),
    near: remember(e, "window.cache", turned(key, 1, dim), { kind: "last", tokens: window - 1 }),
    far: ratio === 0 ? null : compressed(e, input, norm, { name: "compressor", cache: "far.cache", dim, ...groups }),
    index:
      indexer === null
        ? null
        : {
            queries: turned(e.linear("indexer.query", latent), indexer.heads, indexer.dim),
            keys: compressed(e, input, norm, { name: "indexer", cache: "indexer.cache", dim: indexer.dim, ...groups }),
            weights: e.linear("indexer.weights", input),
          },
  };
  const blocks = addBlocks(e, met, mixer, naive);
  const mixed = angles === null ? blocks : turnLast(e, blocks, [heads, dim], angles, true);
  // Each group of heads is projected by its own part of the weight.
  const width = (heads * dim) / outputGroups;
  const apart = e.transpose(e.reshape(mixed, [0, 0, outputGroups, width]), [0, 2, 1, 3]);
  const weight = e.reshape(e.weight("output_group.weight"), [outputGroups, outputRank, width]);
  const reduced = e.transpose(e.transposedProduct(apart, weight, 1, { rank: 3 }), [0, 2, 1, 3]);
  return e.linear("output", e.reshape(reduced, [0, 0, outputGroups * outputRank]));
}

/** Rows [b, n, dim] behind what the cache holds, [b, 1, t, dim]; a key is its own value, so nothing else is kept. */
function remember(e: Emitter, name: string, rows: string, kept: Kept): string {
  const cache = e.scope.cache(e.local(name), kept);
  const all = e.concat([cache.past.key, e.node("Unsqueeze", [rows, e.list([1])])], 2);
  const from =
    kept.kind === "last"
      ? e.node("Max", [e.subtract(e.length(all, 2), e.list([kept.tokens])), e.list([0])])
      : e.list([0]);
  e.into(cache.present.key, "Slice", [all, from, e.length(all, 2), e.list([2])]);
  e.into(cache.present.value, "Slice", [all, e.list([0, 0]), e.list([0, 0]), e.list([2, 3])]);
  return all;
}

interface Groups {
  /** Prefix of its weights. */
  readonly name: string;
  readonly cache: string;
  readonly dim: number;
  readonly ratio: number;
  /** A key is made of two groups: of one half of each token's numbers in the group before, of the other in its own. */
  readonly overlapping: boolean;
  readonly rotary: Rotary | undefined;
}

/** Positions of the tokens of a pass, int64 [n]. */
function placesOf(e: Emitter, input: string): string {
  const { builder } = e.scope;
  const depth = builder.input(inputNames.depth, "int64", [1]);
  return e.add(e.node("Range", [builder.integer(0), e.alone(e.length(input, 1)), builder.integer(1)]), depth);
}

/**
 * One key for every whole group of `ratio` tokens: Σ softmax(gate + position) ⊙ key over the group's tokens, channel by
 * channel, then normed. Tokens of a group that is not full yet, and of the last full one where groups overlap, are states.
 *
 * @returns all such keys so far, [b, 1, groups, dim]
 */
function compressed(e: Emitter, input: string, norm: Norm, sizes: Groups): string {
  const { name, dim, ratio, overlapping } = sizes;
  const { builder } = e.scope;
  const width = overlapping ? 2 * dim : dim;
  const group = builder.integers([ratio]);
  const depth = builder.input(inputNames.depth, "int64", [1]);
  const fresh = e.concat([e.linear(`${name}.key`, input), e.linear(`${name}.gate`, input)], 2);
  const open = e.scope.state([ratio, 2 * width]);
  const all = e.concat([e.slice(open.past, 1, 0, e.node("Mod", [depth, group])), fresh], 1);
  const count = e.length(all, 1);
  const groups = e.node("Div", [count, group]);
  const used = e.multiply(groups, group);
  const missing = e.subtract(group, e.subtract(count, used));
  const zero = builder.integers([0]);
  e.into(open.present, "Pad", [e.slice(all, 1, used), e.concat([builder.integers([0, 0, 0, 0]), missing, zero], 0)]);
  const grouped = e.reshape(e.slice(all, 1, 0, used), [0, groups, ratio, 2 * width]);
  let [keys = "", gates = ""] = e.split(grouped, [width, width]);
  gates = e.add(gates, e.weight(`${name}.positions`));
  if (overlapping) {
    const before = e.scope.state([ratio, 2 * dim]);
    const [keysForNext = "", ownKeys = ""] = e.split(keys, [dim, dim]);
    const [gatesForNext = "", ownGates = ""] = e.split(gates, [dim, dim]);
    const last = e.node("Unsqueeze", [before.past, e.list([1])]);
    const left = e.concat([last, e.concat([keysForNext, gatesForNext], 3)], 1);
    e.into(before.present, "Squeeze", [e.slice(left, 1, groups), e.list([1])]);
    const [keysBefore = "", gatesBefore = ""] = e.split(e.slice(left, 1, 0, groups), [dim, dim]);
    // The sequence's first group has none before it.
    const places = e.node("Range", [builder.integer(0), e.alone(groups), builder.integer(1)]);
    const none = e.node("Less", [e.add(places, e.node("Div", [depth, group])), e.list([1])]);
    const hidden = e.node("Where", [e.reshape(none, [-1, 1, 1]), builder.scalar(masked), gatesBefore]);
    keys = e.concat([keysBefore, ownKeys], 2);
    gates = e.concat([hidden, ownGates], 2);
  }
  const shares = e.node("Softmax", [gates], { axis: int(2) });
  const sums = e.node("ReduceSum", [e.multiply(keys, shares), e.list([2])], { keepdims: int(0) });
  const normed = e.rms(sums, e.weight(`${name}.norm.weight`, norm.offset), norm.epsilon);
  if (sizes.rotary === undefined) return remember(e, sizes.cache, normed, { kind: "grouped", ratio });
  const counted = e.node("Range", [builder.integer(0), e.alone(groups), builder.integer(1)]);
  const starts = e.multiply(e.add(counted, e.node("Div", [depth, group])), group);
  const turned = turnLast(e, normed, [1, dim], anglesAt(e, sizes.rotary, starts));
  return remember(e, sizes.cache, turned, { kind: "grouped", ratio });
}

/** Queries block by block, [b, n, heads·dim]. */
function addBlocks(e: Emitter, met: Met, mixer: CompressedAttention, naive: boolean): string {
  const { heads, dim, window, ratio, indexer } = mixer;
  const { builder } = e.scope;
  const tokens = e.length(met.query, 1);
  const all = e.length(met.near, 2);
  const offset = e.subtract(all, tokens);
  const depth = builder.input(inputNames.depth, "int64", [1]);
  const chosenRows = indexer === null ? mostRows : Math.floor(gatheredNumbers / (indexer.chosen * dim));
  const most = naive ? tokens : builder.integers([Math.max(1, Math.min(mostRows, chosenRows))]);
  const { blocks, rows, padded } = evenBlocks(e, tokens, most);
  const fill = (from: string): string =>
    e.node("Pad", [
      from,
      e.concat([builder.integers([0, 0, 0, 0]), e.subtract(padded, tokens), builder.integers([0])], 0),
    ]);
  const query = fill(met.query);
  const index =
    met.index === null ? null : { ...met.index, queries: fill(met.index.queries), weights: fill(met.index.weights) };
  const mask = windowMask(e, window, true, rows);
  const [stacked = ""] = e.loop(e.alone(blocks), [], (counted) => {
    const start = e.multiply(e.reshape(counted, [1]), rows);
    const stop = e.add(start, rows);
    const cut = (from: string): string => e.slice(from, 1, start, stop);
    const first = e.add(offset, start);
    const from = e.node("Max", [e.subtract(first, builder.integers([window - 1])), builder.integers([0])]);
    const to = e.node("Min", [e.add(offset, stop), all]);
    const near = e.node("Slice", [met.near, from, to, builder.integers([2])]);
    const columns = e.subtract(to, from);
    const own = e.reshape(cut(query), [0, rows, heads, dim]);
    // Written out: there may be no far keys yet, and nothing can be inferred from an empty value.
    const each = e.multiply(rows, builder.integers([heads]));
    const together = e.reshape(own, [0, 1, -1, dim]);
    const over = (keys: string): string =>
      e.reshape(e.transposedProduct(together, keys, dim ** -0.5), [0, rows, heads, e.length(keys, 2)]);
    const mixedBy = (weights: string, keys: string): string =>
      e.reshape(e.matmul(e.reshape(weights, [0, 1, each, e.length(keys, 2)]), keys), [0, rows, heads, dim]);
    const shift = e.add(e.subtract(from, first), builder.integers([window - 1]));
    const close = e.add(over(near), e.reshape(cutMask(e, mask, shift, columns), [rows, 1, columns]));
    const finish = (distant: string | null, mixFar: (weights: string) => string): string => {
      const sinks = e.expand(e.reshape(e.weight("sinks"), [1, 1, heads, 1]), [e.length(own, 0), rows, heads, 1]);
      const weights = e.softmax(e.concat(distant === null ? [close, sinks] : [close, distant, sinks], 3));
      const ofNear = mixedBy(e.slice(weights, 3, 0, columns), near);
      if (distant === null) return ofNear;
      return e.add(ofNear, mixFar(e.slice(weights, 3, columns, e.add(columns, e.length(distant, 3)))));
    };
    const value = ((): string => {
      if (met.far === null) return finish(null, () => "");
      // A query sees the groups that end with it or before it.
      const position = e.add(depth, start);
      const places = e.node("Range", [e.alone(position), e.alone(e.add(position, rows)), builder.integer(1)]);
      const closed = e.node("Div", [e.add(places, e.list([1])), builder.integers([ratio])]);
      const visible = e.node("Min", [
        e.node("Div", [e.add(depth, stop), builder.integers([ratio])]),
        e.length(met.far, 2),
      ]);
      const far = e.node("Slice", [met.far, e.list([0]), visible, e.list([2])]);
      const groups = e.node("Range", [builder.integer(0), e.alone(visible), builder.integer(1)]);
      const late = e.node("GreaterOrEqual", [groups, e.reshape(closed, [-1, 1])]);
      const hidden = e.node("Where", [late, builder.scalar(masked), builder.scalar(0)]);
      const everything = (): string =>
        finish(e.add(over(far), e.node("Unsqueeze", [hidden, e.list([1])])), (weights) => mixedBy(weights, far));
      if (index === null || indexer === null) return everything();
      const few = e.node("LessOrEqual", [visible, builder.integers([indexer.chosen])]);
      return e.eitherOf(few, 4, everything, () => {
        const keys = e.node("Slice", [index.keys, e.list([0]), visible, e.list([2])]);
        const scored = { queries: cut(index.queries), keys, weights: cut(index.weights), rows };
        const scores = e.add(addIndexScores(e, scored, indexer), hidden);
        const [top = "", best = ""] = e.nodes("TopK", [scores, e.list([indexer.chosen])], 2, {
          axis: int(-1),
          sorted: int(0),
        });
        const chosen = e.reshape(gather(e, far, best, 1), [0, rows, indexer.chosen, dim]);
        const unseen = e.node("Less", [top, builder.scalar(masked / 2)]);
        const without = e.node("Where", [unseen, builder.scalar(masked), builder.scalar(0)]);
        const distant = e.add(
          e.transposedProduct(own, chosen, dim ** -0.5),
          e.reshape(without, [0, rows, 1, indexer.chosen]),
        );
        return finish(distant, (weights) => e.matmul(weights, chosen));
      });
    })();
    return { carried: [], stacked: [{ value: e.reshape(value, [0, 0, heads * dim]), rank: 3 }] };
  });
  const inOrder = e.reshape(e.transpose(stacked, [1, 0, 2, 3]), [0, padded, heads * dim]);
  return e.slice(inOrder, 1, 0, tokens);
}
