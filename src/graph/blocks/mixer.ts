import type { Mixer } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";
import { addAttention } from "./attention.js";
import { addCompressedAttention } from "./compressed.js";
import { addFourier, addLinformer, addNystrom, addRelative } from "./approximate.js";
import { addSegment } from "./segment.js";
import { addCell } from "./cell.js";
import { addLatentAttention } from "./latent.js";
import { addLinearAttention, addRwkv } from "./linear.js";
import {
  addDeltaRule,
  addGatedMemory,
  addLightning,
  addMamba1,
  addMamba2,
  addMatrixLstm,
  addRgLru,
  addRwkv4,
  addShortConvolution,
} from "./recurrent.js";

/** Any token mixer with its projections: [b, n, hidden] → the same. @returns name of the output value */
export function addMixer(module: ModuleBuilder, input: string, mixer: Mixer): string {
  switch (mixer.kind) {
    case "attention":
      return addAttention(module, input, mixer);
    case "latent":
      return addLatentAttention(module, input, mixer);
    case "compressed":
      return addCompressedAttention(module, input, mixer);
    case "mamba1":
      return addMamba1(module, input, mixer);
    case "mamba2":
      return addMamba2(module, input, mixer);
    case "delta":
      return addDeltaRule(module, input, mixer);
    case "lightning":
      return addLightning(module, input, mixer);
    case "mlstm":
      return addMatrixLstm(module, input, mixer);
    case "rg-lru":
      return addRgLru(module, input, mixer);
    case "short-convolution":
      return addShortConvolution(module, input, mixer);
    case "gated-memory":
      return addGatedMemory(module, input, mixer);
    case "rwkv4":
      return addRwkv4(module, input, mixer);
    case "rwkv":
      return addRwkv(module, input, mixer);
    case "linear":
      return addLinearAttention(module, input, mixer);
    case "cell":
      return addCell(module, input, mixer);
    case "linformer":
      return addLinformer(module, input, mixer);
    case "nystrom":
      return addNystrom(module, input, mixer);
    case "relative":
      return addRelative(module, input, mixer);
    case "segment":
      return addSegment(module, input, mixer);
    case "fourier":
      return addFourier(module, input);
  }
}
