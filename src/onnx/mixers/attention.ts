import type { Attention, Norm } from "../../model/types.js";
import { projectAround } from "../bottleneck.js";
import { addCachedAttention } from "../cached-attention.js";
import type { Emitter } from "../emitter.js";
import type { Rows } from "../group-query.js";
import { float, int } from "../proto.js";
import type { Provider } from "../provider.js";
import { addRotary } from "../rotary-embedding.js";
import { type CacheBinding, keptBy } from "../scope.js";
import { unsupported } from "../unsupported.js";
import { addBlockedAttention, type BlockedAttention, type BlockedSpan } from "./blocked-attention.js";
import { addPatternAttention, patternOf } from "./block-patterns.js";
import { addBucketedAttention } from "./bucketed.js";
import { addChosenAttention } from "./chosen-attention.js";
import { addCrossAttention } from "./cross-attention.js";
import { addIndexer } from "./indexer.js";
import { addDisentangledAttention } from "./disentangled.js";
import { addFilter } from "./filter.js";
import { addGlobalAttention } from "./global-tokens.js";
import { addHeadNorm } from "./head-norm.js";
import { addPredictingAttention } from "./predicting.js";
import { addBiasedAttention } from "./relative-positions.js";
import { addStridedAttention } from "./strided-attention.js";
import { addSpanConvolution, convolvesSpans } from "./span-convolution.js";
import type { Around } from "./around.js";

/** ONNX Runtime's GroupQueryAttention takes heads of a multiple of so many elements. */
const headGranule = 8;

/** What the lowering by operators does not know: those modules are lowered here as a whole. */
export function isPlainAttention(mixer: Attention): boolean {
  const { span, sinks, gate, keyValue, indexer, relativePositions, valueNorm, filter, queryKeyNorm, keyDim, valueDim } =
    mixer;
  const special = [sinks, gate, keyValue, indexer, relativePositions, valueNorm, filter, mixer.streams].some(
    (value) => value !== undefined && value !== false,
  );
  const fits = keyDim === valueDim && keyDim % headGranule === 0;
  return span.kind === "full" && mixer.causal && !special && queryKeyNorm !== "each-head" && fits;
}

/** Whether a provider's GroupQueryAttention caps scores where that is asked for: WebGPU's takes the attribute and leaves them as they are. */
export function knowsSoftcap({ softcap }: Pick<Attention, "softcap">, provider: Provider): boolean {
  return softcap === null || provider === "cpu";
}

