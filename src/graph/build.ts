import { Expression, b, n } from "../math/expression.js";
import type { Layer, ModelDescription, Norm } from "../model/types.js";
import { BlockBuilder } from "./block-builder.js";
import { addAttention } from "./blocks/attention.js";
import { addDenseFfn } from "./blocks/ffn.js";
import type { Block, BlockInstance, Graph, GraphOptions } from "./types.js";

export const defaultGraphOptions: GraphOptions = { attention: "fused", head: "last" };

/** Scope of the embedding's weights; a tied head shares it. */
const embeddingScope = "embedding";

/**
 * The operator graph of a model. Equal layers share one block, so that building and pricing cost as much as the
 * number of *different* layers.
 */
export function buildGraph(model: ModelDescription, options: Partial<GraphOptions> = {}): Graph {
  const chosen = { ...defaultGraphOptions, ...options };
  const instances: BlockInstance[] = [{ block: embeddingBlock(model), scope: embeddingScope, layer: null }];
  const blocks = new Map<Layer, Block>();
  let index = 0;
  for (const stack of model.stacks) {
    for (const layer of stack.layers) {
      let block = blocks.get(layer);
      if (block === undefined) {
        block = layerBlock(layer, model, chosen);
        blocks.set(layer, block);
      }
      instances.push({ block, scope: `layers.${index}`, layer: index });
      index += 1;
    }
    if (stack.finalNorm !== null) {
      instances.push({ block: finalNormBlock(stack.finalNorm, model, chosen), scope: "final_norm", layer: null });
    }
  }
  if (model.head.kind === "lm") {
    instances.push({
      block: headBlock(model, chosen),
      scope: model.head.tied ? embeddingScope : "head",
      layer: null,
    });
  }
  return { model: model.name, options: chosen, vocabularySize: model.vocabularySize, instances };
}

function embeddingBlock(model: ModelDescription): Block {
  const { rows, width, scale } = model.embedding;
  const block = new BlockBuilder("embedding");
  const shape = [b, n, Expression.constant(width)];
  block.value("ids", [b, n], "int8");
  const embedded = block.add({
    kind: "embed",
    name: "embed",
    part: "embedding",
    ids: "ids",
    table: block.weight("table", [rows, width], model.dtypes.weights, "matrix"),
    output: block.value("embedded", shape, model.dtypes.activations),
  });
  if (scale === null) return block.build(["ids"], embedded);
  const scaled = block.add({
    kind: "elementwise",
    name: "embedding_scale",
    part: "embedding",
    function: "scale",
    inputs: [embedded],
    parameter: scale,
    output: block.value("scaled", shape, model.dtypes.activations),
  });
  return block.build(["ids"], scaled);
}

function layerBlock(layer: Layer, model: ModelDescription, options: GraphOptions): Block {
  const hidden = model.hiddenSize;
  const block = new BlockBuilder("layer");
  const input = block.value("x", [b, n, Expression.constant(hidden)], model.dtypes.activations);
  const branches = [
    ...layer.mixers.map((mixer, index) => ({
      name: layer.mixers.length === 1 ? "mixer" : `mixer${index}`,
      add: (prefix: string, from: string) =>
        addAttention(block, prefix, from, mixer, hidden, model.dtypes, {
          implementation: options.attention,
          epsilon: layer.norm.epsilon,
        }),
    })),
    ...layer.ffns.map((ffn, index) => ({
      name: layer.ffns.length === 1 ? "ffn" : `ffn${index}`,
      add: (prefix: string, from: string) => addDenseFfn(block, prefix, from, ffn, hidden, model.dtypes),
    })),
  ];
  let stream = input;
  for (const branch of branches) {
    const norm = (side: "pre" | "post", from: string): string =>
      addNorm(block, `${branch.name}.${side}_norm`, from, layer.norm, model);
    const before = layer.normPlacement === "pre" || layer.normPlacement === "sandwich";
    const after = layer.normPlacement === "post-branch" || layer.normPlacement === "sandwich";
    const entered = before ? norm("pre", stream) : stream;
    const computed = branch.add(branch.name, entered);
    const leaving = after ? norm("post", computed) : computed;
    const sum = block.add({
      kind: "elementwise",
      name: `${branch.name}.residual`,
      part: "residual",
      function: "add",
      inputs: [stream, leaving],
      parameter: null,
      output: block.value(`${branch.name}.sum`, block.shapeOf(stream), model.dtypes.activations),
    });
    stream = layer.normPlacement === "post-residual" ? norm("post", sum) : sum;
  }
  return block.build([input], stream);
}

function addNorm(block: BlockBuilder, name: string, input: string, norm: Norm, model: ModelDescription): string {
  const hidden = model.hiddenSize;
  return block.add({
    kind: "norm",
    name,
    part: "norm",
    norm: norm.kind,
    input,
    weight: block.weight(`${name}.weight`, [hidden], model.dtypes.weights, "one"),
    bias: norm.bias ? block.weight(`${name}.bias`, [hidden], model.dtypes.weights, "bias") : null,
    epsilon: norm.epsilon,
    width: hidden,
    output: block.value(`${name}.out`, block.shapeOf(input), model.dtypes.activations),
  });
}

function positions(options: GraphOptions): Expression {
  return options.head === "last" ? Expression.one : n;
}

/** Norms one position each, so the last position may be picked before the norm. */
function finalNormBlock(norm: Norm, model: ModelDescription, options: GraphOptions): Block {
  const block = new BlockBuilder("final_norm");
  const input = block.value("x", [b, n, Expression.constant(model.hiddenSize)], model.dtypes.activations);
  const kept =
    options.head === "all" || model.head.kind === "none"
      ? input
      : block.add({
          kind: "last",
          name: "last_position",
          part: "head",
          input,
          output: block.value("last", [b, Expression.one, Expression.constant(model.hiddenSize)], model.dtypes.activations),
        });
  return block.build([input], addNorm(block, "norm", kept, norm, model));
}

function headBlock(model: ModelDescription, options: GraphOptions): Block {
  const block = new BlockBuilder("head");
  const { activations, weights } = model.dtypes;
  const input = block.value("x", [b, positions(options), Expression.constant(model.hiddenSize)], activations);
  const shape = [b, positions(options), Expression.constant(model.vocabularySize)];
  const logits = block.add({
    kind: "linear",
    name: "lm_head",
    part: "head",
    input,
    weight: block.weight(
      model.head.tied ? "table" : "weight",
      [model.vocabularySize, model.hiddenSize],
      weights,
      "matrix",
    ),
    bias: model.head.bias ? block.weight("bias", [model.vocabularySize], weights, "bias") : null,
    output: block.value("logits", shape, activations),
  });
  if (model.head.softcap === null) return block.build([input], logits);
  const capped = block.add({
    kind: "elementwise",
    name: "logit_softcap",
    part: "head",
    function: "softcap",
    inputs: [logits],
    parameter: model.head.softcap,
    output: block.value("capped", shape, activations),
  });
  return block.build([input], capped);
}
