import type { Attention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { float, int } from "../proto.js";
import { unsupported } from "../unsupported.js";
import type { Around } from "./around.js";
import { addBlockedAttention } from "./blocked-attention.js";
import { addHeadNorm } from "./head-norm.js";

/**
 * Attention of a decoder to an encoder's output. The first pass projects the encoder's keys and values and hands them
 * out; later ones read them from the cache as they are, without a copy.
 *
 * @returns the projected mixture, [b, n, hidden]
 */
export function addCrossAttention(e: Emitter, input: string, mixer: Attention, { norm, naive }: Around): string {
  const { encoder } = e.scope;
  if (encoder === null) throw unsupported(e.name, "no encoder stands before it");
  const { heads, kvHeads, keyDim, valueDim } = mixer;
  const { builder } = e.scope;
  const cache = e.scope.cache(e.local("cache"), { kind: "encoder", tokens: encoder.tokens });
  let query = e.linear("query", input);
  if (mixer.queryKeyNorm !== "none") query = addHeadNorm(e, "query_norm", query, heads, mixer, norm);
  const turned = (from: string, dim: number): string =>
    e.transpose(e.reshape(from, [0, 0, kvHeads, dim]), [0, 2, 1, 3]);
  const attend = (keys: string, values: string): string => addMixture(e, { query, keys, values }, mixer, naive);
  const empty = (dim: number): string => e.node("ConstantOfShape", [builder.integers([0, kvHeads, 0, dim])]);
  const [mixed = "", key = "", value = ""] = e.either(
    encoder.first,
    [3, 4, 4],
    () => {
      let projected = e.linear("key", encoder.hidden);
      if (mixer.queryKeyNorm !== "none") projected = addHeadNorm(e, "key_norm", projected, kvHeads, mixer, norm);
      const keys = turned(projected, keyDim);
      const values = turned(e.linear("value", encoder.hidden), valueDim);
      return [attend(keys, values), keys, values];
    },
    () => [attend(cache.past.key, cache.past.value), empty(keyDim), empty(valueDim)],
  );
  e.into(cache.present.key, "Identity", [key]);
  e.into(cache.present.value, "Identity", [value]);
  return e.linear("output", mixed);
}

interface Operands {
  /** [b, n, heads·keyDim]. */
  readonly query: string;
  /** [b, kvHeads, m, keyDim] and [b, kvHeads, m, valueDim]. */
  readonly keys: string;
  readonly values: string;
}

/** Every query sees every key. The kernel without scores in memory knows no groups of heads and no softcap. */
function addMixture(e: Emitter, operands: Operands, mixer: Attention, naive: boolean): string {
  const { heads, kvHeads, keyDim, valueDim, softcap, scale } = mixer;
  if (!naive && heads === kvHeads && keyDim === valueDim && softcap === null) {
    return e.own("MultiHeadAttention", [operands.query, operands.keys, operands.values], {
      num_heads: int(heads),
      scale: float(scale),
    });
  }
  return addBlockedAttention(e, operands, { ...mixer, span: { kind: "full" }, causal: false, sinks: null, naive });
}
