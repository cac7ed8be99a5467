import { Expression, b, ceilDivide, m, min, n } from "../../math/expression.js";
import type { Attention, Norm } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";
import type { AttentionShape } from "../types.js";
import { addFilter } from "./filter.js";
import { addIndexer } from "./indexer.js";
import { addScoresAndMix } from "./naive.js";

/**
 * Softmax attention with its projections: queries, keys and values from `input`, [b, n, hidden], to the projected
 * mixture, [b, n, hidden]. Norms of queries and keys take epsilon and offset from the layer's norm.
 *
 * @returns name of the output value
 */
export function addAttention(module: ModuleBuilder, input: string, mixer: Attention): string {
  const { heads, kvHeads, keyDim, valueDim } = mixer;
  const { hidden, encoder, encoderWidth, tokens } = module.around;
  const { across } = mixer;
  const cross = mixer.source === "encoder";
  const inWidth = mixer.inputWidth ?? hidden;
  const sourceWidth = mixer.sourceWidth ?? (cross ? encoderWidth : inWidth);
  const sourceTokens = cross ? encoder : across === undefined ? tokens : tokens.times(across.positions);
  // The encoder's keys and values were projected with the prompt; decode only reads them.
  const projects = mixer.keyValue !== "shared" && !(cross && module.decode);
  const projected = (side: "key" | "value", width: number, bias: boolean): string =>
    projects
      ? module.linear(side, input, sourceWidth / (mixer.groups?.[side] ?? 1), width, { bias, tokens: sourceTokens })
      : weightsOnly(module, mixer, side, sourceWidth, width, bias, sourceTokens);

  if (mixer.filter !== undefined) addFilter(module, input, inWidth, mixer.filter.width);
  const experts = mixer.projectionExperts;
  const rank = mixer.queryRank;
  let query =
    experts === undefined
      ? rank === undefined
        ? module.linear("query", input, inWidth / (mixer.groups?.query ?? 1), heads * keyDim, {
            bias: mixer.bias.query,
          })
        : projectByRank(module, input, [inWidth, rank, heads * keyDim], mixer.bias.query)
      : projectByExperts(module, "query", input, [inWidth, (heads * keyDim) / experts.chosen], heads * keyDim, experts);
  let key = mixer.sharedQueryKey === true ? query : projected("key", kvHeads * keyDim, mixer.bias.key);
  let value = mixer.keyValue === "key-is-value" ? key : projected("value", kvHeads * valueDim, mixer.bias.value);
  if (mixer.queryKeyNorm !== "none") {
    const normalise = (side: "query" | "key", from: string, count: number): string => {
      const width = mixer.queryKeyNorm === "per-layer" ? count * keyDim : keyDim;
      const rows = mixer.queryKeyNorm === "each-head" ? count : undefined;
      return module.normalise(`${side}_norm`, from, queryKeyNorm(mixer, module.around.norm), width, rows);
    };
    query = normalise("query", query, heads);
    if (mixer.keyValue !== "shared") key = normalise("key", key, kvHeads);
  }
  if (mixer.valueNorm === true && mixer.keyValue !== "shared") {
    value = module.normalise("value_norm", value, { ...module.around.norm, kind: "rms", plain: true }, valueDim);
  }
  if (mixer.sinks === true) query = module.weighted("sinks", query, { sinks: [heads] });
  if (mixer.relativePositions?.own === true) {
    const { buckets } = mixer.relativePositions;
    query = module.weighted("relative_positions", query, { relative_positions: [buckets, heads] });
  }
  if (mixer.indexer !== undefined) addIndexer(module, input, input, mixer.indexer);

  const { streams = 0, passes = 1 } = mixer;
  const shape: AttentionShape = {
    heads: heads * (1 + streams) * passes,
    kvHeads,
    keyDim,
    valueDim,
    span: mixer.span,
    causal: mixer.causal,
    scale: mixer.scale,
    softcap: mixer.softcap,
    ...lengthsOf(module, mixer, sourceTokens),
  };
  const inputs = { query, key, value, cache: cacheOf(module, mixer, cross) };
  const own = addProducts(module, inputs, mixer, shape, sourceTokens);
  if (mixer.span.kind === "ranked") addCoarse(module, query, mixer, mixer.span);
  if (streams > 0 && !cross) addOwnKeys(module, query, mixer, streams);
  const mixed = mixer.joinsEncoder === true ? joinEncoder(module, input, inputs, mixer, shape, own) : own;
  const gated = addGate(module, input, mixed, mixer.gate, heads, valueDim, inWidth);
  const outWidth = mixer.outputWidth ?? hidden;
  if (experts !== undefined) {
    return projectByExperts(
      module,
      "output",
      gated,
      [(heads * valueDim) / experts.chosen, outWidth],
      outWidth,
      experts,
    );
  }
  return module.linear("output", gated, (heads * valueDim) / (mixer.groups?.output ?? 1), outWidth, {
    bias: mixer.bias.output,
  });
}

