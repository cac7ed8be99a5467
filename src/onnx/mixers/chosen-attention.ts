import type { Choice } from "../choice.js";
import type { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import { int } from "../proto.js";
import { addBlockedAttention, addPiece, type BlockedAttention, causalMask } from "./blocked-attention.js";
import { evenBlocks } from "./even-blocks.js";
import { addIndexScores } from "./indexer.js";

/** [b, n, heads·keyDim], [b, kvHeads, t, keyDim], [b, kvHeads, t, valueDim]. */
interface Operands {
  readonly query: string;
  readonly keys: string;
  readonly values: string;
}

type Sizes = Omit<BlockedAttention, "span" | "causal">;

/** Queries of a block whose keys are masked rather than gathered. */
const maskedRows = 128;
/** Numbers that a block gathers at most, so that they stay near the processor. */
const gatheredNumbers = 2 ** 21;
/**
 * Gathering a number costs as much as this many multiplications with it: keys are gathered where a query would meet so
 * many more of them than it chooses. Between 21 and 46 where both ways took the same processor time, with 64 and 256 chosen
 * keys and 1, 3 and 9 of 9 heads with keys of their own (docs/performance.md).
 */
const gatherCost = 34;

/**
 * Attention of each query to the tokens that an indexer chose for it. Up to `chosen` tokens all are chosen, and nothing
 * is scored. One query gathers its keys. Of many queries each would gather keys of its own, which is more than masking
 * what they did not choose until the sequence is much longer than the choice: then it is less, and grows with n.
 *
 * @returns the mixture, [b, n, heads·valueDim]
 */
export function addChosenAttention(e: Emitter, operands: Operands, choice: Choice, sizes: Sizes): string {
  const { builder } = e.scope;
  const { heads, kvHeads } = sizes;
  const attention: BlockedAttention = { ...sizes, span: { kind: "full" }, causal: true };
  const all = e.length(operands.keys, 2);
  const few = e.node("LessOrEqual", [all, builder.integers([choice.chosen])]);
  const single = e.node("Equal", [e.length(operands.query, 1), builder.integers([1])]);
  const between = Math.ceil((2 * gatherCost * choice.chosen * kvHeads) / heads);
  const short = e.node("LessOrEqual", [all, builder.integers([between])]);
  const either = (condition: string, first: () => string, second: () => string): string =>
    e.eitherOf(condition, 3, first, second);
  return either(
    few,
    () => addBlockedAttention(e, operands, attention),
    () =>
      either(
        single,
        () => addSingle(e, operands, choice, attention),
        () =>
          between <= choice.chosen
            ? addBlocks(e, operands, choice, attention, "gathered")
            : either(
                short,
                () => addBlocks(e, operands, choice, attention, "masked"),
                () => addBlocks(e, operands, choice, attention, "gathered"),
              ),
      ),
  );
}

/** One query per sequence: its own keys, nothing to mask. */
function addSingle(e: Emitter, { query, keys, values }: Operands, choice: Choice, attention: BlockedAttention): string {
  const { heads, kvHeads, keyDim, valueDim } = attention;
  const one = e.scope.builder.integers([1]);
  const scores = addIndexScores(e, { ...choice, rows: one }, choice);
  const { places } = best(e, scores, choice.chosen);
  const columns = e.scope.builder.integers([choice.chosen]);
  const piece = {
    query: e.reshape(query, [0, kvHeads, heads / kvHeads, 1, keyDim]),
    keys: gather(e, keys, places, kvHeads),
    values: gather(e, values, places, kvHeads),
    rows: one,
    columns,
    mask: null,
  };
  return e.reshape(addPiece(e, piece, attention), [0, 1, heads * valueDim]);
}

/** Places of the best tokens of each query, [b, rows, chosen], and their scores. Of equal ones the earlier wins. */
function best(e: Emitter, scores: string, chosen: number): { readonly values: string; readonly places: string } {
  const [values = "", places = ""] = e.nodes("TopK", [scores, e.list([chosen])], 2, { axis: int(-1), sorted: int(0) });
  return { values, places };
}

/** Rows of [b, kvHeads, t, dim] by places [b, rows, chosen]: [b, kvHeads, rows·chosen, dim]. */
export function gather(e: Emitter, from: string, places: string, kvHeads: number): string {
  const each = e.reshape(places, [0, 1, -1, 1]);
  const byHead = kvHeads === 1 ? each : e.expand(each, [1, kvHeads, 1, 1]);
  return e.node("GatherND", [from, byHead], { batch_dims: int(2) });
}

/** Queries block by block, against the keys up to the block's end. */
function addBlocks(
  e: Emitter,
  operands: Operands,
  choice: Choice,
  attention: BlockedAttention,
  way: "masked" | "gathered",
): string {
  const { builder } = e.scope;
  const { heads, kvHeads, keyDim, valueDim } = attention;
  const perQuery = choice.chosen * kvHeads * (keyDim + valueDim);
  const most =
    way === "masked" ? maskedRows : Math.max(1, Math.min(maskedRows, Math.floor(gatheredNumbers / perQuery)));
  const tokens = e.length(operands.query, 1);
  const all = e.length(operands.keys, 2);
  const offset = e.subtract(all, tokens);
  const { blocks, rows, padded } = evenBlocks(e, tokens, builder.integers([most]));
  const missing = e.concat([builder.integers([0, 0, 0, 0]), e.subtract(padded, tokens), builder.integers([0])], 0);
  const filled = (from: string): string => e.node("Pad", [from, missing]);
  const query = filled(operands.query);
  const indexQueries = filled(choice.queries);
  const weights = choice.weights === null ? null : filled(choice.weights);
  const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
    const start = e.multiply(e.reshape(index, [1]), rows);
    const stop = e.add(start, rows);
    const first = e.add(offset, start);
    const to = e.node("Min", [e.add(offset, stop), all]);
    const cut = (from: string): string => e.slice(from, 1, start, stop);
    const scores = (): string =>
      addIndexScores(
        e,
        {
          queries: cut(indexQueries),
          keys: e.slice(choice.keys, 2, 0, to),
          weights: weights === null ? null : cut(weights),
          rows,
        },
        choice,
      );
    const causal = causalMask(e, first, rows, to);
    const own = { query: cut(query), rows, to, causal, scores };
    const value =
      way === "masked"
        ? maskedBlock(e, operands, own, choice.chosen, attention)
        : gatheredBlock(e, operands, own, choice.chosen, attention);
    return { carried: [], stacked: [{ value, rank: 3 }] };
  });
  // [blocks, b, rows, heads·dim] → [b, blocks·rows, heads·dim]
  const inOrder = e.reshape(e.transpose(stacked, [1, 0, 2, 3]), [0, padded, heads * valueDim]);
  return e.slice(inOrder, 1, 0, tokens);
}

