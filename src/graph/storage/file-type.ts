import { tensorTypeNamed } from "../../model/gguf/tensor-types.js";
import type { FileType } from "../../model/storage.js";
import type { ModelDescription } from "../../model/types.js";
import type { BlockInstance, Weight } from "../types.js";
import type { BitsOf } from "./bits-of.js";

/** The type that most matrices of a file get. */
const mainTypes: Readonly<Record<FileType, string>> = {
  Q8_0: "Q8_0",
  Q6_K: "Q6_K",
  Q5_K_M: "Q5_K",
  Q5_K_S: "Q5_K",
  Q5_1: "Q5_1",
  Q5_0: "Q5_0",
  Q4_K_M: "Q4_K",
  Q4_K_S: "Q4_K",
  Q4_1: "Q4_1",
  Q4_0: "Q4_0",
  IQ4_NL: "IQ4_NL",
  IQ4_XS: "IQ4_XS",
  Q3_K_L: "Q3_K",
  Q3_K_M: "Q3_K",
  Q3_K_S: "Q3_K",
  Q2_K: "Q2_K",
  MXFP4: "Q8_0",
};

/** What takes the place of a type whose blocks do not fit a row. */
const smallerBlocks: Readonly<Record<string, string>> = {
  IQ4_XS: "IQ4_NL",
  Q2_K: "Q4_0",
  Q3_K: "Q4_0",
  Q4_K: "Q5_0",
  Q5_K: "Q5_1",
  Q6_K: "Q8_0",
};

/** What a recipe looks at beside the tensor itself. */
interface Facts {
  readonly layers: number;
  /** Layers with a value projection, in order. */
  readonly valueLayers: readonly number[];
  /** Queries per key. */
  readonly group: number;
  readonly experts: number;
  /** Llama with 80 layers, whose small value projections get more bits. */
  readonly seventyBillion: boolean;
  /** The table that the logits are computed with. */
  readonly head: string;
}

/**
 * Bits per weight in a file that llama.cpp's `llama-quantize` makes without an importance matrix (llama-quant.cpp at
 * 007dbbf): matrices in the recipe's types, some layers' value and down projections in a wider one, the head in Q6_K at
 * least; norms, routers, convolutions and positions in float32. Falcon's recipe of its own is left out.
 */
export function fileTypeBits(type: FileType, instances: readonly BlockInstance[], model: ModelDescription): BitsOf {
  const facts = factsOf(instances, model);
  return (scope, name, weight) => {
    const chosen = tensorTypeNamed(storedType(type, scope, name, weight, facts));
    return (8 * chosen.bytes) / chosen.block;
  };
}

const roles = [
  ["value", /^mixer\d*\.(value|query_key_value|expand)\.weight$/],
  ["key", /^mixer\d*\.key\.weight$/],
  ["output", /^mixer\d*\.output\.weight$/],
  ["down", /^ffn\d*\.(experts\.|shared\.)?down\.weight$/],
] as const;

function factsOf(instances: readonly BlockInstance[], model: ModelDescription): Facts {
  const layers = instances.flatMap(({ scope, block }) => {
    const layer = layerOf(scope);
    return layer === null ? [] : [{ layer, names: [...block.weights.keys()] }];
  });
  const softmax = model.stacks.flatMap((stack) => stack.layers.flatMap(({ mixers }) => mixers));
  const first = softmax.find((mixer) => mixer.kind === "attention");
  const ffns = model.stacks.flatMap((stack) => stack.layers.flatMap((layer) => layer.ffns));
  const moe = ffns.find((ffn) => ffn.kind === "moe");
  return {
    layers: layers.length,
    valueLayers: layers.filter(({ names }) => names.some((name) => roles[0][1].test(name))).map(({ layer }) => layer),
    group: first === undefined ? 1 : first.heads / first.kvHeads,
    experts: moe?.experts ?? 1,
    seventyBillion: model.modelType === "llama" && layers.length === 80,
    head: model.head.tied ? "embedding.table" : "head.weight",
  };
}

/** Number of the layer whose weights have this prefix; null for what is no layer. */
function layerOf(scope: string): number | null {
  const [, index] = /^(?:.*\.)?layers\.(\d+)$/.exec(scope) ?? [];
  return index === undefined ? null : Number(index);
}