/** Scores, softmax and mixture, as one operator or as three. */
function addProducts(
  module: ModuleBuilder,
  inputs: AttentionInputs,
  mixer: Attention,
  shape: AttentionShape,
  sourceTokens: Expression,
): string {
  // Pairs of blocks that were ranked are never a matrix of all scores.
  const fused = module.around.options.attention === "fused" || mixer.span.kind === "ranked";
  if (!fused) return addNaive(module, inputs, mixer, shape, sourceTokens);
  return module.add({
    kind: "attention",
    name: module.name("attention"),
    part: "attention",
    ...inputs,
    rotary: mixer.rotary,
    ...shape,
    output: module.value("mixed", shape.heads * shape.valueDim),
  });
}

/** Means of blocks scored against each other, and mixed where they stand in for what is not computed token by token. */
function addCoarse(
  module: ModuleBuilder,
  query: string,
  { heads, keyDim, valueDim }: Attention,
  { size, coarse }: Extract<Attention["span"], { kind: "ranked" }>,
): void {
  const { tokens } = module.around;
  const blocks = tokens.minus(m).isZero ? ceilDivide({ m: 1 }, size) : ceilDivide({ n: 1 }, size);
  module.product(
    "coarse_scores",
    [query],
    { batch: heads, rows: blocks, inner: keyDim, columns: blocks },
    heads,
    blocks,
  );
  if (coarse) {
    const sizes = { batch: heads, rows: blocks, inner: blocks, columns: valueDim };
    module.product("coarse_mix", [query], sizes, heads * valueDim, blocks);
  }
}

/** What streams s = 0 … meet beside the main one's keys: a key of their own, less s; the reference scores all of them. */
function addOwnKeys(
  module: ModuleBuilder,
  query: string,
  { heads, keyDim, valueDim }: Attention,
  streams: number,
): void {
  const { tokens } = module.around;
  const more = Math.max(0, streams - (streams * (streams - 1)) / 2);
  const sizes = (inner: number) =>
    module.reference
      ? { batch: heads * streams, rows: tokens, inner, columns: tokens }
      : { batch: tokens.times(heads * more), rows: 1, inner, columns: 1 };
  module.product("stream_scores", [query], sizes(keyDim), heads * streams);
  module.product("stream_mix", [query], sizes(valueDim), heads * streams);
}

/** The share of the mixture that the encoder's output has, by the module's own projections of keys and values. */
function joinEncoder(
  outer: ModuleBuilder,
  input: string,
  { query }: AttentionInputs,
  mixer: Attention,
  shape: AttentionShape,
  own: string,
): string {
  const module = outer.within("encoder");
  const { encoder, tokens } = module.around;
  // Projected with the prompt; decode only reads them.
  const projected = (side: "key" | "value", width: number): string =>
    module.decode
      ? module.value(side, width, encoder)
      : module.add({
          kind: "linear",
          name: module.name(`${side}_projection`),
          part: "projection",
          input,
          weight: outer.name(`${side}.weight`),
          bias: mixer.bias[side] ? outer.name(`${side}.bias`) : null,
          output: module.value(side, width, encoder),
        });
  const across: Attention = { ...mixer, source: "encoder", causal: false, rotary: null, span: { kind: "full" } };
  const inputs = {
    query,
    key: projected("key", mixer.kvHeads * mixer.keyDim),
    value: projected("value", mixer.kvHeads * mixer.valueDim),
    cache: cacheOf(module, across, true),
  };
  const lengths = { queries: tokens, keys: encoder };
  const crossing = { ...shape, span: across.span, causal: false, lengths };
  const mixed = addProducts(module, inputs, across, crossing, encoder);
  return outer.elementwise("joined", "add", [own, mixed]);
}

