import type { LatentAttention, Norm, Rotary } from "../../model/types.js";
import type { Choice } from "../choice.js";
import type { Emitter } from "../emitter.js";
import { int } from "../proto.js";
import { addRotary } from "../rotary-embedding.js";
import { addGroupQueryAttention, type Rows } from "../group-query.js";
import { unsupported } from "../unsupported.js";
import type { Around } from "./around.js";
import { addOutputGate } from "./attention.js";
import { addChosenAttention } from "./chosen-attention.js";
import { addBlockedAttention } from "./blocked-attention.js";
import { addIndexer } from "./indexer.js";

/** What one pass attends with. */
interface Latents {
  /** [b, n, heads·nopeDim] and [b, n, heads·ropeDim], rotated. */
  readonly nope: string;
  readonly rope: string;
  /** Every token's latent and rotated key so far, [b, 1, t, kvRank] and [b, 1, t, ropeDim]. */
  readonly latents: string;
  readonly ropeKeys: string;
  /** [heads·(nopeDim + valueDim), kvRank]. */
  readonly expand: string;
}

/**
 * Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434), [b, n, hidden] → the same. The cache holds a normed
 * latent and one rotated key per token, for all heads. A pass over several tokens expands the latents into keys and
 * values of each head. A single token is cheaper in the latent space: the expansion is folded into its queries and its
 * mixture ("absorbed"), and all heads attend to the latents themselves.
 */
export function addLatentAttention(e: Emitter, input: string, mixer: LatentAttention, around: Around): string {
  const { heads, nopeDim, ropeDim, valueDim } = mixer;
  const { builder } = e.scope;
  const queryInput = latentQuery(e, input, mixer, around.norm);
  const query = e.reshape(e.linear("query", queryInput), [0, 0, heads, nopeDim + ropeDim]);
  const [nope = "", rope = ""] = ropeDim === 0 ? [query] : e.split(query, [nopeDim, ropeDim]);
  const turned = ropeDim === 0 ? "" : rotated(e, e.reshape(rope, [0, 0, heads * ropeDim]), heads, mixer);
  const latents = {
    nope: e.reshape(nope, [0, 0, heads * nopeDim]),
    rope: turned,
    ...remembered(e, input, mixer, around.norm),
    // Products with parts of it need the matrix itself: it stays float32 whatever the format of the others.
    expand: e.weight("expand.weight"),
  };
  const sinks = mixer.sinks === true ? e.weight("sinks") : null;
  const choice = choiceOf(e, input, queryInput, mixer, around.norm);
  const single = e.node("Equal", [e.length(input, 1), builder.integers([1])]);
  const dense = (): string =>
    e.eitherOf(
      single,
      3,
      () => addAbsorbed(e, latents, mixer, sinks),
      () => addExpanded(e, latents, mixer, sinks, around.naive),
    );
  let mixed: string;
  if (choice === null) mixed = dense();
  else {
    const few = e.node("LessOrEqual", [e.length(latents.latents, 2), builder.integers([choice.chosen])]);
    mixed = e.eitherOf(few, 3, dense, () => addChosen(e, latents, choice, mixer, sinks));
  }
  if (mixer.gate === undefined) return e.linear("output", mixed);
  const gateInput = mixer.gateFromQuery === true ? queryInput : input;
  return e.linear("output", addOutputGate(e, gateInput, mixed, { gate: mixer.gate, heads, valueDim }));
}

/** What the layer chooses tokens by: its own indexer, or again that of the last layer that has one. */
function choiceOf(
  e: Emitter,
  input: string,
  from: string,
  { indexer, sharedIndexer, rotary }: LatentAttention,
  norm: Norm,
): Choice | null {
  const { choices } = e.scope;
  if (indexer !== undefined) {
    const own = addIndexer(e, { input, from }, indexer, rotary, norm);
    choices.push(own);
    return own;
  }
  if (sharedIndexer === undefined) return null;
  const latest = choices.at(-1);
  if (latest === undefined) throw unsupported(e.name, "no layer before it has an indexer");
  return latest;
}

