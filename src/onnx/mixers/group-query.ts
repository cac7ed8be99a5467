import type { Emitter } from "../emitter.js";
import { float, int, microsoft } from "../proto.js";
import { inputNames } from "../scope.js";

interface GroupQuery {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  readonly softcap: number | null;
  /** Name of a parameter [heads]: a score of its own per head that takes part in the softmax. */
  readonly sinks: string | null;
}

/** Keys and values, [b, kvHeads, tokens, dim] each. */
interface Sides {
  readonly key: string;
  readonly value: string;
}

/**
 * ONNX Runtime's fused causal attention: `operands` are queries, keys and values of the new tokens, [b, n, heads·dim]
 * each, `past` those of the c earlier ones; `present`, both together, are made under the names given.
 *
 * @returns the mixture, [b, n, heads·dim]
 */
export function addGroupQueryAttention(
  e: Emitter,
  operands: readonly [string, string, string],
  { past, present }: { readonly past: Sides; readonly present: Sides },
  { heads, kvHeads, scale, softcap, sinks }: GroupQuery,
): string {
  const { builder } = e.scope;
  const output = e.fresh("attention");
  const inputs = [...operands, past.key, past.value];
  inputs.push(builder.input(inputNames.last, "int32", ["b"]), builder.input(inputNames.total, "int32", []));
  if (sinks !== null) inputs.push("", "", "", "", sinks);
  e.tagged(() =>
    builder.nodeWithOutputs(output, "GroupQueryAttention", inputs, [output, present.key, present.value], {
      domain: microsoft,
      attributes: {
        num_heads: int(heads),
        kv_num_heads: int(kvHeads),
        scale: float(scale),
        ...(softcap === null ? {} : { softcap: float(softcap) }),
      },
    }),
  );
  return output;
}
