import type { Block, ElementwiseOperator, Operator } from "../graph/types.js";
import type { Extras, Layer } from "../model/types.js";
import { enterBottleneck, isBottleneck, leaveBottleneck } from "./bottleneck.js";
import { addLaurel, aroundOwnInput, correct } from "./alternating.js";
import { perLayerInputs } from "./embed.js";
import { Emitter } from "./emitter.js";
import { isPooling, isUnpooling, pool, unpool } from "./pooled-stacks.js";
import { hasGlobals, passGlobals } from "./mixers/global-tokens.js";
import { closePredicting } from "./mixers/predicting.js";
import { int } from "./proto.js";
import { besideNothing, closeReversible, isReversible } from "./reversible.js";
import type { Scope } from "./scope.js";
import { writeStreams } from "./streams.js";

/** What predicting streams do in each layer beside attention. */
const ofStreams = [
  "stream_query",
  "stream_key",
  "stream_value",
  "stream_output",
  "stream_cross_query",
  "stream_cross_output",
  "stream_positions",
  "stream_up",
  "stream_down",
] as const;

/** What global tokens do in each layer, and tokens with them. */
const ofGlobals = [
  "global_query",
  "global_key",
  "global_value",
  "global_output",
  "global_up",
  "global_down",
  "global_scores",
  "global_mix",
  "tokens_to_global",
  "tokens_from_global",
  "global_to_tokens",
  "global_from_tokens",
] as const;

/**
 * What of a layer's extras has a place in its arithmetic, by family: RWKV's norm of the embeddings, scales of what leaves
 * a branch (DINOv2), a norm of it (A.X K1), the numbers of a learned activation (Apertus), inputs of each layer's own and
 * the norms around experts (Gemma 4), several streams (DeepSeek-V4), convolutions beside attention (ConvBERT),
 * what a layer before made beside the stream and adapters of it (Zamba), streams that alternate (Gemma 3n), bottlenecks (MobileBERT), global tokens (Pegasus-X), predicting streams (ProphetNet).
 */
const readByName = {
  weights: [
    "pre_norm",
    "layer_scales",
    "post_mlp_norm",
    "activation",
    "per_layer_norm",
    "router_scale",
    "expert_scale",
    "expert_norms",
    "stream_scales",
    "kernel_depthwise",
    "global_norm",
    "into_norms",
    "out_norm",
    "altup_output_scale",
    "altup_router_norm",
    "laurel_norm",
  ],
  linears: [
    "per_layer_gate",
    "per_layer_projection",
    "mixer_streams",
    "ffn_streams",
    "kernel_pointwise",
    "kernel",
    "convolved",
    "convolved_out",
    "into",
    "relative_positions",
    "into_attention",
    "value_rest",
    "out",
    "altup_router",
    "altup_prediction",
    "altup_correction",
    "laurel_left",
    "laurel_right",
    "linear",
    "ffn_adapter_down",
    "ffn_adapter_up",
    "query_adapter_down",
    "query_adapter_up",
    "key_adapter_down",
    "key_adapter_up",
    "value_adapter_down",
    "value_adapter_up",
  ],
  products: ["streams_mixed", "altup_predicted", "kernel_depthwise", "convolution", ...ofGlobals, ...ofStreams],
} as const;

/** Extras of a layer that its lowering does not read. */
export function withoutRead(extras: Extras): Extras {
  const unread = <T extends { readonly name: string }>(
    list: readonly T[] = [],
    names: readonly string[],
  ): readonly T[] => list.filter(({ name }) => !names.includes(name));
  return {
    ...extras,
    weights: unread(extras.weights, readByName.weights),
    linears: unread(extras.linears, readByName.linears),
    products: unread(extras.products, readByName.products),
  };
}

/** What a layer's arrangement has to be for its extras to have their place. */
export function misplacedExtras({ extras, arrangement = "sequence", ffns }: Layer): string[] {
  const has = (name: string): boolean => extras?.weights?.some((weight) => weight.name === name) === true;
  const beside = arrangement === "parallel-ffns" && ffns.length === 2 && ffns[1]?.kind === "moe";
  return has("expert_norms") && !beside ? ["norms of experts that no dense network stands beside"] : [];
}

/** Whether an operator stands for a layer's extras: they act at their places, not where they are priced. */
export function isLayerExtra({ name }: Operator): boolean {
  return name.startsWith("extra.");
}

/** Writes what a layer's extras do. */
export function extrasEmitter(scope: Scope): Emitter {
  return new Emitter(scope, "extra", "residual");
}

function closeStreams(e: Emitter, stream: string, block: Block): string {
  return isReversible(e) ? closeReversible(e, stream, block) : stream;
}

/** What a block does to the stream before anything else. */
export function beginBlock(stream: string, block: Block, e: Emitter): string {
  if (block.name === "last" || block.name === "head")
    return closePredicting(e, closeStreams(e, stream, block), block.name === "last");
  if (isReversible(e)) return stream;
  if (isBottleneck(e)) return enterBottleneck(e, stream);
  if (isPooling(block)) return pool(e, stream);
  if (isUnpooling(block, e)) return unpool(e, stream);
  if (!e.has("pre_norm")) return stream;
  const [weight = "", bias = ""] = e.rows(e.weight("pre_norm"), 2);
  const epsilon = block.modules[0]?.norm.epsilon ?? 0;
  return e.add(e.multiply(e.normalised(stream, "layer", e.scope.width(block.inputs[0] ?? ""), epsilon), weight), bias);
}