function latentQuery(e: Emitter, input: string, { queryRank }: LatentAttention, norm: Norm): string {
  if (queryRank === null) return input;
  return e.rms(e.linear("query_down", input), e.weight("query_norm.weight", norm.offset), norm.epsilon);
}

function rotated(e: Emitter, from: string, heads: number, { ropeDim, rotary }: RotatedPart): string {
  if (rotary === null) return from;
  return e.tagged(() => addRotary(from, e.fresh("rotated"), { rotary, heads, headDim: ropeDim }, e.scope));
}

interface RotatedPart {
  readonly ropeDim: number;
  readonly rotary: Rotary | null;
}

/** The latents and rotated keys of all tokens, those of this pass appended to the cache. */
function remembered(
  e: Emitter,
  input: string,
  mixer: LatentAttention,
  norm: Norm,
): Pick<Latents, "latents" | "ropeKeys"> {
  const { kvRank, ropeDim } = mixer;
  const projected = e.linear("latent", input);
  const [compressed = "", key = ""] = ropeDim === 0 ? [projected] : e.split(projected, [kvRank, ropeDim]);
  const normed = e.rms(compressed, e.weight("latent_norm.weight", norm.offset), norm.epsilon);
  const cache = e.scope.cache(e.local("cache"));
  const append = (side: "key" | "value", from: string): string => {
    const fresh = e.node("Unsqueeze", [from, e.list([1])]);
    return e.into(cache.present[side], "Concat", [cache.past[side], fresh], { axis: int(2) });
  };
  const latents = append("key", normed);
  if (ropeDim > 0) return { latents, ropeKeys: append("value", rotated(e, key, 1, mixer)) };
  // Nothing is rotated: what is kept of it is empty.
  return { latents, ropeKeys: append("value", e.slice(normed, 2, 0, 0)) };
}

/** Sizes for which ONNX Runtime's fused attention takes the heads: values are filled up to the keys' size. */
const headAlignment = 8;

/** Keys and values of every head, from the latents of all tokens. */
function addExpanded(
  e: Emitter,
  { nope, rope, latents, ropeKeys, expand }: Latents,
  { heads, nopeDim, ropeDim, valueDim, scale }: LatentAttention,
  sinks: string | null,
  naive: boolean,
): string {
  const { builder } = e.scope;
  const keyDim = nopeDim + ropeDim;
  const all = e.length(latents, 2);
  const apart = (from: string, dim: number): string => e.reshape(from, [0, -1, heads, dim]);
  // [b, 1, t, heads·(nopeDim + valueDim)] → [b, t, heads, …]
  const expanded = apart(e.transposedProduct(latents, expand, 1, { rank: 2 }), nopeDim + valueDim);
  let [keys = "", values = ""] = e.split(expanded, [nopeDim, valueDim]);
  let query = nope;
  if (ropeDim > 0) {
    keys = e.concat([keys, e.expand(e.transpose(ropeKeys, [0, 2, 1, 3]), [1, 1, heads, 1])], 3);
    query = e.reshape(e.concat([apart(nope, nopeDim), apart(rope, ropeDim)], 3), [0, 0, heads * keyDim]);
  }
  const attention = { heads, kvHeads: heads, scale, softcap: null, sinks };
  const turned = (from: string): string => e.transpose(from, [0, 2, 1, 3]);
  if (naive || keyDim % headAlignment > 0 || valueDim > keyDim) {
    const operands = { query, keys: turned(keys), values: turned(values) };
    const span = { kind: "full" } as const;
    return addBlockedAttention(e, operands, { ...attention, keyDim, valueDim, span, causal: true, naive });
  }
  if (valueDim < keyDim) {
    const rest = [e.length(latents, 0), all, heads, keyDim - valueDim];
    values = e.concat([values, e.expand(builder.scalar(0), rest)], 3);
  }
  const earlier = e.subtract(all, e.length(nope, 1));
  const fresh = (from: string): string => e.reshape(e.slice(from, 1, earlier), [0, 0, heads * keyDim]);
  const before = (from: string): string => turned(e.slice(from, 1, 0, earlier));
  const past = { key: before(keys), value: before(values) };
  const present = { key: e.fresh("present_keys"), value: e.fresh("present_values") };
  const rows: Rows = [query, fresh(keys), fresh(values)];
  const mixed = e.tagged(() =>
    addGroupQueryAttention(builder, e.fresh("attention"), rows, { past, present }, { ...attention, rotary: null }),
  );
  if (valueDim === keyDim) return mixed;
  return e.reshape(e.slice(e.reshape(mixed, [0, 0, heads, keyDim]), 3, 0, valueDim), [0, 0, heads * valueDim]);
}

