import type { Extras, Layer } from "../model/types.js";
import type { Block, BlockInstance } from "../graph/types.js";
import { addLinear } from "./linear.js";
import { placesTable } from "./mixers/disentangled.js";
import { openAlternating } from "./alternating.js";
import { joinNeighbours } from "./bottleneck.js";
import { addSinusoids, lookUpAxial, lookUpPositions } from "./embed.js";
import { extrasEmitter, leavePerLayerInputs, withoutRead } from "./layer-extras.js";
import { float, int } from "./proto.js";
import { leaveGlobals } from "./mixers/global-tokens.js";
import { openPredicting } from "./mixers/predicting.js";
import { openReversible } from "./reversible.js";
import type { Scope } from "./scope.js";
import { isStackExtras, lowerStem, stemNorm, stemOf } from "./stem.js";
import { openStreams } from "./streams.js";

/** Epsilon of the norm behind BART's embeddings (`nn.LayerNorm`'s own). */
const epsilon = 1e-5;
/** Of the norm of per-layer inputs (`rms_norm_eps` of every published config). */
const perLayerEpsilon = 1e-6;
/** Of the norm of DeBERTa's table of places (`layer_norm_eps` of every published config). */
const tableEpsilon = 1e-7;

/**
 * What may stand in front of a stack beside its layers: a table of positions of its own, a norm (its weight, then its
 * bias), a table of tokens that takes the place of the model's, tokens that are the same for every picture.
 */
const runnable = [
  "positions",
  "embedding",
  "embedding_norm",
  "relative_positions",
  "relative_norm",
  "class_token",
  "registers",
  "pre_norm",
  "positions0",
  "positions1",
  "final_norm",
  "global_tokens",
  "stream_embeddings",
  stemNorm,
] as const;

/** A projection of the embeddings (FNet). */
const projection = "embedding_projection";

/**
 * Parameters that a checkpoint has and this pass needs not: a mask token, attention to an encoder that is not there, a
 * table of sinusoids behind rotary positions, the projections that Longformer's global tokens have of their own, biases
 * by which routers keep experts equally busy.
 */
const unused =
  /^(mask|mask_token|end_of_image|sinusoids|unused_\w+|global_projections|global_biases|router_bias|expert_bias)$/;

/** What of a layer's extras running it would need and cannot do. */
export function strangeExtras({ weights = [], ...others }: Extras): string[] {
  return [
    ...Object.entries(others).flatMap(([name, list]: [string, unknown]) =>
      Array.isArray(list) && list.length === 0 ? [] : [name],
    ),
    ...weights.flatMap(({ name }) => (unused.test(name) ? [] : [name])),
  ];
}

/** The same of what stands in front of a stack. */
export function strangeStackExtras({
  weights = [],
  linears = [],
  convolutions: _stem,
  sinusoids: _positions,
  ...others
}: Extras): string[] {
  const known: readonly string[] = runnable;
  return strangeExtras({
    ...others,
    weights: weights.filter(({ name }) => !known.includes(name)),
    linears: linears.filter(({ name }) => name !== projection),
  });
}

/** The same of what stands outside of all stacks: inputs of every layer's own, and what joins several streams. */
export function strangeModelExtras({ linears = [], weights = [], ...others }: Extras): string[] {
  return strangeExtras({
    ...others,
    linears: linears.filter(({ name }) => !modelLinear.test(name)),
    weights: weights.filter(({ name }) => !modelWeight.test(name)),
  });
}

/** Linear maps outside of all stacks that have their place. */
const modelLinear = /^(per_layer_projection|join_streams|neighbours|altup_(projection|unembedding)\d+)$/;

const modelWeight = /^(per_layer_norm|join_scale|embedding_norm)$/;

/** What of a layer's extras its attention reads by place (DeBERTa). */
const readByPlace = /^(position_(key|query)(_bias)?|c2p_\w+|p2c_\w+)$/;

/** Extras of a layer that nothing of it reads. */
export function unreadExtras({ extras = {}, mixers }: Layer): Extras {
  return withoutRead(unreadByMixers(extras, mixers));
}

function unreadByMixers(extras: Extras, mixers: Layer["mixers"]): Extras {
  if (!mixers.some((mixer) => mixer.kind === "attention" && mixer.disentangled !== undefined)) return extras;
  const unread = <T extends { readonly name: string }>(list: readonly T[] = []): readonly T[] =>
    list.filter(({ name }) => !readByPlace.test(name));
  return { ...extras, weights: unread(extras.weights), products: unread(extras.products) };
}

/** Whether a stack has a table of tokens, or convolutions, of its own in front. */
export function embedsItself(instance: BlockInstance | undefined): boolean {
  if (instance === undefined || !isStackExtras(instance)) return false;
  return instance.block.weights.has("extra.embedding") || stemOf(instance.block).length > 0;
}