/** Softmax attention with its projections, [b, n, hidden] → the same. */
export function addWholeAttention(e: Emitter, input: string, mixer: Attention, around: Around): string {
  const { norm, naive } = around;
  const { heads, kvHeads, keyDim, valueDim, span } = mixer;
  if (mixer.source === "encoder") return addCrossAttention(e, input, mixer, around);
  if (mixer.keyValue === "shared") return addSharedAttention(e, input, mixer, norm, naive);
  if (mixer.streams !== undefined) {
    return addPredictingAttention(e, input, mixer, (key, value) => append(e, key, value, mixer, { kind: "full" }));
  }
  if (mixer.globals !== undefined) {
    if (span.kind !== "chunk") throw unsupported(e.name, `no lowering of global tokens beside a ${span.kind} span`);
    return addGlobalAttention(e, input, mixer, span.size, norm);
  }
  if (span.kind === "buckets") {
    const query = e.linear("query", input);
    const key = mixer.sharedQueryKey === true ? query : e.linear("key", input);
    const rows = { query, key, value: e.linear("value", input) };
    return e.linear("output", addBucketedAttention(e, rows, mixer, span));
  }
  const pattern = patternOf(span, mixer.causal);
  const sides = mixer.keyValue === "key-is-value" ? ["query", "key"] : ["query", "key", "value"];
  const widths = [heads * keyDim, kvHeads * keyDim, kvHeads * valueDim].slice(0, sides.length);
  const { groups } = mixer;
  let [query = "", key = "", value = ""] =
    groups === undefined
      ? projectedFrom(e, input, mixer, sides, widths, norm)
      : (["query", "key", "value"] as const).map((side) => e.grouped(side, input, groups[side]));
  const spans = convolvesSpans(e) ? addSpanConvolution(e, input, query, mixer) : null;
  if (mixer.keyValue === "key-is-value") value = key;
  if (mixer.valueNorm === true) {
    const apart = e.reshape(value, [0, 0, kvHeads, valueDim]);
    value = e.reshape(e.normalised(apart, "rms", valueDim, norm.epsilon), [0, 0, kvHeads * valueDim]);
  }
  if (mixer.queryKeyNorm !== "none") {
    query = addHeadNorm(e, "query_norm", query, heads, mixer, norm);
    key = addHeadNorm(e, "key_norm", key, kvHeads, mixer, norm);
  }
  const { rotary } = mixer;
  if (rotary !== null) {
    const turn = (from: string, count: number): string =>
      e.tagged(() => addRotary(from, e.fresh("rotated"), { rotary, heads: count, headDim: keyDim }, e.scope));
    query = turn(query, heads);
    key = turn(key, kvHeads);
  }
  const sinks = mixer.sinks === true ? e.weight("sinks") : null;
  const finish = (mixed: string): string => {
    const gated = mixer.gate === undefined ? mixed : addOutputGate(e, input, mixed, mixer);
    const projected = groups === undefined ? e.linear("output", gated) : e.grouped("output", gated, groups.output);
    return spans === null ? projected : e.add(projected, spans);
  };
  if (mixer.disentangled !== undefined) {
    const operands = { query, ...append(e, key, value, mixer, { kind: "full" }) };
    return finish(addDisentangledAttention(e, operands, mixer, mixer.disentangled, naive));
  }
  if (pattern !== null) {
    const operands = { query, ...append(e, key, value, mixer, { kind: "full" }) };
    return finish(addPatternAttention(e, operands, { ...mixer, sinks, naive }, pattern));
  }
  if (span.kind === "chosen") {
    if (mixer.indexer === undefined) throw unsupported(e.name, "a choice of tokens without an indexer");
    const choice = addIndexer(e, { input, from: input }, mixer.indexer, rotary, norm);
    const operands = { query, ...append(e, key, value, mixer, { kind: "full" }) };
    return finish(addChosenAttention(e, operands, choice, { ...mixer, sinks, naive }));
  }
  if (span.kind === "strided") {
    const operands = { query, ...append(e, key, value, mixer, { kind: "full" }) };
    return finish(addStridedAttention(e, operands, { ...mixer, sinks, naive }, span));
  }
  if (span.kind !== "full" && span.kind !== "window" && span.kind !== "chunk") {
    throw unsupported(e.name, `no lowering of a ${span.kind} span`);
  }
  const attention = { ...mixer, span, sinks, naive };
  const { relativePositions } = mixer;
  const capped = knowsSoftcap(mixer, e.scope.builder.provider);
  const fits = span.kind === "full" && keyDim === valueDim && !naive && capped;
  const bothWays = fits && !mixer.causal && kvHeads === heads && mixer.softcap === null && sinks === null;
  const mixed =
    relativePositions !== undefined
      ? addBiasedAttention(e, { query, ...append(e, key, value, mixer, span) }, attention, relativePositions)
      : bothWays
        ? addMultiHeadAttention(e, [query, key, value], mixer)
        : fits && mixer.causal && keyDim % headGranule === 0
          ? addCached(e, [query, key, value], e.scope.cache(e.local("cache"), { kind: "all" }, "new"), attention)
          : addBlockedAttention(e, { query, ...append(e, key, value, mixer, span) }, attention);
  return finish(mixed);
}

/** Queries, keys and values of one input, or queries and keys of another than values. */
function projectedFrom(
  e: Emitter,
  input: string,
  { filter }: Attention,
  sides: readonly string[],
  widths: readonly number[],
  norm: Norm,
): string[] {
  const around = projectAround(e, widths);
  if (around !== null) return around;
  if (filter === undefined) return e.split(e.linears(sides, input), widths);
  const both = e.split(e.linears(["query", "key"], addFilter(e, input, norm)), widths.slice(0, 2));
  return [...both, e.linear("value", input)];
}

/** Attention over the keys and values that an earlier layer with the same span has: queries alone are projected here. */
function addSharedAttention(e: Emitter, input: string, mixer: Attention, norm: Norm, naive: boolean): string {
  const { heads, keyDim, rotary, span } = mixer;
  let query = e.linear("query", input);
  if (mixer.queryKeyNorm !== "none") query = addHeadNorm(e, "query_norm", query, heads, mixer, norm);
  if (rotary !== null) {
    const from = query;
    query = e.tagged(() => addRotary(from, e.fresh("rotated"), { rotary, heads, headDim: keyDim }, e.scope));
  }
  const sinks = mixer.sinks === true ? e.weight("sinks") : null;
  const mixed =
    span.kind === "window" || span.kind === "chunk"
      ? addBlockedAttention(e, { query, ...leftBehind(e, mixer, span) }, { ...mixer, span, sinks, naive })
      : addOverCache(e, query, { ...mixer, span: { kind: "full" }, sinks, naive });
  return e.linear("output", mixer.gate === undefined ? mixed : addOutputGate(e, input, mixed, mixer));
}

function addOverCache(e: Emitter, query: string, attention: BlockedAttention): string {
  const { kvHeads, keyDim, valueDim } = attention;
  const cache = e.scope.latestCache();
  if (cache === null || cache.kvHeads !== kvHeads || cache.keyDim !== keyDim || cache.valueDim !== valueDim) {
    throw unsupported(e.name, "no layer before it keeps keys and values of its shape");
  }
  return cache.hands === "new"
    ? addAfterOthers(e, query, cache, attention)
    : addBlockedAttention(e, { query, keys: cache.present.key, values: cache.present.value }, attention);
}

