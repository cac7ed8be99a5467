import { NsquaredError } from "../base/errors.js";
import type { Attention, LatentAttention, Layer, Mixer, ModelDescription, Stack } from "../model/types.js";

/** Where a layer stands while a variant rewrites it. */
export interface Place {
  readonly model: ModelDescription;
  /** Width of the stream that the layer reads and writes. */
  readonly hidden: number;
  /** Of its stack, from 0. */
  readonly index: number;
  readonly count: number;
}

/** A layer as another one. */
export type LayerChange = (layer: Layer, place: Place) => Layer;

/** Attention of a sequence to itself: what variants replace. Attention to an encoder stays as it is. */
export type SelfAttention = Attention | LatentAttention;

export function isSelfAttention(mixer: Mixer): mixer is SelfAttention {
  return mixer.kind === "latent" || (mixer.kind === "attention" && mixer.source !== "encoder");
}

/** Whether text runs through a stack: no picture or sound, and not left out. */
export function carriesText({ kind, length }: Stack): boolean {
  return kind !== "vision" && kind !== "audio" && length?.kind !== "absent";
}

/** Rewrites the layers of the stacks that text runs through; equal layers stay one object. */
export function changeLayers(model: ModelDescription, change: LayerChange): ModelDescription {
  const stacks = model.stacks.map((stack) => {
    if (!carriesText(stack)) return stack;
    const known = new Map<string, Layer>();
    const hidden = stack.hiddenSize ?? model.hiddenSize;
    const layers = stack.layers.map((layer, index) => {
      const changed = change(layer, { model, hidden, index, count: stack.layers.length });
      const key = JSON.stringify(changed);
      const same = known.get(key);
      if (same !== undefined) return same;
      known.set(key, changed);
      return changed;
    });
    return { ...stack, layers };
  });
  return { ...model, stacks };
}

/** Rewrites each mixer that attends to its own sequence; every other mixer stays. */
export function changeSelfAttention(
  layer: Layer,
  place: Place,
  change: (mixer: SelfAttention, place: Place) => Mixer,
): Layer {
  return { ...layer, mixers: layer.mixers.map((mixer) => (isSelfAttention(mixer) ? change(mixer, place) : mixer)) };
}

/** What the sizes of a mixer are once its attention is spelled out per head. */
export interface HeadSizes {
  readonly heads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly causal: boolean;
}

export function headSizes(mixer: SelfAttention): HeadSizes {
  const { heads, valueDim } = mixer;
  return mixer.kind === "latent"
    ? { heads, keyDim: mixer.nopeDim + mixer.ropeDim, valueDim, causal: true }
    : { heads, keyDim: mixer.keyDim, valueDim, causal: mixer.causal };
}

/**
 * A change for attention of one direction. Of an encoder–decoder it changes the half that has it; the other half stays.
 *
 * @throws NsquaredError `variant-inapplicable` where a model's only half looks the other way
 */
export function oneWay(
  direction: "causal" | "both-ways",
  variant: string,
  expected: string,
  change: LayerChange,
): LayerChange {
  return (layer, place) => {
    const wanted = direction === "causal";
    if (layer.mixers.every((mixer) => !isSelfAttention(mixer) || headSizes(mixer).causal === wanted)) {
      return change(layer, place);
    }
    const kinds = new Set(place.model.stacks.filter(carriesText).map(({ kind }) => kind));
    if (kinds.has("encoder") && kinds.has("decoder")) return layer;
    throw inapplicable(place.model, variant, wanted ? "an encoder" : "causal attention", expected);
  };
}

/** Every kind of mixer that a model's text passes, in order of appearance. */
export function mixerKinds(model: ModelDescription): string[] {
  return [
    ...new Set(
      model.stacks
        .filter(carriesText)
        .flatMap(({ layers }) => layers.flatMap(({ mixers }) => mixers.map(({ kind }) => kind))),
    ),
  ];
}

/** A variant that a model cannot be given: which, what the model has, and what would be right. */
export function inapplicable(model: ModelDescription, variant: string, found: string, expected: string): NsquaredError {
  const message = `${model.name}: ${variant} does not apply to ${found}; ${expected}`;
  return new NsquaredError("variant-inapplicable", message, { where: model.name, key: variant, found, expected });
}
