import type { Emitter } from "../emitter.js";
import type { StateBinding } from "../scope.js";
import { float, int, microsoft, string } from "../proto.js";

export interface LinearRecurrence {
  /** The state, [heads, keyDim, valueDim], where it is asked for already. */
  readonly binding?: StateBinding;
  /** Queries and keys may have fewer heads than values: neighbouring value heads share them. */
  readonly queryHeads: number;
  readonly heads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** [b, n, queryHeads·keyDim]. */
  readonly query: string;
  /** [b, n, keyHeads·keyDim]. */
  readonly key: string;
  /** [b, n, heads·valueDim]. */
  readonly value: string;
  /** Logarithm of the decay, [b, n, heads] or, per channel of the key, [b, n, heads·keyDim]. */
  readonly decay?: string;
  /** Strength of the delta rule, [b, n, heads]. */
  readonly strength?: string;
  readonly scale?: number;
}

/**
 * S ← exp(decay)·S, then S ← S + k·vᵀ, or with a strength β the delta rule S ← S + β·k·(v − Sᵀk)ᵀ; output
 * scale·Sᵀq, [b, n, heads·valueDim]. ONNX Runtime's kernel goes token by token, each head on its own thread: as exact
 * for one token as for many, and faster here than products over chunks.
 */
export function addLinearRecurrence(e: Emitter, recurrence: LinearRecurrence): string {
  const { queryHeads, heads, keyDim, valueDim, query, key, value, decay, strength, scale = 1 } = recurrence;
  const rule =
    strength === undefined ? (decay === undefined ? "linear" : "gated") : decay === undefined ? "delta" : "gated_delta";
  const binding = recurrence.binding ?? e.scope.state([heads, keyDim, valueDim]);
  const output = e.fresh("recurrence");
  e.tagged(() =>
    e.scope.builder.nodeWithOutputs(
      output,
      "LinearAttention",
      [query, key, value, binding.past, decay ?? "", strength ?? ""],
      [output, binding.present],
      {
        domain: microsoft,
        attributes: {
          q_num_heads: int(queryHeads),
          kv_num_heads: int(heads),
          update_rule: string(rule),
          scale: float(scale),
        },
      },
    ),
  );
  return output;
}

/** Values with a column of ones, whose mixture is the sum of what they are mixed with: [b, n, heads·(dim + 1)]. */
export function withOnes(e: Emitter, values: string, heads: number, dim: number): string {
  const shape = [e.length(values, 0), e.length(values, 1), heads, 1];
  const widened = e.concat([values, e.expand(e.scope.builder.scalar(1), shape)], 3);
  return e.reshape(widened, [0, 0, heads * (dim + 1)]);
}