/** Lengths of queries and keys where they are not the new tokens and all up to them. */
function lengthsOf(module: ModuleBuilder, mixer: Attention, keys: Expression): Pick<AttentionShape, "lengths"> {
  const { tokens: queries, earlier } = module.around;
  if (mixer.source === "encoder" || mixer.across !== undefined || !module.hasEarlier)
    return { lengths: { queries, keys } };
  return queries.minus(n).isZero ? {} : { lengths: { queries, keys, earlier } };
}

/** Queries through a narrow width with an RMS norm in it: widths of input, rank and all heads. */
function projectByRank(
  module: ModuleBuilder,
  input: string,
  [inWidth, rank, outWidth]: readonly [number, number, number],
  bias: boolean,
): string {
  const narrow = module.linear("query_down", input, inWidth, rank);
  const norm = { ...module.around.norm, kind: "rms", bias: false, plain: false } as const;
  return module.linear("query", module.normalise("query_down_norm", narrow, norm, rank), rank, outWidth, { bias });
}

/** A projection that a router chooses per token from several (JetMoE); queries and output share the router. */
function projectByExperts(
  module: ModuleBuilder,
  side: "query" | "output",
  input: string,
  [inWidth, outWidth]: readonly [number, number],
  width: number,
  { experts, chosen }: { readonly experts: number; readonly chosen: number },
): string {
  if (side === "query") module.linear("router", input, inWidth, experts);
  return module.add({
    kind: "experts",
    name: module.name(`${side}_experts`),
    part: "projection",
    input,
    weights: [module.weight(`${side}.weight`, [experts, outWidth, inWidth])],
    biases: [],
    experts,
    chosen,
    output: module.value(side, width),
  });
}

/** A projected gate on the mixture, one number per element or per head. */
export function addGate(
  module: ModuleBuilder,
  input: string,
  mixed: string,
  gate: Attention["gate"],
  heads: number,
  valueDim: number,
  inWidth: number,
): string {
  if (gate === undefined) return mixed;
  const values = module.linear("gate", input, inWidth, gate === "per-head" ? heads : heads * valueDim);
  return module.elementwise("gated", "multiply", [mixed, values]);
}

function queryKeyNorm(mixer: Attention, norm: Norm): Norm {
  if (mixer.queryKeyLayerNorm !== undefined) {
    return { ...norm, kind: "layer", bias: mixer.queryKeyLayerNorm.bias, plain: false };
  }
  return { ...norm, kind: "rms", bias: false, plain: false };
}

/** Keys or values that are already in a cache; the weights are there, but nobody multiplies by them now. */
function weightsOnly(
  module: ModuleBuilder,
  mixer: Attention,
  side: "key" | "value",
  inWidth: number,
  width: number,
  bias: boolean,
  tokens: Expression,
): string {
  if (mixer.keyValue !== "shared") {
    module.weight(`${side}.weight`, [width, inWidth]);
    if (bias) module.weight(`${side}.bias`, [width], "bias");
  }
  // What is read of another layer's cache: everything that the span lets a query see.
  if (mixer.keyValue !== "shared") return module.value(side, width, tokens);
  const { earlier } = module.around;
  const { span } = mixer;
  const cached =
    span.kind === "window" && module.hasEarlier ? min({ c: 1 }, span.size + (span.first ?? 0) - 1) : earlier;
  return module.value(side, width, tokens.plus(cached));
}