interface BlockOfQueries {
  /** [b, rows, heads·keyDim]. */
  readonly query: string;
  readonly rows: string;
  /** Number of keys up to the block's end. */
  readonly to: string;
  /** [rows, to]. */
  readonly causal: string;
  /** What the indexer says, [b, rows, to]. */
  readonly scores: () => string;
}

/** All keys are met, and what was not chosen is masked. */
function maskedBlock(
  e: Emitter,
  { keys, values }: Operands,
  { query, rows, to, causal, scores }: BlockOfQueries,
  chosen: number,
  attention: BlockedAttention,
): string {
  const { builder } = e.scope;
  const { heads, kvHeads, keyDim, valueDim } = attention;
  const visible = e.node("LessOrEqual", [to, builder.integers([chosen])]);
  const mask = e.eitherOf(
    visible,
    5,
    () => e.reshape(causal, [1, 1, 1, rows, to]),
    () => {
      const seen = e.add(scores(), causal);
      const { places } = best(e, seen, chosen);
      const none = e.expand(builder.scalar(masked), [e.length(query, 0), rows, to]);
      const zeros = e.expand(builder.scalar(0), [e.length(query, 0), rows, chosen]);
      const scattered = e.node("ScatterElements", [none, places, zeros], { axis: int(2) });
      return e.reshape(e.add(scattered, causal), [0, 1, 1, rows, to]);
    },
  );
  const piece = {
    query: e.transpose(e.reshape(query, [0, 0, kvHeads, heads / kvHeads, keyDim]), [0, 2, 3, 1, 4]),
    keys: e.slice(keys, 2, 0, to),
    values: e.slice(values, 2, 0, to),
    rows,
    columns: to,
    mask,
  };
  const mixed = addPiece(e, piece, attention);
  return e.reshape(e.transpose(mixed, [0, 3, 1, 2, 4]), [0, 0, heads * valueDim]);
}

/** Each query meets the keys that it chose, and no others. */
function gatheredBlock(
  e: Emitter,
  { keys, values }: Operands,
  { query, rows, to, causal, scores }: BlockOfQueries,
  chosen: number,
  attention: BlockedAttention,
): string {
  const { builder } = e.scope;
  const { heads, kvHeads, keyDim, valueDim, scale, softcap, sinks } = attention;
  const group = heads / kvHeads;
  // Fewer than `chosen` keys may be there yet; what is chosen beyond them is masked.
  const missing = e.node("Max", [e.subtract(builder.integers([chosen]), to), builder.integers([0])]);
  const pads = e.concat([builder.integers([0, 0, 0, 0, 0]), missing], 0);
  const seen = e.node("Pad", [e.add(scores(), causal), pads, builder.scalar(2 * masked)]);
  const { values: top, places } = best(e, seen, chosen);
  const inside = e.node("Min", [places, e.subtract(to, builder.integers([1]))]);
  const hidden = e.node("Where", [
    e.node("Less", [top, builder.scalar(masked / 2)]),
    builder.scalar(masked),
    builder.scalar(0),
  ]);
  const own = (from: string, dim: number): string =>
    e.reshape(gather(e, from, inside, kvHeads), [0, kvHeads, rows, chosen, dim]);
  // [b, rows, heads·dim] → [b, kvHeads, rows, group, dim]
  const queries = e.transpose(e.reshape(query, [0, 0, kvHeads, group, keyDim]), [0, 2, 1, 3, 4]);
  let met = e.transposedProduct(queries, own(keys, keyDim), scale, { rank: 5 });
  if (softcap !== null) met = e.scale(e.node("Tanh", [e.scale(met, 1 / softcap)]), softcap);
  met = e.add(met, e.reshape(hidden, [0, 1, rows, 1, chosen]));
  if (sinks !== null) {
    const each = [e.length(query, 0), kvHeads, rows, group, 1];
    met = e.concat([met, e.expand(e.reshape(sinks, [1, kvHeads, 1, group, 1]), each)], 4);
  }
  const shares = e.softmax(met);
  const mixed = e.matmul(sinks === null ? shares : e.slice(shares, 4, 0, chosen), own(values, valueDim));
  return e.reshape(e.transpose(mixed, [0, 2, 1, 3, 4]), [0, 0, heads * valueDim]);
}
