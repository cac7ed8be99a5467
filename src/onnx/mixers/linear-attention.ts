import type { LinearAttention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { addRotary } from "../rotary-embedding.js";
import type { Around } from "./around.js";
import { addLinearRecurrence, withOnes } from "./linear-recurrence.js";

/** Root that GLA takes of its decay (arXiv:2312.06635, section 4.4). */
const decayRoot = 16;

/** Plain linear attention, Performer, RetNet, GLA; `LinearAttention` has the equations. */
export function addLinearAttention(e: Emitter, input: string, mixer: LinearAttention, { norm }: Around): string {
  const { heads, keyDim, valueDim, feature, rotary, scale, normalised, causal } = mixer;
  const keyDims = typeof feature === "object" ? feature.random : keyDim;
  const side = (name: "query" | "key"): string => {
    const projected = e.linear(name, input);
    if (rotary === null) return mapped(e, projected, mixer);
    const turned = e.tagged(() =>
      addRotary(projected, e.fresh("rotated"), { rotary, heads, headDim: keyDim }, e.scope),
    );
    return mapped(e, turned, mixer);
  };
  const query = e.scale(side("query"), scale);
  const key = side("key");
  const apart = e.reshape(e.linear("value", input), [0, 0, heads, valueDim]);
  const columns = valueDim + (normalised ? 1 : 0);
  const value = normalised ? withOnes(e, apart, heads, valueDim) : e.reshape(apart, [0, 0, heads * valueDim]);
  const sizes = { heads, keyDim: keyDims, valueDim: columns };
  const decay = logDecay(e, input, mixer);
  const mixed = causal
    ? addLinearRecurrence(e, {
        queryHeads: heads,
        query,
        key,
        value,
        ...sizes,
        ...(decay === null ? {} : { decay }),
      })
    : bothWays(e, query, key, value, sizes);
  let result = e.reshape(mixed, [0, 0, heads, columns]);
  if (normalised) {
    const [sum = "", weight = ""] = e.split(result, [valueDim, 1]);
    result = e.node("Div", [sum, weight]);
  }
  if (mixer.gated) result = e.rms(result, e.weight("norm.weight", norm.offset), norm.epsilon);
  const flat = e.reshape(result, [0, 0, heads * valueDim]);
  return e.linear("output", mixer.gated ? e.multiply(flat, e.silu(e.linear("gate", input))) : flat);
}

/** φ of queries or keys, head by head: [b, n, heads·keyDim] → [b, n, heads·features]. */
function mapped(e: Emitter, projected: string, { heads, keyDim, feature }: LinearAttention): string {
  const { builder } = e.scope;
  if (feature === "none") return projected;
  if (feature === "elu") return e.add(e.node("Elu", [projected]), builder.scalar(1));
  const x = e.scale(e.reshape(projected, [0, 0, heads, keyDim]), keyDim ** -0.25);
  const half = e.scale(e.node("ReduceSumSquare", [x, builder.integers([-1])]), 0.5);
  const powers = e.node("Exp", [e.subtract(e.transposedProduct(x, e.weight("features.weight"), 1, { rank: 2 }), half)]);
  return e.reshape(e.scale(powers, feature.random ** -0.5), [0, 0, heads * feature.random]);
}

/** Logarithm of λ: per head or per channel of the keys; null where nothing decays. */
function logDecay(e: Emitter, input: string, { decay, heads }: LinearAttention): string | null {
  if (decay === "none") return null;
  if (decay === "fixed") {
    const logs = Array.from({ length: heads }, (_, head) => Math.log1p(-(2 ** (-5 - head))));
    return e.expand(e.scope.builder.floats(logs), [e.length(input, 0), e.length(input, 1), heads]);
  }
  const raw = e.linear("decay_up", e.linear("decay_down", input));
  return e.scale(e.node("Softplus", [e.node("Neg", [raw])]), -1 / decayRoot);
}

/** φ(q)·(φ(k)ᵀv) over all tokens, [b, n, heads·valueDim]. */
function bothWays(
  e: Emitter,
  query: string,
  key: string,
  value: string,
  { heads, keyDim, valueDim }: { readonly heads: number; readonly keyDim: number; readonly valueDim: number },
): string {
  const apart = (from: string, dim: number, perm: readonly number[]): string =>
    e.transpose(e.reshape(from, [0, 0, heads, dim]), perm);
  const state = e.matmul(apart(key, keyDim, [0, 2, 3, 1]), apart(value, valueDim, [0, 2, 1, 3]));
  const read = e.matmul(apart(query, keyDim, [0, 2, 1, 3]), state);
  return e.reshape(e.transpose(read, [0, 2, 1, 3]), [0, 0, heads * valueDim]);
}