function cacheOf(module: ModuleBuilder, mixer: Attention, cross: boolean): string | null {
  if (mixer.keyValue === "shared" || mixer.across !== undefined) return null;
  if (!cross && !module.hasEarlier) return null;
  const { dtypes, encoder } = module.around;
  const { tokens, earlier } = module.around;
  const kept = cross ? encoder : tokens.plus(earlier);
  const pooled = !tokens.minus(n).isZero;
  const side = (dim: number) => ({
    shape: [b, Expression.constant(mixer.kvHeads), kept, Expression.constant(dim)],
    dtype: dtypes.kv,
  });
  return module.block.cache(module.name("cache"), {
    key: side(mixer.keyDim),
    value: side(mixer.valueDim),
    ...(cross ? { fixed: true } : pooled ? {} : { span: mixer.span }),
  });
}

interface AttentionInputs {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly cache: string | null;
}

function addNaive(
  module: ModuleBuilder,
  inputs: AttentionInputs,
  mixer: Attention,
  shape: AttentionShape,
  sourceTokens: Expression,
): string {
  const { heads, kvHeads, keyDim, valueDim } = shape;
  const { dtypes, tokens, earlier } = module.around;
  const rotary = mixer.rotary;
  const self = mixer.source !== "encoder" && mixer.across === undefined;
  const all = self ? tokens.plus(keptEarlier(module, mixer, earlier)) : sourceTokens;
  const rotate = (side: "query" | "key", count: number): string =>
    rotary === null || (side === "key" && mixer.keyValue === "shared")
      ? inputs[side]
      : module.add({
          kind: "rotary",
          name: module.name(`${side}_rotary`),
          part: "attention",
          input: inputs[side],
          heads: count,
          headDim: keyDim,
          rotary,
          output: module.block.value(
            module.name(`${side}_rotated`),
            module.block.shapeOf(inputs[side]),
            dtypes.activations,
          ),
        });
  const allShape = (dim: number): readonly Expression[] => [
    b,
    Expression.constant(kvHeads),
    all,
    Expression.constant(dim),
  ];
  const append = (side: "key" | "value", from: string, dim: number): string =>
    inputs.cache === null || mixer.source === "encoder"
      ? module.block.value(module.name(`all_${side}s`), allShape(dim), dtypes.activations)
      : module.add({
          kind: "append",
          name: module.name(`${side}_append`),
          part: "attention",
          input: from,
          cache: inputs.cache,
          side,
          kvHeads,
          dim,
          output: module.block.value(module.name(`all_${side}s`), allShape(dim), dtypes.activations),
        });
  const query = rotate("query", heads);
  const keys = append("key", rotate("key", kvHeads), keyDim);
  const values = append("value", inputs.value, valueDim);
  const blocks = module.reference ? mixer.referenceBlocks : undefined;
  const scoresShape =
    blocks === undefined
      ? [b, Expression.constant(heads), tokens, all]
      : [b, Expression.constant(heads), wholeBlocks(tokens, blocks.block), Expression.constant(blocks.keys)];
  return addScoresAndMix(
    module,
    { query, key: keys, value: values },
    shape,
    scoresShape,
    module.value("mixed", heads * valueDim),
  );
}

/** Positions padded to whole blocks. */
function wholeBlocks(tokens: Expression, block: number): Expression {
  if (tokens.minus(n).isZero) return ceilDivide({ n: 1 }, block).times(block);
  return tokens.minus(m).isZero ? ceilDivide({ m: 1 }, block).times(block) : tokens;
}

/** Tokens of the cache that the naive product runs over: the reference keeps one window, this project's own all. */
function keptEarlier(module: ModuleBuilder, mixer: Attention, earlier: Expression): Expression {
  if (!module.reference || !module.hasEarlier) return earlier;
  return mixer.span.kind === "window" && mixer.maskedWindow !== true ? min({ c: 1 }, mixer.span.size - 1) : earlier;
}
