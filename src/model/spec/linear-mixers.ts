import { gatedKind, normalisedKind, retentionKind } from "../linear-kinds.js";
import type { LinearAttention, Mixer, Rwkv } from "../types.js";
import type { MixerSpec } from "./mixer-schema.js";
import { SpecProblem, divisor, share } from "./problem.js";

type Of<Kind extends MixerSpec["kind"]> = Extract<MixerSpec, { kind: Kind }>;

/** Linear attention in its four forms; what is left out as in the papers that `LinearAttention` names. */
export function linearOf(
  spec: Of<"linear"> | Of<"retnet"> | Of<"gla"> | Of<"performer">,
  hiddenSize: number,
  causal: boolean,
): LinearAttention {
  const { heads, chunk = 64 } = spec;
  const headDim = (instead: string): number => share("heads", heads, hiddenSize, instead);
  const common = { kind: "linear", heads, chunk } as const;
  switch (spec.kind) {
    case "linear": {
      const keyDim = spec.key_dim ?? headDim("key_dim");
      return {
        ...common,
        keyDim,
        valueDim: spec.value_dim ?? spec.key_dim ?? keyDim,
        causal: spec.causal ?? causal,
        ...normalisedKind(spec.feature ?? "elu"),
        normalised: spec.normalised ?? true,
      };
    }
    case "performer": {
      const keyDim = spec.head_dim ?? headDim("head_dim");
      return {
        ...common,
        keyDim,
        valueDim: keyDim,
        causal: spec.causal ?? causal,
        ...normalisedKind({ random: spec.features ?? Math.ceil(keyDim * Math.log(keyDim)) }),
      };
    }
    case "retnet": {
      const keyDim = spec.key_dim ?? headDim("key_dim");
      return {
        ...common,
        keyDim,
        valueDim: spec.value_dim ?? 2 * keyDim,
        causal: true,
        ...retentionKind(keyDim),
      };
    }
    case "gla": {
      const keyDim = spec.key_dim ?? divisorOfHalf(heads, hiddenSize);
      return {
        ...common,
        keyDim,
        valueDim: spec.value_dim ?? headDim("value_dim"),
        causal: true,
        ...gatedKind(keyDim, spec.decay_rank),
      };
    }
  }
}

/** Keys of GLA are half as wide as hidden_size. */
function divisorOfHalf(heads: number, hiddenSize: number): number {
  if (hiddenSize % (2 * heads) === 0) return hiddenSize / (2 * heads);
  throw new SpecProblem("heads", heads, `expected a divisor of hidden_size / 2 (${hiddenSize / 2}), or a key_dim`);
}

export function recurrentOf(spec: Of<"rwkv"> | Of<"lstm"> | Of<"gru"> | Of<"mlstm">, hiddenSize: number): Mixer {
  switch (spec.kind) {
    case "lstm":
    case "gru":
      return { kind: "cell", cell: spec.kind, width: spec.width ?? hiddenSize, bias: spec.bias ?? true };
    case "mlstm": {
      const valueDim = spec.value_dim ?? share("heads", spec.heads, hiddenSize, "value_dim");
      const keyDim = spec.key_dim ?? Math.ceil(valueDim / 2);
      return { kind: "mlstm", heads: spec.heads, keyDim, valueDim, chunk: spec.chunk ?? 64 };
    }
    case "rwkv":
      return rwkvOf(spec, hiddenSize);
  }
}

function rwkvOf(spec: Of<"rwkv">, hiddenSize: number): Mixer {
  const width = spec.width ?? hiddenSize;
  if (spec.version === 4) {
    const other = (["head_dim", "chunk", "mix_rank", "decay_rank"] as const).find((key) => spec[key] !== undefined);
    if (other !== undefined) throw new SpecProblem(other, spec[other], "expected a version of 5 to 7: 4 has no heads");
    return { kind: "rwkv4", width };
  }
  const headDim = divisor("head_dim", spec.head_dim ?? 64, "width", width);
  return {
    kind: "rwkv",
    version: spec.version,
    width,
    headDim,
    chunk: spec.chunk ?? 64,
    ranks: ranksOf(spec, spec.version, hiddenSize),
  };
}

/** Ranks of the published models: fixed steps in version 6, powers of hidden_size in whole 32s in version 7. */
function ranksOf(spec: Of<"rwkv">, version: 5 | 6 | 7, hiddenSize: number): Rwkv["ranks"] {
  const whole = (rank: number): number => Math.max(32, Math.round(rank / 32) * 32);
  const large = hiddenSize >= 4096;
  const usual = {
    5: { mix: 0, decay: 0, rate: 0, value: 0, gate: 0 },
    6: { mix: large ? 64 : 32, decay: large ? 128 : 64, rate: 0, value: 0, gate: 0 },
    7: {
      mix: 0,
      decay: whole(1.8 * hiddenSize ** 0.5),
      rate: whole(1.8 * hiddenSize ** 0.5),
      value: whole(1.3 * hiddenSize ** 0.5),
      gate: whole(0.6 * hiddenSize ** 0.8),
    },
  }[version];
  const ranks = { ...usual };
  for (const name of ["mix", "decay", "rate", "value", "gate"] as const) {
    const given = spec[`${name}_rank`];
    if (given === undefined) continue;
    if (usual[name] === 0) throw new SpecProblem(`${name}_rank`, given, `version ${version} has no such projection`);
    ranks[name] = given;
  }
  return ranks;
}

/** Mixers that look both ways: of an encoder only. */
export function approximateOf(
  spec: Of<"linformer"> | Of<"nystrom"> | Of<"relative">,
  hiddenSize: number,
  causal: boolean,
): Mixer {
  if (causal) throw new SpecProblem("kind", spec.kind, "it looks both ways: expected it in encoder, not in layers");
  const { heads } = spec;
  const headDim = spec.head_dim ?? share("heads", heads, hiddenSize, "head_dim");
  switch (spec.kind) {
    case "linformer": {
      const { length, positions } = spec;
      if (length > positions) throw new SpecProblem("length", length, `expected at most positions (${positions})`);
      const { shared = false, bias = false } = spec;
      return { kind: "linformer", heads, headDim, length, positions, shared, bias };
    }
    case "nystrom":
      return { kind: "nystrom", heads, headDim, landmarks: spec.landmarks, convolution: spec.convolution ?? null };
    case "relative":
      return { kind: "relative", heads, headDim, bias: spec.bias ?? false, pooling: 1 };
  }
}
