import type { Attention, DenseFfn, ExtraLinear, ExtraWeight, Layer, Norm, Stack } from "../types.js";
import { size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { shareEqual } from "./decoder.js";
import { allBias, softmax } from "./parts.js";

/** Vision towers: counted as parameters, not run for text. */

export const layerNormed: Norm = { kind: "layer", bias: true, epsilon: 1e-6, offset: false };
export const rmsNormed: Norm = { kind: "rms", bias: false, epsilon: 1e-6, offset: false };

export interface Tower {
  readonly hidden: number;
  readonly count: number;
  readonly heads: number;
  readonly width: number;
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

export const linear = (name: string, inWidth: number, outWidth: number, bias = true): ExtraLinear => ({
  name,
  inWidth,
  outWidth,
  bias,
});
export const weight = (name: string, ...shape: number[]): ExtraWeight => ({ name, shape });
export const norm2 = (name: string, width: number): ExtraWeight => weight(name, 2, width);

/** Reads `vision_config` of one family; `textHidden` is the language model's width. */
export type VisionReader = (config: ConfigReader, textHidden: number, whole: ConfigReader) => Stack;

export function patchArea(config: ConfigReader, temporal: boolean): number {
  const channels = config.derived(["in_channels", "in_chans", "num_channels"], size, "class default", () => 3);
  const patch = config.derived("patch_size", size, "class default", () => 14);
  return (
    channels * patch * patch * (temporal ? config.derived("temporal_patch_size", size, "class default", () => 2) : 1)
  );
}
