import type { Attention, Indexer, LatentAttention, Mixer, Span } from "../model/types.js";
import {
  type LayerChange,
  type Place,
  type SelfAttention,
  changeSelfAttention,
  inapplicable,
  oneWay,
} from "./layers.js";

/** Variants that stay softmax attention: how many heads share keys, which keys a query sees, what is kept of them. */

/** Softmax attention only; latent attention becomes what it is once it is expanded: MHA of the same heads. */
function plain(mixer: SelfAttention): Attention {
  if (mixer.kind === "attention") return mixer;
  const { heads, nopeDim, ropeDim, valueDim, bias, scale, rotary } = mixer;
  return {
    kind: "attention",
    heads,
    kvHeads: heads,
    keyDim: nopeDim + ropeDim,
    valueDim,
    bias: { query: false, key: bias, value: bias, output: bias },
    queryKeyNorm: "none",
    rotary,
    span: { kind: "full" },
    causal: true,
    scale,
    softcap: null,
  };
}

const onAttention =
  (change: (mixer: Attention, place: Place) => Mixer): LayerChange =>
  (layer, place) =>
    changeSelfAttention(layer, place, (mixer, where) => change(plain(mixer), where));

function withSpan(mixer: Attention, seen: Span): Attention {
  const { indexer: _indexer, maskedWindow: _masked, ...rest } = mixer;
  return { ...rest, span: seen };
}

/** Every query sees all tokens before it (or all tokens, in an encoder). Latent attention without an indexer is that. */
export const full: LayerChange = (layer, place) =>
  changeSelfAttention(layer, place, (mixer) => {
    if (mixer.kind === "attention") return withSpan(mixer, { kind: "full" });
    const { indexer: _indexer, sharedIndexer: _shared, ...rest } = mixer;
    return rest;
  });

/** As many KV heads as asked for; null for one per head. */
export function kvHeads(wanted: number | null, variant: string): LayerChange {
  return onAttention((mixer, { model }) => {
    const count = wanted ?? mixer.heads;
    if (mixer.heads % count !== 0) {
      throw inapplicable(model, variant, `${mixer.heads} heads`, `expected ${divisors(mixer.heads)}`);
    }
    return { ...mixer, kvHeads: count };
  });
}

function divisors(value: number): string {
  const all = Array.from({ length: value }, (_, index) => index + 1).filter((divisor) => value % divisor === 0);
  return `a divisor of ${value}: ${all.join(", ")}`;
}

export function span(wanted: Span): LayerChange {
  return onAttention((mixer) => withSpan(mixer, wanted));
}

/** `locals` layers with a window, then one that sees everything, and so on (Gemma 3: five to one). */
export function localGlobal(size: number, locals: number): LayerChange {
  return onAttention((mixer, { index }) =>
    withSpan(mixer, index % (locals + 1) < locals ? { kind: "window", size } : { kind: "full" }),
  );
}

/** Behind a window: the first tokens of the sequence stay visible beside it (StreamingLLM, arXiv:2309.17453). */
export function sinks(first: number, variant: string): LayerChange {
  return onAttention((mixer, { model }) => {
    const { span: seen } = mixer;
    if (seen.kind !== "window")
      throw inapplicable(model, variant, `a ${seen.kind} span`, "expected a window, as window:1024+sinks");
    return { ...mixer, span: { ...seen, first } };
  });
}

/**
 * The best tokens of all earlier ones, as an indexer of half the heads scores them (DeepSeek-V3.2, whose 128 heads
 * have an indexer of 64). Latent attention stays latent.
 */
export function topK(chosen: number, variant: string): LayerChange {
  const change: LayerChange = (layer, place) =>
    changeSelfAttention(layer, place, (mixer) => {
      const indexer = (dim: number, queryWidth: number): Indexer => ({
        heads: Math.ceil(mixer.heads / 2),
        dim,
        queryWidth,
        chosen,
        norm: "layer",
        weighted: true,
      });
      if (mixer.kind === "latent") {
        const { sharedIndexer: _shared, ...rest } = mixer;
        return { ...rest, indexer: indexer(mixer.nopeDim + mixer.ropeDim, mixer.queryRank ?? place.hidden) };
      }
      return {
        ...withSpan(mixer, { kind: "chosen", size: chosen }),
        indexer: indexer(mixer.keyDim, place.hidden),
      };
    });
  return oneWay("causal", variant, "expected causal attention", change);
}

/** BigBird's blocks (arXiv:2007.14062): three around, two global, three random. They look both ways. */
export function blocks(size: number, variant: string): LayerChange {
  const change = onAttention((mixer) => withSpan(mixer, { kind: "blocks", size, random: 3 }));
  return oneWay("both-ways", variant, "expected an encoder: its blocks look both ways", change);
}

/**
 * Longformer's window (arXiv:2004.05150), half of it to either side, and the first tokens, which see everything and are
 * seen by everything. They have no projections of their own.
 */
export function globalWindow(width: number, first: number, variant: string): LayerChange {
  const change = onAttention((mixer) => withSpan(mixer, { kind: "window", size: Math.floor(width / 2) + 1, first }));
  return oneWay("both-ways", variant, "expected an encoder; a decoder takes window:W+sinks", change);
}

/**
 * Multi-head latent attention of the same heads, in DeepSeek-V2's proportions (arXiv:2405.04434): a latent of four
 * heads' width, a rotated part of half a head beside it.
 */
export function latent(rank: number | null, variant: string): LayerChange {
  const change: LayerChange = (layer, place) =>
    changeSelfAttention(layer, place, (mixer): LatentAttention => {
      if (mixer.kind === "latent") return rank === null ? mixer : { ...mixer, kvRank: rank };
      const { heads, keyDim, valueDim } = mixer;
      const ropeDim = Math.max(2, 2 * Math.floor(keyDim / 4));
      return {
        kind: "latent",
        heads,
        queryRank: null,
        kvRank: rank ?? 4 * keyDim,
        nopeDim: keyDim,
        ropeDim,
        valueDim,
        bias: false,
        scale: (keyDim + ropeDim) ** -0.5,
        rotary: { dims: ropeDim, theta: mixer.rotary?.theta ?? 10_000, interleaved: true },
      };
    });
  return oneWay("causal", variant, "expected causal attention", change);
}
