import type { ModelBuilder } from "./builder.js";
import { float, int, microsoft } from "./proto.js";
import { inputNames } from "./scope.js";

export interface GroupQuery {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  readonly softcap: number | null;
  /** Name of a parameter [heads]: a score of its own per head that takes part in the softmax. */
  readonly sinks: string | null;
  /** Tables of cosines and sines, where queries and keys are yet to be turned: [positions, dims / 2] each. */
  readonly rotary: { readonly tables: readonly string[]; readonly dims: number; readonly interleaved: boolean } | null;
}

/** Keys and values, [b, kvHeads, tokens, dim] each. */
export interface Sides {
  readonly key: string;
  readonly value: string;
}

/** Queries, keys and values of the new tokens, [b, n, heads·dim] each; or all side by side as the first, the others empty. */
export type Rows = readonly [string, string, string];

/**
 * ONNX Runtime's fused causal attention of the new tokens to themselves and to the c earlier ones of `past`; `present`, both
 * together, are made under the names given. Its CPU kernel masks a window and skips no work for it, and with a softcap it holds
 * heads·n·(c + n) scores.
 *
 * @returns `output`, the mixture, [b, n, heads·dim]
 */
export function addGroupQueryAttention(
  builder: ModelBuilder,
  output: string,
  rows: Rows,
  { past, present }: { readonly past: Sides; readonly present: Sides },
  { heads, kvHeads, scale, softcap, sinks, rotary }: GroupQuery,
): string {
  const inputs = [...rows, past.key, past.value];
  inputs.push(builder.input(inputNames.last, "int32", ["b"]), builder.input(inputNames.total, "int32", []));
  if (rotary !== null) inputs.push(...rotary.tables);
  else if (sinks !== null) inputs.push("", "");
  if (sinks !== null) inputs.push("", "", sinks);
  builder.nodeWithOutputs(output, "GroupQueryAttention", inputs, [output, present.key, present.value], {
    domain: microsoft,
    attributes: {
      num_heads: int(heads),
      kv_num_heads: int(kvHeads),
      scale: float(scale),
      ...(softcap === null ? {} : { softcap: float(softcap) }),
      ...(rotary === null ? {} : { do_rotary: int(1), rotary_interleaved: int(rotary.interleaved ? 1 : 0) }),
    },
  });
  return output;
}
