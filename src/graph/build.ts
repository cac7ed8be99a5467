import { Expression, b, c, ceilDivide, m, n } from "../math/expression.js";
import type { Head, Layer, ModelDescription, Stack } from "../model/types.js";
import { BlockBuilder } from "./block-builder.js";
import { depthBlock, sitesOfLayer, sitesOfOutput } from "./blocks/depth.js";
import { addExtras, layerBlock } from "./blocks/layer.js";
import { probeBlock } from "./blocks/probe.js";
import { ModuleBuilder, type Surroundings } from "./module.js";
import { asStored } from "./storage/as-stored.js";
import type { Block, BlockInstance, Graph, GraphOptions } from "./types.js";

export const defaultGraphOptions: GraphOptions = {
  attention: "fused",
  head: "last",
  phase: "prefill",
  kernels: "efficient",
  encoder: "own",
};

/** Scope of the embedding's weights; a tied head shares it. */
const embeddingScope = "embedding";

/** Graphs do not change: describing, pricing and predicting one model share those that they ask for. */
const built = new WeakMap<ModelDescription, Map<string, Graph>>();

/**
 * The operator graph of a model. Equal layers share one block, so that building and pricing cost as much as the
 * number of *different* layers.
 */
export function buildGraph(model: ModelDescription, options: Partial<GraphOptions> = {}): Graph {
  const chosen = { ...defaultGraphOptions, ...options };
  const ofModel = built.get(model) ?? new Map<string, Graph>();
  built.set(model, ofModel);
  const key = Object.values(chosen).join(" ");
  const graph = ofModel.get(key) ?? buildNew(model, chosen);
  ofModel.set(key, graph);
  return graph;
}

function buildNew(model: ModelDescription, chosen: GraphOptions): Graph {
  const around = surroundings(model, chosen);
  const instances: BlockInstance[] = [];
  // Encoders of pictures and sound have no tokens to look up.
  if (model.embedding.rows > 0) {
    instances.push({ block: embeddingBlock(model, around), scope: embeddingScope, layer: null });
  }
  if (model.extras !== undefined) {
    instances.push({ block: extrasBlock(model.extras, around), scope: "extras", layer: null });
  }
  let index = 0;
  for (const stack of model.stacks) {
    index = addStack(instances, stack, model, chosen, index);
  }
  if (model.head.kind === "pooler" || model.head.pooler !== undefined) {
    instances.push({ block: poolerBlock(model, around), scope: "pooler", layer: null });
  }
  if (model.head.probe !== undefined) {
    const stack = model.stacks.at(-1);
    const whole = surroundings(model, chosen, stack);
    instances.push({ block: probeBlock(model.head.probe, whole), scope: "probe", layer: null });
  }
  if (model.head.kind === "lm") {
    instances.push({
      block: headBlock(model, chosen),
      scope: model.head.tied ? embeddingScope : "head",
      layer: null,
    });
  }
  return {
    model: model.name,
    options: chosen,
    vocabularySize: model.vocabularySize,
    instances: asStored(instances, model),
  };
}

function addStack(
  instances: BlockInstance[],
  stack: Stack,
  model: ModelDescription,
  options: GraphOptions,
  first: number,
): number {
  const main = stack === model.stacks.at(-1);
  const blocks = new Map<Layer, Block>();
  const around = surroundings(model, options, stack);
  const own = stack.kind === "decoder" && stack.name === undefined ? "" : `${stack.name ?? stack.kind}.`;
  const role =
    !main && stack.kind === "encoder" && model.stacks.at(-1)?.kind === "decoder" ? { encodes: true as const } : {};
  let index = first;
  if (stack.extras !== undefined) {
    instances.push({ block: extrasBlock(stack.extras, around), scope: `${own}extras`, layer: null, ...role });
  }
  const mixing = stack.depthBlock === undefined ? null : depthMixing(stack, stack.depthBlock, own, around);
  for (const layer of stack.layers) {
    let block = blocks.get(layer);
    if (block === undefined) {
      const tokens = layer.onlyWithImage === true ? Expression.zero : around.tokens;
      const encoder = layer.onlyWithImage === true ? Expression.zero : around.encoder;
      block = layerBlock(layer, { ...around, tokens, encoder, norm: layer.norm });
      blocks.set(layer, block);
    }
    const scope = layer.weightsOf === undefined ? `${own}layers.${index - first}` : `${own}${layer.weightsOf}`;
    instances.push({ block, scope, layer: index, ...role });
    if (mixing !== null) instances.push({ ...mixing(index - first), ...role });
    index += 1;
  }
  if (mixing !== null) instances.push({ ...mixing(null), ...role });
  const last = main && options.head === "last" && model.head.kind === "lm" && stack.kind === "decoder";
  if (stack.finalNorm === null && last) {
    instances.push({ block: lastBlock(around), scope: `${own}last`, layer: null, ...role });
  }
  if (stack.finalNorm !== null) {
    instances.push({ block: finalNormBlock(stack, around, last), scope: `${own}final_norm`, layer: null, ...role });
  }
  return index;
}

