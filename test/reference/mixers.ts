import type { Mixer, Norm } from "../../src/model/types.js";
import { runAttention } from "./attention.js";
import { runBucketed } from "./bucketed.js";
import { runCompressed } from "./compressed.js";
import { runLatentAttention } from "./latent.js";
import { runCell, runLinearAttention, runLinformer, runNystrom } from "./linear.js";
import { runRelative } from "./relative.js";
import { runFourier } from "./fourier.js";
import type { Parameters } from "./parameters.js";
import {
  runDelta,
  runLightning,
  runMamba1,
  runMamba2,
  runMatrixLstm,
  runRgLru,
  runShortConvolution,
} from "./recurrent.js";
import { runRwkv, runRwkv4 } from "./rwkv.js";
import { runRwkv7 } from "./rwkv7.js";
import type { Sequence } from "./vectors.js";

/** Any token mixer over one whole sequence. */
export function runMixer(
  inputs: Sequence,
  mixer: Mixer,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  switch (mixer.kind) {
    case "relative":
      return runRelative(inputs, mixer, hidden, parameters);
    case "fourier":
      return Promise.resolve(runFourier(inputs, hidden));
    case "attention":
      if (mixer.span.kind === "buckets") return runBucketed(inputs, mixer, hidden, parameters);
      return runAttention(inputs, mixer, norm, hidden, parameters);
    case "delta":
      return runDelta(inputs, mixer, norm, hidden, parameters);
    case "mamba1":
      return runMamba1(inputs, mixer, norm, hidden, parameters);
    case "mamba2":
      return runMamba2(inputs, mixer, norm, hidden, parameters);
    case "lightning":
      return runLightning(inputs, mixer, norm, hidden, parameters);
    case "mlstm":
      return runMatrixLstm(inputs, mixer, norm, hidden, parameters);
    case "rg-lru":
      return runRgLru(inputs, mixer, hidden, parameters);
    case "short-convolution":
      return runShortConvolution(inputs, mixer, hidden, parameters);
    case "cell":
      return runCell(inputs, mixer, hidden, parameters);
    case "linear":
      return runLinearAttention(inputs, mixer, norm, hidden, parameters);
    case "latent":
      return runLatentAttention(inputs, mixer, norm, hidden, parameters);
    case "linformer":
      return runLinformer(inputs, mixer, hidden, parameters);
    case "nystrom":
      return runNystrom(inputs, mixer, hidden, parameters);
    case "rwkv":
      return (mixer.version === 7 ? runRwkv7 : runRwkv)(inputs, mixer, norm, hidden, parameters);
    case "rwkv4":
      return runRwkv4(inputs, mixer, hidden, parameters);
    case "compressed":
      return runCompressed(inputs, mixer, norm, hidden, parameters);
    case "gated-memory":
    case "segment":
      throw new Error(`no reference for ${mixer.kind}`);
  }
}