type NearSpan = Exclude<BlockedSpan, { kind: "full" }>;

/** Name under which a layer with a window or chunks leaves its keys or values for layers that read them too. */
function sharedName({ kvHeads, keyDim, valueDim }: Attention, { kind, size }: NearSpan, side: "key" | "value"): string {
  return `shared.${side}.${kind}.${size}.${kvHeads}.${keyDim}.${valueDim}`;
}

/** Keys and values of the last layer before with that window: what it kept and the new ones. */
function leftBehind(e: Emitter, mixer: Attention, span: NearSpan): { readonly keys: string; readonly values: string } {
  const keys = e.scope.left.get(sharedName(mixer, span, "key"));
  const values = e.scope.left.get(sharedName(mixer, span, "value"));
  if (keys === undefined || values === undefined) {
    throw unsupported(e.name, "no layer before it has keys and values of its span and shape");
  }
  return { keys, values };
}

/** The keys and values that another layer has made for the new tokens, as rows; what comes of them is not kept twice. */
function addAfterOthers(e: Emitter, query: string, cache: CacheBinding, attention: BlockedAttention): string {
  const rows = (side: string): string =>
    e.reshape(e.transpose(side, [0, 2, 1, 3]), [0, 0, attention.kvHeads * attention.keyDim]);
  const present = { key: e.fresh("keys"), value: e.fresh("values") };
  return addCached(e, [query, rows(cache.present.key), rows(cache.present.value)], { ...cache, present }, attention);
}

/** Causal attention to a full cache, of rows that are turned already. */
function addCached(
  e: Emitter,
  rows: Rows,
  { past, present }: Pick<CacheBinding, "past" | "present">,
  { keyDim, ...attention }: BlockedAttention,
): string {
  const sizes = { ...attention, dim: keyDim, rotary: null };
  return e.tagged(() =>
    addCachedAttention(e.scope.builder, e.fresh("attention"), rows, { past, fresh: present }, sizes),
  );
}

/** Attention that looks both ways, by a kernel that holds no n × n scores. */
function addMultiHeadAttention(
  e: Emitter,
  [query, key, value]: readonly [string, string, string],
  { heads, scale }: Attention,
): string {
  return e.own("MultiHeadAttention", [query, key, value], { num_heads: int(heads), scale: float(scale) });
}

/** The mixture times the sigmoid of a projection: one number per element, or one per head. */
export function addOutputGate(
  e: Emitter,
  input: string,
  mixed: string,
  { gate, heads, valueDim }: Pick<Attention, "gate" | "heads" | "valueDim">,
): string {
  const values = e.sigmoid(e.linear("gate", input));
  if (gate === "per-element") return e.multiply(mixed, values);
  const apart = e.multiply(e.reshape(mixed, [0, 0, heads, valueDim]), e.reshape(values, [0, 0, heads, 1]));
  return e.reshape(apart, [0, 0, heads * valueDim]);
}

/** Keys and values after what is cached, [b, kvHeads, t, dim], and the part of them that the cache keeps. */
function append(
  e: Emitter,
  key: string,
  value: string,
  mixer: Attention,
  span: BlockedSpan,
): { readonly keys: string; readonly values: string } {
  const { kvHeads, keyDim, valueDim, causal } = mixer;
  const turned = (from: string, dim: number): string =>
    e.transpose(e.reshape(from, [0, 0, kvHeads, dim]), [0, 2, 1, 3]);
  if (!causal) return { keys: turned(key, keyDim), values: turned(value, valueDim) };
  const cache = e.scope.cache(e.local("cache"), keptBy(span));
  const side = (which: keyof CacheBinding["past"], from: string): string => {
    if (span.kind === "full") {
      return e.into(cache.present[which], "Concat", [cache.past[which], from], { axis: int(2) });
    }
    const all = e.concat([cache.past[which], from], 2);
    keep(e, all, cache.present[which], span);
    e.scope.left.set(sharedName(mixer, span, which), all);
    return all;
  };
  return { keys: side("key", turned(key, keyDim)), values: side("value", turned(value, valueDim)) };
}

function keep(e: Emitter, all: string, present: string, span: NearSpan): void {
  const { builder } = e.scope;
  const length = e.length(all, 2);
  const cut = (from: string, output: string): string =>
    e.into(output, "Slice", [all, from, length, builder.integers([2])]);
  if (span.kind === "chunk") {
    const size = builder.integers([span.size]);
    cut(e.multiply(e.node("Div", [length, size]), size), present);
    return;
  }
  const { size, first = 0 } = span;
  const from = e.node("Max", [e.subtract(length, builder.integers([size - 1])), builder.integers([first])]);
  if (first === 0) cut(from, present);
  else e.into(present, "Concat", [e.slice(all, 2, 0, first), cut(from, e.fresh("last"))], { axis: int(2) });
}
