import type { GraphModule, GraphOptions } from "../../graph/types.js";
import type { Ffn, Mixer } from "../../model/types.js";
import { Emitter } from "../emitter.js";
import type { Provider } from "../provider.js";
import type { Scope } from "../scope.js";
import type { Around } from "./around.js";
import { addWholeAttention, isPlainAttention, knowsSoftcap } from "./attention.js";
import { addLinformer, addNystrom } from "./approximate.js";
import { addCell } from "./cell.js";
import { addCompressedAttention } from "./compressed.js";
import { addFourierMixing } from "./fourier.js";
import { addDeltaRule } from "./delta.js";
import { addLightning, addMatrixLstm, addRgLru, addShortConvolution } from "./gated-linear.js";
import { addLatentAttention } from "./latent.js";
import { addLinearAttention } from "./linear-attention.js";
import { addMamba1, addMamba2 } from "./mamba.js";
import { addBentDense } from "./gated.js";
import { addMoe } from "./moe.js";
import { addRelativeAttention } from "./relative.js";
import { addRwkv, addRwkv4, addRwkvFfn } from "./rwkv.js";
import { addRwkv7 } from "./rwkv7.js";

type Description = Mixer | Ffn;
type Kind = Description["kind"];

type Lower<K extends Kind> = (
  e: Emitter,
  input: string,
  description: Extract<Description, { kind: K }>,
  around: Around,
) => string;

interface Whole<K extends Kind> {
  /** From the input of a module, by its name in the model, to its output: [b, n, hidden] both. */
  readonly lower: Lower<K>;
  /** What of the description it computes; a module that says more is refused. */
  readonly known: readonly (keyof Extract<Description, { kind: K }>)[];
}

const lowerings: { readonly [K in Kind]?: Whole<K> } = {
  attention: {
    lower: addWholeAttention,
    known: [
      "kind",
      "heads",
      "kvHeads",
      "keyDim",
      "valueDim",
      "bias",
      "scale",
      "softcap",
      "rotary",
      "queryKeyNorm",
      "queryKeyLayerNorm",
      "span",
      "causal",
      "maskedWindow",
      "sinks",
      "gate",
      "keyValue",
      "indexer",
      "source",
      "sourceWidth",
      "relativePositions",
      "disentangled",
      "referenceBlocks",
      "groups",
      "sharedQueryKey",
      "inputWidth",
      "valueNorm",
      "filter",
      "streams",
      "projectedPositions",
      "globals",
      "staggered",
    ],
  },
  compressed: {
    lower: addCompressedAttention,
    known: ["kind", "heads", "dim", "queryRank", "window", "outputGroups", "outputRank", "ratio", "indexer", "rotary"],
  },
  dense: { lower: addBentDense, known: ["kind", "width", "gated", "activation", "bias", "clamp", "sparsity"] },
  delta: {
    lower: addDeltaRule,
    known: [
      "kind",
      "keyHeads",
      "valueHeads",
      "keyDim",
      "valueDim",
      "convolution",
      "chunk",
      "decay",
      "decayRank",
      "ungated",
      "gateRank",
      "dynamicConvolution",
    ],
  },
  cell: { lower: addCell, known: ["kind", "cell", "width", "bias"] },
  latent: {
    lower: addLatentAttention,
    known: [
      "kind",
      "heads",
      "queryRank",
      "kvRank",
      "nopeDim",
      "ropeDim",
      "valueDim",
      "bias",
      "scale",
      "rotary",
      "gate",
      "queryWidth",
      "gateFromQuery",
      "sinks",
      "indexer",
      "sharedIndexer",
    ],
  },
  linear: {
    lower: addLinearAttention,
    known: [
      "kind",
      "heads",
      "keyDim",
      "valueDim",
      "chunk",
      "causal",
      "feature",
      "scale",
      "normalised",
      "decay",
      "rotary",
      "gated",
    ],
  },
  linformer: { lower: addLinformer, known: ["kind", "heads", "headDim", "length", "positions", "shared", "bias"] },
  nystrom: { lower: addNystrom, known: ["kind", "heads", "headDim", "landmarks", "convolution"] },
  fourier: { lower: (e, input, _fourier, { hidden }) => addFourierMixing(e, input, hidden), known: ["kind"] },
  relative: { lower: addRelativeAttention, known: ["kind", "heads", "headDim", "bias", "pooling"] },
  rwkv: {
    lower: (e, input, mixer, around) =>
      mixer.version === 7 ? addRwkv7(e, input, mixer, around.norm, around.hidden) : addRwkv(e, input, mixer, around),
    known: ["kind", "version", "width", "headDim", "chunk", "ranks", "first"],
  },
  rwkv4: { lower: addRwkv4, known: ["kind", "width"] },
  "rwkv4-ffn": { lower: addRwkvFfn, known: ["kind", "width", "ungated"] },
  lightning: { lower: addLightning, known: ["kind", "heads", "headDim", "block"] },
  mamba1: {
    lower: addMamba1,
    known: ["kind", "width", "stateDim", "convolution", "timeRank", "convolutionBias", "bias", "innerNorms", "heads"],
  },
  mamba2: {
    lower: addMamba2,
    known: [
      "kind",
      "heads",
      "headDim",
      "stateDim",
      "groups",
      "convolution",
      "chunk",
      "convolutionBias",
      "bias",
      "gatedNorm",
    ],
  },
  mlstm: { lower: addMatrixLstm, known: ["kind", "heads", "keyDim", "valueDim", "chunk"] },
  moe: {
    lower: addMoe,
    known: [
      "kind",
      "experts",
      "chosen",
      "referenceRunsAll",
      "width",
      "gated",
      "activation",
      "bias",
      "routerBias",
      "router",
      "latentWidth",
      "latentNorm",
      "idle",
      "clamp",
      "shared",
    ],
  },
  "rg-lru": { lower: addRgLru, known: ["kind", "width", "heads", "convolution"] },
  "short-convolution": { lower: addShortConvolution, known: ["kind", "width", "convolution", "bias"] },
};

/** What of a description no lowering computes, in words: nothing where all of it runs. */
export function missingInModule(description: Description): string[] {
  const whole = lowerings[description.kind];
  if (whole === undefined) return [description.kind];
  const known: readonly string[] = whole.known;
  return Object.entries(description).flatMap(([name, value]) =>
    known.includes(name) || value === undefined || value === false ? [] : [`${description.kind}.${name}`],
  );
}

/** How a module is executed as a whole: from its input to its output, both by their names in the model. */
export type WholeLowering = (input: string, scope: Scope) => string;

/** The lowering of a module as a whole, or null where its operators are lowered one by one. */
export function wholeLowering(module: GraphModule, options: GraphOptions, provider: Provider): WholeLowering | null {
  const { description, name, norm } = module;
  if (description.kind === "attention" && isPlainAttention(description)) {
    if (options.attention === "naive" || knowsSoftcap(description, provider)) return null;
  }
  // Plain networks run as their operators, with what extras do to them.
  if (description.kind === "dense" && description.clamp === undefined && description.sparsity === undefined)
    return null;
  const whole = lowerings[description.kind];
  if (whole === undefined) return null;
  const part = module.operators.some((operator) => operator.part === "attention") ? "attention" : "ffn";
  return (input, scope) => {
    // The table pairs each kind with its own lowering.
    const run = whole.lower as Lower<Kind>;
    const around = { norm, hidden: scope.width(module.input), naive: options.attention === "naive" };
    return run(new Emitter(scope, name, part), input, description, around);
  };
}
