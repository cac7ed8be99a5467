import type { AttentionOperator, LinearOperator } from "../graph/types.js";
import type { Rotary } from "../model/types.js";
import { lowerLinear, lowerStackedLinear } from "./linear.js";
import { type AttributeValue, float, int, microsoft } from "./proto.js";
import { addRotary, rotaryTables } from "./rotary-embedding.js";
import { type Scope, inputNames } from "./scope.js";
import { unsupported } from "./unsupported.js";

/** GroupQueryAttention rotates only heads whose size is a multiple of this, and so many of their dimensions. */
const rotaryAlignment = 16;

type Projections = readonly [LinearOperator, LinearOperator, LinearOperator];

/**
 * Fused attention as ONNX Runtime's GroupQueryAttention: rotates, appends to the cache, attends. Its CPU kernel masks
 * a window and skips no work for it, and with a softcap it holds heads·n·(c + n) scores.
 *
 * @param packed the projections that make query, key and value, where one matrix product may do all three
 */
export function lowerFusedAttention(operator: AttentionOperator, scope: Scope, packed: Projections | null): string {
  const { builder } = scope;
  const { heads, kvHeads, keyDim, span, rotary, softcap, cache: cacheName } = operator;
  const missing = refusal(operator);
  if (missing !== null || cacheName === null) {
    throw unsupported(
      operator.name,
      `ONNX Runtime's GroupQueryAttention has no ${missing ?? "attention without a cache"}; use naive attention`,
    );
  }
  const attributes: Record<string, AttributeValue> = {
    num_heads: int(heads),
    kv_num_heads: int(kvHeads),
    scale: float(operator.scale),
  };
  if (softcap !== null) attributes["softcap"] = float(softcap);
  if (span.kind === "window") attributes["local_window_size"] = int(span.size);
  const cache = scope.cache(cacheName);
  const inside = rotary !== null && keyDim % rotaryAlignment === 0 && rotary.dims % rotaryAlignment === 0;
  const tables: string[] = [];
  if (rotary !== null && inside) {
    attributes["do_rotary"] = int(1);
    attributes["rotary_interleaved"] = int(rotary.interleaved ? 1 : 0);
    tables.push(...rotaryTables(rotary, scope));
  }
  const sources =
    inside || rotary === null ? projected(operator, scope, packed) : rotated(operator, rotary, scope, packed);
  const output = scope.fresh(operator.output);
  builder.nodeWithOutputs(
    output,
    "GroupQueryAttention",
    [
      ...sources,
      cache.past.key,
      cache.past.value,
      builder.input(inputNames.last, "int32", ["b"]),
      builder.input(inputNames.total, "int32", []),
      ...tables,
    ],
    [output, cache.present.key, cache.present.value],
    { domain: microsoft, attributes },
  );
  return output;
}

/** One matrix product for all three where that is allowed; GroupQueryAttention takes them side by side. */
function projected(operator: AttentionOperator, scope: Scope, packed: Projections | null): string[] {
  if (packed !== null) return [lowerStackedLinear(packed, `${operator.name}.projections`, scope), "", ""];
  return [operator.query, operator.key, operator.value].map((name) => scope.value(name));
}

function rotated(operator: AttentionOperator, rotary: Rotary, scope: Scope, packed: Projections | null): string[] {
  const { heads, kvHeads, keyDim } = operator;
  const [query = "", key = "", value = ""] =
    packed === null ? projected(operator, scope, null) : packed.map((projection) => lowerLinear(projection, scope));
  const name = scope.fresh(operator.output);
  return [
    addRotary(query, `${name}.query`, { rotary, heads, headDim: keyDim }, scope),
    addRotary(key, `${name}.key`, { rotary, heads: kvHeads, headDim: keyDim }, scope),
    value,
  ];
}

function refusal(operator: AttentionOperator): string | null {
  const { keyDim, valueDim, span, causal, heads, kvHeads, cache, lengths, valueInKey } = operator;
  if (keyDim !== valueDim) return `value dimension (${valueDim}) other than the key dimension (${keyDim})`;
  if (!causal) return "attention without a causal mask";
  if (heads % kvHeads !== 0) return `${heads} heads over ${kvHeads} KV heads`;
  if (cache === null || lengths !== undefined) return "attention over another sequence";
  if (valueInKey === true) return "values inside the keys";
  return span.kind === "full" || (span.kind === "window" && span.first === undefined) ? null : `${span.kind} span`;
}
