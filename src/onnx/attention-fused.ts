import type { AttentionOperator, LinearOperator } from "../graph/types.js";
import type { Rotary } from "../model/types.js";
import { addCachedAttention } from "./cached-attention.js";
import type { Rows } from "./group-query.js";
import { lowerLinear, lowerStackedLinear } from "./linear.js";
import { addRotary, rotaryTables } from "./rotary-embedding.js";
import type { Scope } from "./scope.js";
import { unsupported } from "./unsupported.js";

/** GroupQueryAttention rotates only heads whose size is a multiple of this, and so many of their dimensions. */
const rotaryAlignment = 16;

type Projections = readonly [LinearOperator, LinearOperator, LinearOperator];

/**
 * Fused attention: rotates, attends, hands out what the cache gets. With a softcap ONNX Runtime's CPU kernel holds
 * heads·n·(c + n) scores.
 *
 * @param packed the projections that make query, key and value, where one matrix product may do all three
 */
export function lowerFusedAttention(operator: AttentionOperator, scope: Scope, packed: Projections | null): string {
  const { heads, kvHeads, keyDim, rotary, softcap, scale, cache: cacheName } = operator;
  const missing = refusal(operator);
  if (missing !== null || cacheName === null) {
    throw unsupported(
      operator.name,
      `ONNX Runtime's GroupQueryAttention has no ${missing ?? "attention without a cache"}; use naive attention`,
    );
  }
  const { past, present } = scope.cache(cacheName, { kind: "all" }, "new");
  const inside = rotary !== null && keyDim % rotaryAlignment === 0 && rotary.dims % rotaryAlignment === 0;
  const turning = inside ? { ...rotary, tables: rotaryTables(rotary, scope) } : null;
  const rows =
    inside || rotary === null ? projected(operator, scope, packed) : rotated(operator, rotary, scope, packed);
  const attention = { heads, kvHeads, dim: keyDim, scale, softcap, sinks: null, rotary: turning };
  return addCachedAttention(scope.builder, scope.fresh(operator.output), rows, { past, fresh: present }, attention);
}

/** One matrix product for all three where that is allowed; GroupQueryAttention takes them side by side. */
function projected(operator: AttentionOperator, scope: Scope, packed: Projections | null): Rows {
  if (packed !== null) return [lowerStackedLinear(packed, `${operator.name}.projections`, scope), "", ""];
  return [scope.value(operator.query), scope.value(operator.key), scope.value(operator.value)];
}

function rotated(operator: AttentionOperator, rotary: Rotary, scope: Scope, packed: Projections | null): Rows {
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
  return span.kind === "full" ? null : `${span.kind} span`;
}
