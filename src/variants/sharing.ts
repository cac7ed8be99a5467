import type { Layer, ModelDescription } from "../model/types.js";
import { type LayerChange, changeLayers, inapplicable, oneWay } from "./layers.js";

/** One set of weights for all layers of a kind (ALBERT, arXiv:1909.11942): each kind's weights are there once. */
export function shareLayers(model: ModelDescription): ModelDescription {
  const stacks = model.stacks.map((stack) => {
    const kinds = new Map<string, string>();
    return {
      ...stack,
      layers: stack.layers.map((layer) => {
        const { weightsOf: _own, ...rest } = layer;
        const key = JSON.stringify(rest);
        const name = kinds.get(key) ?? `shared.${kinds.size}`;
        kinds.set(key, name);
        return { ...rest, weightsOf: name };
      }),
    };
  });
  return interned({ ...model, stacks });
}

/** Of `group` attention layers in a row the first keeps keys and values, the others read them (arXiv:2405.12981). */
export function shareKv(model: ModelDescription, group: number, variant: string): ModelDescription {
  let seen = 0;
  const share: LayerChange = (layer, { model: whole }): Layer => {
    if (!layer.mixers.some(({ kind }) => kind === "attention" || kind === "latent")) return layer;
    const owner = seen % group === 0;
    seen += 1;
    return {
      ...layer,
      mixers: layer.mixers.map((mixer) => {
        if (mixer.kind === "latent") {
          throw inapplicable(whole, variant, "latent attention", "expected attention with keys and values of its own");
        }
        if (mixer.kind !== "attention" || mixer.source === "encoder") return mixer;
        return owner
          ? { ...mixer, keyValue: mixer.keyValue === "shared" ? "own" : (mixer.keyValue ?? "own") }
          : { ...mixer, keyValue: "shared" };
      }),
    };
  };
  return changeLayers(model, oneWay("causal", variant, "expected a decoder: an encoder keeps no keys", share));
}

/** Equal layers as one object, so that the graph builds them once. */
function interned(model: ModelDescription): ModelDescription {
  return changeLayers(model, (layer) => layer);
}