function storedType(type: FileType, scope: string, name: string, { shape }: Weight, facts: Facts): string {
  const full = `${scope}.${name}`;
  const matrix = shape.filter((size) => size > 1).length >= 2;
  const last = shape.at(-1) ?? 1;
  if (!matrix || keptWide(full)) return full === "extras.extra.per_layer_projection.weight" ? "BF16" : "F32";
  const wanted = wantedType(type, full, name, layerOf(scope), shape, facts);
  if (last % tensorTypeNamed(wanted).block === 0) return wanted;
  const smaller = smallerBlocks[wanted] ?? wanted;
  return last % tensorTypeNamed(smaller).block === 0 ? smaller : "F16";
}

/** Small or delicate matrices, and what is named no weight. */
function keptWide(full: string): boolean {
  if (/^embedding\.(table|per_layer)$/.test(full)) return false;
  if (!full.endsWith(".weight")) return true;
  return /norm\.weight$|\.router\.weight$|convolution|\.conv|relative|per_layer_(gate|projection)\.weight$/.test(full);
}

function wantedType(
  type: FileType,
  full: string,
  name: string,
  layer: number | null,
  shape: readonly number[],
  facts: Facts,
): string {
  const main = mainTypes[type];
  if (full === facts.head) return headType(type, main, shape.at(-1) ?? 1);
  // The large table of per-layer inputs (Gemma 3n, Gemma 4) is not taken below Q8_0.
  if (full === "embedding.per_layer") return "Q8_0";
  if (type === "MXFP4") return shape.length > 2 ? "MXFP4" : "Q8_0";
  const [role] = roles.find(([, pattern]) => pattern.test(name)) ?? [null];
  if (role === null || layer === null) return main;
  switch (role) {
    case "value":
      return valueType(type, main, layer, facts);
    case "key":
      return facts.experts === 8 ? "Q8_0" : main;
    case "output":
      return outputType(type, main, facts);
    case "down":
      return downType(type, main, layer, facts.layers);
  }
}

function headType(type: FileType, main: string, width: number): string {
  if (type === "MXFP4" || width % tensorTypeNamed(main).block !== 0) return "Q8_0";
  return main === "Q8_0" ? main : "Q6_K";
}

/** The first and last eighth of the layers, and every third between. */
function moreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

function valueType(type: FileType, main: string, layer: number, facts: Facts): string {
  if (facts.experts === 8) return "Q8_0";
  const place = facts.valueLayers.indexOf(layer);
  const wider: Partial<Record<FileType, string>> = {
    Q2_K: facts.group >= 4 ? "Q4_K" : "Q3_K",
    Q3_K_M: place < 2 ? "Q5_K" : "Q4_K",
    Q3_K_L: "Q5_K",
    ...(facts.group >= 4 ? { IQ4_NL: "Q5_K", IQ4_XS: "Q5_K" } : {}),
    ...(moreBits(place, facts.valueLayers.length) ? { Q4_K_M: "Q6_K", Q5_K_M: "Q6_K" } : {}),
    ...(place < 4 ? { Q4_K_S: "Q5_K" } : {}),
  };
  const chosen = wider[type] ?? main;
  return facts.seventyBillion && (chosen === "Q3_K" || chosen === "Q4_K") ? "Q5_K" : chosen;
}

function outputType(type: FileType, main: string, { experts }: Facts): string {
  if (experts === 8) {
    return ["Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_NL", "IQ4_XS", "Q4_K_S", "Q4_K_M"].includes(type) ? "Q5_K" : main;
  }
  const wider: Partial<Record<FileType, string>> = { Q2_K: "Q3_K", Q3_K_M: "Q4_K", Q3_K_L: "Q5_K" };
  return wider[type] ?? main;
}

function downType(type: FileType, main: string, layer: number, layers: number): string {
  const wider: Partial<Record<FileType, string>> = {
    Q2_K: "Q3_K",
    Q3_K_M: layer < Math.floor(layers / 16) ? "Q5_K" : "Q4_K",
    Q3_K_L: "Q5_K",
    ...(moreBits(layer, layers) ? { Q4_K_M: "Q6_K", Q5_K_M: "Q6_K" } : {}),
    ...(layer < Math.floor(layers / 8) ? { IQ4_NL: "Q5_K", IQ4_XS: "Q5_K", Q4_K_S: "Q5_K" } : {}),
  };
  return wider[type] ?? main;
}
