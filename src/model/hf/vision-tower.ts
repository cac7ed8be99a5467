import type { Attention, DenseFfn, ExtraLinear, ExtraWeight, Layer, Norm, Stack } from "../types.js";
import { linear } from "./beside.js";
import { size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { shareEqual } from "./decoder.js";
import { classDefaults } from "./defaults/all.js";
import type { JsonObject } from "./json.js";
import { allBias, softmax } from "./parts.js";

/** Vision towers: counted as parameters, not run for text. */

export const layerNormed: Norm = { kind: "layer", bias: true, epsilon: 1e-6, offset: false };
export const rmsNormed: Norm = { kind: "rms", bias: false, epsilon: 1e-6, offset: false };

export interface TowerSizes {
  readonly hidden: number;
  readonly count: number;
  readonly heads: number;
  readonly width: number;
}

/** What leads from a tower to the language model. */
export interface TowerBeside {
  readonly linears: readonly ExtraLinear[];
  readonly weights?: readonly ExtraWeight[];
}

export interface Tower extends TowerSizes {
  readonly norm?: Norm;
  readonly attention?: Partial<Attention>;
  readonly ffn?: Partial<DenseFfn>;
  readonly layer?: Partial<Layer>;
  readonly finalNorm?: Norm | null;
  readonly linears?: readonly ExtraLinear[];
  readonly weights?: readonly ExtraWeight[];
}

export function tower(parts: Tower): Stack {
  const { hidden, count, heads } = parts;
  const layer: Layer = {
    mixers: [
      softmax({ heads, kvHeads: heads, headDim: Math.floor(hidden / heads) }, null, {
        causal: false,
        bias: allBias,
        ...parts.attention,
      }),
    ],
    ffns: [{ kind: "dense", width: parts.width, gated: false, activation: "gelu", bias: true, ...parts.ffn }],
    norm: parts.norm ?? layerNormed,
    normPlacement: "pre",
    ...parts.layer,
  };
  return {
    kind: "vision",
    hiddenSize: hidden,
    length: { kind: "absent" },
    layers: shareEqual(Array.from({ length: count }, () => layer)),
    finalNorm: parts.finalNorm ?? null,
    extras: { linears: parts.linears ?? [], weights: parts.weights ?? [] },
  };
}

/** Reads `vision_config` of one family; `textHidden` is the language model's width. */
export type VisionReader = (config: ConfigReader, textHidden: number, whole: ConfigReader) => Stack;

export function patchArea(config: ConfigReader, temporal: boolean): number {
  const channels = config.derived(["in_channels", "in_chans", "num_channels"], size, "class default", () => 3);
  const patch = config.derived("patch_size", size, "class default", () => 14);
  return (
    channels * patch * patch * (temporal ? config.derived("temporal_patch_size", size, "class default", () => 2) : 1)
  );
}

/** Sizes as most towers' configs name them. */
export function towerSizes(config: ConfigReader, from: string, defaults: TowerSizes): TowerSizes {
  return {
    hidden: config.derived("hidden_size", size, from, () => defaults.hidden),
    count: config.derived("num_hidden_layers", size, from, () => defaults.count),
    heads: config.derived("num_attention_heads", size, from, () => defaults.heads),
    width: config.derived("intermediate_size", size, from, () => defaults.width),
  };
}

/** The same of a class that has defaults for them. */
export function sizesOf(config: ConfigReader): TowerSizes {
  return {
    hidden: config.size("hidden_size"),
    count: config.size("num_hidden_layers"),
    heads: config.size("num_attention_heads"),
    width: config.size("intermediate_size"),
  };
}

/** A tower's keys with its class's defaults, or with the wrapper's own where the whole file has no tower. */
export function ofClass(config: ConfigReader, whole: ConfigReader, type: string, alone: JsonObject = {}): ConfigReader {
  const defaults = classDefaults[type] ?? {};
  return config.defaulting(whole.has("vision_config") ? defaults : { ...defaults, ...alone });
}

/** Patches of one image. */
export function patchesOf(config: ConfigReader, image: number, patch = 14): number {
  const of = (key: string, value: number): number => config.derived(key, size, "class default", () => value);
  return Math.floor(of("image_size", image) / of("patch_size", patch)) ** 2;
}

/** A gated network, as wide as the language model, behind a tower (GLM). */
export function gatedMerger(out: number, inner: number): readonly ExtraLinear[] {
  return [
    linear("merge_project", out, out, false),
    linear("merge_gate", out, inner, false),
    linear("merge_up", out, inner, false),
    linear("merge_down", inner, out, false),
  ];
}