/**
 * What is added in a layer, as its extras change it: what leaves a branch for the stream, or parts of a branch that are
 * added up.
 *
 * @returns names of the summands in the model
 */
export function summands(operator: ElementwiseOperator, block: Block, e: Emitter): readonly string[] {
  const [first = "", second = ""] = operator.inputs.map((name) => e.scope.value(name));
  if (e.has(`${operator.name.replace(".sum", "")}_streams.weight`)) {
    return writeStreams(e, first, second, e.scope.width(operator.output));
  }
  if (isReversible(e)) {
    return [first, besideNothing(e, second, operator.name.replace(".sum", ""), e.scope.width(operator.output))];
  }
  const laurel = addLaurel(e, operator, second);
  if (laurel !== null) return laurel;
  const norm = block.modules[0]?.norm;
  const rms = (value: string, weight: string): string => e.rms(value, weight, norm?.epsilon ?? 0);
  if (operator.name === "ffns.parallel_sum0" && e.has("expert_norms")) {
    const [dense = "", , routed = ""] = e.rows(e.weight("expert_norms"), 3);
    return [rms(first, dense), rms(second, routed)];
  }
  if (operator.name.endsWith(".sum") && e.has("layer_scales")) {
    const scales = e.rows(e.weight("layer_scales"), 2);
    return [first, e.multiply(second, scales[operator.name.startsWith("mixer") ? 0 : 1] ?? "")];
  }
  if (operator.name === "ffn.sum" && e.has("post_mlp_norm")) return [first, rms(second, e.weight("post_mlp_norm"))];
  return [first, second];
}

/** Sign and slope at 0 of a learned activation (xIELU, arXiv:2411.13010): beta, and the largest of what is below 0. */
const [slope, below] = [0.5, -1e-6];

/** Whether a layer's network bends by an activation with numbers of its own. */
export function isLearnedActivation(operator: ElementwiseOperator, e: Emitter): boolean {
  return operator.name === "ffn.activated" && e.has("activation");
}

/** xIELU: αp·x² + x/2 above 0, αn·(exp(x) − 1 − x) + x/2 below, αp = softplus(a₀), αn = 1/2 + softplus(a₁). */
export function lowerLearnedActivation(input: string, e: Emitter): string {
  const { builder } = e.scope;
  const [up = "", down = ""] = e.rows(e.weight("activation"), 2).map((value) => e.node("Softplus", [value]));
  const above = e.multiply(e.multiply(input, input), up);
  const most = e.node("Min", [input, builder.scalar(below)]);
  const curved = e.subtract(e.subtract(e.node("Exp", [most]), builder.scalar(1)), input);
  const under = e.multiply(curved, e.add(down, builder.scalar(slope)));
  const positive = e.node("Greater", [input, builder.scalar(0)]);
  return e.add(e.node("Where", [positive, above, under]), e.scale(input, slope));
}

/** What a layer does to the stream last: an input of its own, gated by the stream, is projected, normed and added. */
export function endLayer(made: string, block: Block, e: Emitter, layer: number): string {
  if (isBottleneck(e)) return leaveBottleneck(e, made);
  if (hasGlobals(e)) {
    const network = block.modules.find(({ description }) => description.kind === "dense");
    if (network?.description.kind === "dense") passGlobals(e, network.description, network.norm);
    return made;
  }
  const hidden = e.scope.width(block.inputs[0] ?? "");
  const corrected = correct(e, made, hidden);
  const stream = corrected ?? made;
  if (!e.has("per_layer_gate.weight")) return stream;
  const all = e.scope.left.get(perLayerInputs);
  if (all === undefined) throw new Error("nothing was left for the layers");
  const width = e.scope.width("extra.per_layer_gate");
  const own = e.slice(all, 2, layer * width, (layer + 1) * width);
  const norm = block.modules[0]?.norm;
  const weight = e.weight("per_layer_norm", norm?.offset);
  const make = (from: string): string => {
    const gated = e.multiply(e.gelu(e.linear("per_layer_gate", from), "tanh"), own);
    return e.rms(e.linear("per_layer_projection", gated), weight, norm?.epsilon ?? 0);
  };
  return corrected === null ? e.add(stream, make(stream)) : aroundOwnInput(e, stream, hidden, make);
}

/**
 * Inputs of every layer's own, of each token (Gemma 4): (norm(projection(x)/√hidden) + √width·row)/√2, the rows looked up
 * in a table of their own. They are left for the layers.
 *
 * @param stream the scaled embeddings, [b, n, hidden]
 */
export function leavePerLayerInputs(stream: string, hidden: number, epsilon: number, e: Emitter): void {
  const { scope } = e;
  const rows = scope.left.get(perLayerInputs);
  if (rows === undefined) throw new Error("the embedding left no rows for the layers");
  const width = scope.weight("extra.per_layer_norm").weight.shape[0] ?? 1;
  const projected = e.scale(e.linear("per_layer_projection", stream), hidden ** -0.5);
  const normed = e.rms(e.reshape(projected, [0, 0, -1, width]), e.weight("per_layer_norm"), epsilon);
  const both = e.add(normed, e.reshape(e.scale(rows, Math.sqrt(width)), [0, 0, -1, width]));
  const flat = e.node("Reshape", [e.scale(both, Math.SQRT1_2), e.node("Shape", [rows])], { allowzero: int(0) });
  scope.left.set(perLayerInputs, flat);
}
