import type { Attention, Ffn, Layer, LinearAttention, Mixer, Span } from "./types.js";

/** A layer in one line for people: `GQA 32 heads, 8 KV × 128, window 4096; gated FFN 14336`. */
export function describeLayer(layer: Layer): string {
  return [...layer.mixers.map(describeMixer), ...layer.ffns.map(describeFfn)].join("; ");
}

function describeMixer(mixer: Mixer): string {
  switch (mixer.kind) {
    case "attention":
      return describeAttention(mixer);
    case "latent": {
      const sparse = mixer.indexer ?? mixer.sharedIndexer;
      const latent = `MLA ${mixer.heads} heads, latent ${mixer.kvRank} + ${mixer.ropeDim}`;
      return sparse === undefined ? latent : `${latent}, best ${sparse.chosen} tokens`;
    }
    case "compressed": {
      const kept = mixer.ratio === 0 ? "" : `, one key per ${mixer.ratio} tokens before`;
      return `MQA ${mixer.heads} heads × ${mixer.dim}, window ${mixer.window}${kept}`;
    }
    case "mamba1":
      return `Mamba ${mixer.width} × ${mixer.stateDim}`;
    case "mamba2":
      return `Mamba-2 ${mixer.heads} heads × ${mixer.headDim} × ${mixer.stateDim}`;
    case "delta": {
      const name = { none: "DeltaNet", "per-head": "Gated DeltaNet", "per-channel": "KDA" }[mixer.decay];
      return `${name} ${mixer.valueHeads} heads × ${mixer.keyDim} × ${mixer.valueDim}`;
    }
    case "lightning":
      return `Lightning attention ${mixer.heads} heads × ${mixer.headDim}`;
    case "mlstm":
      return `mLSTM ${mixer.heads} heads × ${mixer.keyDim} × ${mixer.valueDim}`;
    case "rg-lru":
      return `RG-LRU ${mixer.width}`;
    case "short-convolution":
      return `short convolution ${mixer.width}, ${mixer.convolution} wide`;
    case "gated-memory":
      return `gated memory ${mixer.width}`;
    case "rwkv4":
      return `RWKV-4 ${mixer.width}`;
    case "rwkv":
      return `RWKV-${mixer.version} ${mixer.width / mixer.headDim} heads × ${mixer.headDim} × ${mixer.headDim}`;
    case "linear":
      return `${linearName(mixer)} ${mixer.heads} heads × ${mixer.keyDim} × ${mixer.valueDim}`;
    case "cell":
      return `${mixer.cell.toUpperCase()} ${mixer.width}`;
    case "linformer":
      return `Linformer ${mixer.heads} heads × ${mixer.headDim}, ${mixer.length} rows`;
    case "nystrom":
      return `Nyström attention ${mixer.heads} heads × ${mixer.headDim}, ${mixer.landmarks} landmarks`;
    case "relative":
      return `MHA ${mixer.heads} heads × ${mixer.headDim}, relative positions`;
    case "segment":
      return `MHA ${mixer.heads} heads × ${mixer.headDim}, ${mixer.memory} tokens of memory`;
    case "fourier":
      return "Fourier transform";
  }
}

function describeAttention(mixer: Attention): string {
  const { heads, kvHeads, keyDim } = mixer;
  const sharing = kvHeads === heads ? "MHA" : kvHeads === 1 ? "MQA" : "GQA";
  const parts = [`${sharing} ${heads} heads, ${kvHeads} KV × ${keyDim}${describeSpan(mixer.span)}`];
  if (mixer.source === "encoder") parts.push("across to the encoder");
  if (mixer.joinsEncoder === true) parts.push("in one softmax with the encoder's output");
  if (mixer.keyValue === "shared") parts.push("cache of another layer");
  if (mixer.indexer !== undefined) parts.push(`best ${mixer.indexer.chosen} tokens`);
  return parts.join(", ");
}

function linearName({ feature, decay }: LinearAttention): string {
  if (typeof feature === "object") return `Performer with ${feature.random} features,`;
  if (decay === "none") return "linear attention";
  return decay === "fixed" ? "RetNet" : "GLA";
}

function describeSpan(span: Span): string {
  if (span.kind === "full") return "";
  if (span.kind === "strided") {
    return `, ${span.local} blocks of ${span.size} and one in ${span.stride} of those before`;
  }
  if (span.kind === "ranked") return `, best ${span.count} pairs of blocks of ${span.size}`;
  const first = span.kind === "window" && span.first !== undefined ? ` and the first ${span.first}` : "";
  return `, ${span.kind} ${span.size}${first}`;
}

function describeFfn(ffn: Ffn): string {
  switch (ffn.kind) {
    case "dense":
      return `${ffn.gated ? "gated " : ""}FFN ${ffn.width}`;
    case "moe": {
      const shared = ffn.shared === undefined ? "" : ` + shared ${ffn.shared.width}`;
      return `MoE ${ffn.chosen} of ${ffn.experts} × ${ffn.width}${shared}`;
    }
    case "rwkv4-ffn":
      return `RWKV FFN ${ffn.width}`;
  }
}