/** Learned positions added to the stream, a norm, a projection, as far as the stack has them. @returns [b, n, width] */
export function lowerStackExtras(stream: string, block: Block, scope: Scope): string {
  const { builder } = scope;
  const stem = stemOf(block);
  let result = stem.length > 0 ? lowerStem(stream, stem, scope) : stream;
  const local = (name: string): string => `extra.${name}`;
  const alternates = scope.hasWeight(local("altup_projection0.weight"));
  if (alternates || scope.hasWeight(local("per_layer_projection.weight"))) {
    const e = extrasEmitter(scope);
    const hidden = scope.width(block.inputs[0] ?? "");
    if (e.has("per_layer_projection.weight")) leavePerLayerInputs(stream, hidden, perLayerEpsilon, e);
    return alternates ? openAlternating(e, stream) : stream;
  }
  if (scope.hasWeight(local("neighbours.weight"))) return joinNeighbours(extrasEmitter(scope), stream);
  if (scope.hasWeight(local("join_streams.weight"))) return openStreams(extrasEmitter(scope), stream);
  if (scope.hasWeight(local("embedding"))) {
    const table = scope.parameter(local("embedding"));
    const width = scope.weight(local("embedding")).weight.shape[1] ?? 1;
    const rows = builder.node(scope.fresh("embedded"), "Gather", [table, stream]);
    // T5Gemma, the only family with a table of the encoder's own, multiplies by the root of its width.
    result = builder.node(scope.fresh("scaled"), "Mul", [rows, builder.scalar(Math.sqrt(width))]);
  }
  if (scope.hasWeight(local("class_token"))) result = addTokens("class_token", result, "", scope);
  if (scope.hasWeight(local("stream_embeddings"))) {
    result = openPredicting(extrasEmitter(scope), result);
  } else if (scope.hasWeight(local("positions"))) {
    const rows = lookUpPositions(scope.fresh("positions"), result, local("positions"), scope);
    result = builder.node(scope.fresh("placed"), "Add", [result, rows]);
  }
  const sinusoids = block.operators.find((operator) => operator.name === local("sinusoids"));
  if (sinusoids?.kind === "elementwise") {
    const e = extrasEmitter(scope);
    const width = scope.width(sinusoids.output);
    result = e.add(result, addSinusoids(e, result, width, sinusoids.parameter ?? 0));
  }
  if (scope.hasWeight(local("positions0"))) {
    const [rows, columns] = [local("positions0"), local("positions1")] as const;
    const found = lookUpAxial(scope.fresh("axial"), result, [rows, columns], scope);
    result = builder.node(scope.fresh("placed"), "Add", [result, found]);
  }
  if (scope.hasWeight(local("final_norm"))) result = openReversible(extrasEmitter(scope), result);
  if (scope.hasWeight(local("global_tokens"))) leaveGlobals(extrasEmitter(scope), result);
  if (scope.hasWeight(local("registers"))) {
    const count = scope.hasWeight(local("class_token")) ? (scope.weight(local("class_token")).weight.shape[0] ?? 0) : 0;
    const parts = [`${scope.fresh("registers")}.before`, `${scope.fresh("registers")}.after`] as const;
    const range = (from: number, to: number): string[] => [[from], [to], [1]].map((value) => builder.integers(value));
    builder.node(parts[0], "Slice", [result, ...range(0, count)]);
    builder.node(parts[1], "Slice", [result, ...range(count, 2 ** 53)]);
    result = addTokens("registers", parts[1], parts[0], scope);
  }
  if (scope.hasWeight(local("pre_norm"))) result = addNormOfBoth(result, local("pre_norm"), epsilon, scope);
  if (scope.hasWeight(local("embedding_norm"))) {
    result = addNormOfBoth(result, local("embedding_norm"), epsilon, scope);
  }
  const weight = local(`${projection}.weight`);
  if (scope.hasWeight(weight)) {
    const bias = local(`${projection}.bias`);
    const both = { weight, bias: scope.hasWeight(bias) ? bias : null };
    result = addLinear(result, both, scope.fresh(projection), scope);
  }
  if (scope.hasWeight(local("relative_positions"))) {
    const table = scope.parameter(local("relative_positions"));
    const norm = local("relative_norm");
    scope.left.set(placesTable, scope.hasWeight(norm) ? addNormOfBoth(table, norm, tableEpsilon, scope) : table);
  }
  return result;
}

/** Tokens of the stack's own in front of the stream, behind what stands `before` it. @returns [b, n, width] */
function addTokens(name: string, stream: string, before: string, scope: Scope): string {
  const { builder } = scope;
  const part = (what: string): string => scope.fresh(`${name}.${what}`);
  const batch = builder.node(part("batch"), "Shape", [stream], { attributes: { start: int(0), end: int(1) } });
  const shape = builder.node(part("shape"), "Concat", [batch, builder.integers([1, 1])], {
    attributes: { axis: int(0) },
  });
  const own = builder.node(part("own"), "Expand", [scope.parameter(`extra.${name}`), shape]);
  const parts = before === "" ? [own, stream] : [before, own, stream];
  return builder.node(part("joined"), "Concat", parts, { attributes: { axis: int(1) } });
}

/** A layer norm whose weight and bias are the two rows of one parameter. */
function addNormOfBoth(input: string, norm: string, least: number, scope: Scope): string {
  const { builder } = scope;
  const both = scope.parameter(norm);
  const row = (index: number): string =>
    builder.node(scope.fresh(`${norm}.${index}`), "Gather", [both, builder.integer(index)], {
      attributes: { axis: int(0) },
    });
  return builder.node(scope.fresh(`${norm}.out`), "LayerNormalization", [input, row(0), row(1)], {
    attributes: { axis: int(-1), epsilon: float(least) },
  });
}
