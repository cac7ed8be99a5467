import type { Attention, Norm } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { float, int } from "../proto.js";

type NormKind = Pick<Attention, "keyDim" | "queryKeyNorm" | "queryKeyLayerNorm">;

/** The norm of queries or keys, [b, n, heads·keyDim] → the same; epsilon and offset are those of the layer's norm. */
export function addHeadNorm(
  e: Emitter,
  name: string,
  input: string,
  heads: number,
  { keyDim, queryKeyNorm, queryKeyLayerNorm }: NormKind,
  { epsilon, offset }: Norm,
): string {
  const width = heads * keyDim;
  const apart = queryKeyNorm === "per-layer" ? input : e.reshape(input, [0, 0, heads, keyDim]);
  const weight = e.weight(`${name}.weight`, offset);
  const layerNorm = queryKeyLayerNorm !== undefined;
  const bias = layerNorm && queryKeyLayerNorm.bias ? e.weight(`${name}.bias`) : null;
  const op = layerNorm ? "LayerNormalization" : "SimplifiedLayerNormalization";
  const attributes = { axis: int(-1), epsilon: float(epsilon) };
  let normed: string;
  if (queryKeyNorm === "each-head") {
    // Weights differ by head: normalise alone, then scale.
    normed = e.multiply(e.normalised(apart, layerNorm ? "layer" : "rms", keyDim, epsilon), weight);
    if (bias !== null) normed = e.add(normed, bias);
  } else {
    normed = e.node(op, bias === null ? [apart, weight] : [apart, weight, bias], attributes);
  }
  return queryKeyNorm === "per-layer" ? normed : e.reshape(normed, [0, 0, width]);
}
