import type { Weight } from "../graph/types.js";
import { buildGraph } from "../graph/build.js";
import { tensorTypeNamed } from "../model/gguf/tensor-types.js";
import type { ModelDescription } from "../model/types.js";
import { distinctWeights, elementCount, predictionWeights } from "./parameters.js";

/** File types of llama.cpp whose tensors nearly all have one type. */
export const fileTypes = ["Q8_0", "Q6_K", "Q4_0"] as const;
export type FileType = (typeof fileTypes)[number];

const blocks = {
  F32: tensorTypeNamed("F32"),
  BF16: tensorTypeNamed("BF16"),
  Q8_0: tensorTypeNamed("Q8_0"),
  Q6_K: tensorTypeNamed("Q6_K"),
  Q4_0: tensorTypeNamed("Q4_0"),
} as const;
type StoredAs = keyof typeof blocks;

export interface QuantisedWeights {
  readonly parameters: number;
  readonly bytes: number;
}

/**
 * What the language model's tensors take in a GGUF file of this type, layers for prediction and unused projections
 * included: matrices in the type's blocks, vectors, routers, convolutions and states in float32, the head of a Q4_0
 * file in Q6_K, and Q8_0 where a row is no whole number of blocks (llama.cpp, llama-quant.cpp).
 */
export function quantisedWeights(model: ModelDescription, fileType: FileType): QuantisedWeights {
  const stacks = model.stacks.filter(({ kind }) => kind !== "vision" && kind !== "audio");
  const graph = buildGraph({ ...model, stacks });
  const head = model.head.kind !== "lm" ? null : model.head.tied ? "embedding.table" : "head.weight";
  const weights: [string, Pick<Weight, "shape">][] = [
    ...distinctWeights(graph),
    ...predictionWeights(model),
    ...(model.unrun?.weights ?? []).map(({ name, shape }): [string, Pick<Weight, "shape">] => [name, { shape }]),
  ];
  let parameters = 0;
  let bytes = 0;
  for (const [name, weight] of weights) {
    const elements = elementCount(weight);
    const block = blocks[storedAs(name, weight.shape, fileType, name === head)];
    parameters += elements;
    bytes += (elements / block.block) * block.bytes;
  }
  return { parameters, bytes };
}

function storedAs(name: string, shape: readonly number[], fileType: FileType, head: boolean): StoredAs {
  const width = shape.at(-1) ?? 1;
  const matrix = shape.filter((size) => size > 1).length >= 2 && width >= blocks.Q8_0.block;
  if (!matrix || /\.router\.weight$|convolution|\.conv|per_layer_gate\.weight$/.test(name)) return "F32";
  if (/layers\.\d+\.extra\.per_layer_projection\.weight$/.test(name)) return "F32";
  if (name.endsWith("per_layer_projection.weight")) return "BF16";
  // The large table of per-layer inputs (Gemma 3n, Gemma 4) is not taken below Q8_0.
  if (name === "embedding.per_layer") return "Q8_0";
  const wanted = head && fileType === "Q4_0" ? "Q6_K" : fileType;
  return width % blocks[wanted].block === 0 ? wanted : width % blocks.Q8_0.block === 0 ? "Q8_0" : "F32";
}