/** One token's queries against the latents themselves. */
function addAbsorbed(
  e: Emitter,
  { nope, rope, latents, ropeKeys, expand }: Latents,
  { heads, kvRank, nopeDim, ropeDim, valueDim, scale }: LatentAttention,
  sinks: string | null,
): string {
  const byHead = e.reshape(expand, [heads, nopeDim + valueDim, kvRank]);
  const forKeys = e.slice(byHead, 1, 0, nopeDim);
  const forValues = e.slice(byHead, 1, nopeDim);
  // [b, 1, heads·dim] → [b, heads, 1, dim] → [b, 1, heads, kvRank]
  const folded = e.matmul(e.reshape(nope, [0, heads, 1, nopeDim]), forKeys);
  let scores = e.transposedProduct(e.reshape(folded, [0, 1, heads, kvRank]), latents, scale, { few: true });
  if (ropeDim > 0) {
    scores = e.add(
      scores,
      e.transposedProduct(e.reshape(rope, [0, 1, heads, ropeDim]), ropeKeys, scale, { few: true }),
    );
  }
  const weights = addSoftmax(e, scores, sinks, heads);
  // [b, 1, heads, kvRank] → [b, heads, 1, valueDim]
  const mixed = e.reshape(e.matmul(weights, latents), [0, heads, 1, kvRank]);
  return e.reshape(e.transposedProduct(mixed, forValues, 1, { rank: 3 }), [0, 1, heads * valueDim]);
}

/** Queries in the latent space against the latents that were chosen for each: all heads share what is gathered. */
function addChosen(
  e: Emitter,
  { nope, rope, latents, ropeKeys, expand }: Latents,
  choice: Choice,
  { heads, kvRank, nopeDim, ropeDim, valueDim, scale }: LatentAttention,
  sinks: string | null,
): string {
  const byHead = e.reshape(expand, [heads, nopeDim + valueDim, kvRank]);
  const apart = (from: string, dim: number): string => e.reshape(from, [0, 0, heads, dim]);
  const turned = (from: string): string => e.transpose(from, [0, 2, 1, 3]);
  const folded = turned(e.matmul(turned(apart(nope, nopeDim)), e.slice(byHead, 1, 0, nopeDim)));
  const keyDim = kvRank + ropeDim;
  const query = ropeDim === 0 ? folded : e.concat([folded, apart(rope, ropeDim)], 3);
  const mixed = addChosenAttention(
    e,
    {
      query: e.reshape(query, [0, 0, heads * keyDim]),
      keys: ropeDim === 0 ? latents : e.concat([latents, ropeKeys], 3),
      values: latents,
    },
    choice,
    { heads, kvHeads: 1, keyDim, valueDim: kvRank, scale, softcap: null, sinks, naive: false },
  );
  const values = e.transposedProduct(turned(apart(mixed, kvRank)), e.slice(byHead, 1, nopeDim), 1, { rank: 3 });
  return e.reshape(turned(values), [0, 0, heads * valueDim]);
}

/** Softmax over [b, 1, heads, t], in which each head's sink takes part and mixes nothing in. */
function addSoftmax(e: Emitter, scores: string, sinks: string | null, heads: number): string {
  if (sinks === null) return e.softmax(scores);
  const own = e.expand(e.reshape(sinks, [1, 1, heads, 1]), [e.length(scores, 0), 1, heads, 1]);
  return e.slice(e.softmax(e.concat([scores, own], 3)), 3, 0, e.length(scores, 3));
}