/** The mixtures over depth of a layer's branches, or of what follows the last layer (null); equal ones share a block. */
function depthMixing(
  stack: Stack,
  perBlock: number,
  own: string,
  around: Surroundings,
): (layer: number | null) => BlockInstance {
  const blocks = new Map<string, Block>();
  return (layer) => {
    const sites = layer === null ? sitesOfOutput(stack.layers.length, perBlock) : sitesOfLayer(layer, perBlock);
    const key = sites.map(({ name, streams }) => `${name} ${streams}`).join(" ");
    const block = blocks.get(key) ?? depthBlock(sites, around);
    blocks.set(key, block);
    return { block, scope: `${own}depth.${layer ?? "output"}`, layer: null };
  };
}

/** Widths, lengths and types that the parts of one stack see. */
function surroundings(model: ModelDescription, options: GraphOptions, stack?: Stack): Surroundings {
  const encoder = model.stacks.findLast((other) => other.kind === "encoder");
  const tokens = tokensOf(stack, options);
  return {
    hidden: stack?.hiddenSize ?? model.hiddenSize,
    dtypes: model.dtypes,
    options,
    tokens,
    earlier: earlierOf(tokens, stack),
    encoder: encoder?.length?.kind === "constant" ? Expression.constant(encoder.length.tokens) : encoderTokens(options),
    encoderWidth: encoder?.hiddenSize ?? model.hiddenSize,
    norm: stack?.finalNorm ?? { kind: "rms", bias: false, epsilon: 1e-6, offset: false },
  };
}

/** Tokens before those that pass through: of a stack whose queries see them. */
function earlierOf(tokens: Expression, stack: Stack | undefined): Expression {
  if (stack !== undefined && stack.kind !== "decoder") return Expression.zero;
  if (stack?.length?.kind === "pooled") return c.times(1 / stack.length.by);
  if (stack?.length?.kind === "last" && !tokens.minus(n).isZero) return n.plus(c).minus(Expression.one);
  return tokens === n ? c : Expression.zero;
}

/** Whether a stack that keeps nothing may leave out all positions of a prompt but the last. The reference runs all. */
function onlyLast({ head, phase, kernels }: GraphOptions): boolean {
  return head === "last" && phase === "prefill" && kernels === "efficient";
}

function encoderTokens({ encoder, phase }: GraphOptions): Expression {
  return encoder === "own" ? m : phase === "decode" ? c : n;
}

function tokensOf(stack: Stack | undefined, options: GraphOptions): Expression {
  const length = stack?.length ?? { kind: "new" };
  // Decode reads what the encoder left; it does not run it again.
  if (stack !== undefined && stack.kind !== "decoder" && length.kind !== "new" && options.phase === "decode") {
    return Expression.zero;
  }
  switch (length.kind) {
    case "new":
      return n;
    case "encoder":
      return encoderTokens(options);
    case "pooled":
      // On average: where text ends is not where a pool does.
      if (stack?.kind === "decoder") return n.times(1 / length.by);
      return ceilDivide({ n: 1 }, length.by);
    case "last":
      return onlyLast(options) ? Expression.one : n;
    case "constant":
      return Expression.constant(length.tokens);
    case "absent":
      return Expression.zero;
  }
}

function embeddingBlock(model: ModelDescription, around: Surroundings): Block {
  const { rows, width, scale, tables = [], norm, projection } = model.embedding;
  const block = new BlockBuilder("embedding");
  const module = new ModuleBuilder(block, "position", around, "embedding");
  const activations = model.dtypes.activations;
  block.value("ids", [b, n], "int8");
  const lookUp = (
    name: string,
    table: string,
    tableRows: number,
    tableWidth: number,
    output: string,
    lookups = 1,
    firstRow?: number,
  ): string =>
    block.add({
      kind: "embed",
      name,
      part: "embedding",
      ids: "ids",
      table: block.weight(table, [tableRows, tableWidth], model.dtypes.weights, "matrix", firstRow),
      output: block.value(output, [b, n, Expression.constant(lookups * tableWidth)], activations),
    });
  let stream = lookUp("embed", "table", rows, width, "embedded");
  for (const table of tables) {
    const found = lookUp(
      `embed_${table.name}`,
      table.name,
      table.rows,
      table.width,
      `${table.name}.embedded`,
      table.lookups,
      table.firstRow,
    );
    if (table.width === width && table.lookups === undefined)
      stream = module.elementwise(`${table.name}.added`, "add", [stream, found]);
  }
  if (norm !== undefined) stream = module.normalise("norm", stream, norm, width);
  if (projection !== undefined) stream = module.linear("projection", stream, width, around.hidden, projection);
  if (scale !== null) {
    stream = block.add({
      kind: "elementwise",
      name: "embedding_scale",
      part: "embedding",
      function: "scale",
      inputs: [stream],
      parameter: scale,
      output: block.value("scaled", block.shapeOf(stream), activations),
    });
  }
  return block.build(["ids"], stream);
}

function extrasBlock(extras: NonNullable<ModelDescription["extras"]>, around: Surroundings): Block {
  const block = new BlockBuilder("extras");
  const input = block.value("x", [b, around.tokens, Expression.constant(around.hidden)], around.dtypes.activations);
  return block.build([input], addExtras(new ModuleBuilder(block, "extra", around, "embedding"), input, extras));
}

/** Norms one position each, so the last position may be picked before the norm. */
function finalNormBlock(stack: Stack, around: Surroundings, last: boolean): Block {
  const block = new BlockBuilder("final_norm");
  const input = block.value("x", [b, around.tokens, Expression.constant(around.hidden)], around.dtypes.activations);
  const kept = last ? keepLast(block, input, around) : input;
  const module = new ModuleBuilder(block, "", around, "norm");
  return block.build([input], module.normalise("norm", kept, stack.finalNorm ?? around.norm, around.hidden));
}

/** The last position of a stack without a norm at its end. */
function lastBlock(around: Surroundings): Block {
  const block = new BlockBuilder("last");
  const input = block.value("x", [b, around.tokens, Expression.constant(around.hidden)], around.dtypes.activations);
  return block.build([input], keepLast(block, input, around));
}

function keepLast(block: BlockBuilder, input: string, { hidden, dtypes }: Surroundings): string {
  return block.add({
    kind: "last",
    name: "last_position",
    part: "head",
    input,
    output: block.value("last", [b, Expression.one, Expression.constant(hidden)], dtypes.activations),
  });
}

/** A projection of one position: the sentence vector of BERT. */
function poolerBlock(model: ModelDescription, around: Surroundings): Block {
  const block = new BlockBuilder("pooler");
  const hidden = model.hiddenSize;
  const input = block.value("x", [b, around.tokens, Expression.constant(hidden)], around.dtypes.activations);
  const module = new ModuleBuilder(block, "pooler", { ...around, tokens: Expression.one }, "head");
  const first = module.add({
    kind: "last",
    name: "one_position",
    part: "head",
    input,
    output: module.value("position", hidden),
  });
  return block.build(
    [input],
    module.linear("dense", first, hidden, model.head.pooler ?? model.head.rows ?? hidden, { bias: true }),
  );
}

function headBlock(model: ModelDescription, options: GraphOptions): Block {
  const block = new BlockBuilder("head");
  const { activations, weights } = model.dtypes;
  const { head } = model;
  // An encoder's head (masked tokens) looks at every position.
  const last = options.head === "last" && model.stacks.at(-1)?.kind === "decoder";
  const tokens = last ? Expression.one : n.times(head.streams ?? 1);
  const around = { ...surroundings(model, options), tokens };
  const input = block.value("x", [b, tokens, Expression.constant(model.hiddenSize)], activations);
  const { stream, width } = transformed(new ModuleBuilder(block, "transform", around, "head"), input, head, model);
  const rows = head.rows ?? model.vocabularySize;
  const shape = [b, tokens, Expression.constant(rows)];
  const logits = block.add({
    kind: "linear",
    name: "lm_head",
    part: "head",
    input: stream,
    weight: block.weight(head.tied ? "table" : "weight", [rows, width], weights, "matrix"),
    bias: head.bias ? block.weight("bias", [rows], weights, "bias") : null,
    output: block.value("logits", shape, activations),
  });
  if (head.rest !== undefined) new ModuleBuilder(block, "", around, "head").linear("rest", stream, head.rest, rows);
  const narrower = new ModuleBuilder(block, "tail", around, "head");
  for (const [index, tail] of (head.tails ?? []).entries()) {
    const from = tail.projected ? narrower.linear(`${index}.projection`, input, model.hiddenSize, tail.width) : stream;
    narrower.linear(`${index}.rows`, from, tail.width, tail.rows, { bias: true });
  }
  if (head.softcap === null) return block.build([input], logits);
  const capped = block.add({
    kind: "elementwise",
    name: "logit_softcap",
    part: "head",
    function: "softcap",
    inputs: [logits],
    parameter: head.softcap,
    output: block.value("capped", shape, activations),
  });
  return block.build([input], capped);
}

function transformed(
  module: ModuleBuilder,
  input: string,
  head: Head,
  model: ModelDescription,
): { readonly stream: string; readonly width: number } {
  if (head.transform === undefined) return { stream: input, width: head.inWidth ?? model.hiddenSize };
  const { bias, norm, activation = "gelu" } = head.transform;
  const wide = head.transform.width;
  const width = head.inWidth ?? wide;
  const projected = module.linear("projection", input, model.hiddenSize, wide, { bias });
  // Masked language models: projection, GELU, norm. A bare narrowing has neither.
  if (norm === null) return { stream: projected, width };
  const activated = module.elementwise("activated", activation, [projected]);
  return { stream: module.normalise("norm", activated, norm, wide), width };
}
