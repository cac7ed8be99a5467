import type { AppendOperator, AttentionShape, MixOperator, ScoresOperator } from "../graph/types.js";
import type { Span } from "../model/types.js";
import { addSoftcap } from "./elementwise.js";
import { masked } from "./masked.js";
import { addTransposedProduct } from "./product.js";
import { int, ints } from "./proto.js";
import { type Scope, inputNames } from "./scope.js";
import { unsupported } from "./unsupported.js";

type MaskableSpan = Extract<Span, { kind: "full" | "window" | "chunk" }>;

function isMaskable(span: AttentionShape["span"]): span is MaskableSpan {
  return span.kind === "full" || (span.kind === "window" && span.first === undefined) || span.kind === "chunk";
}

/** [b, n, kvHeads·dim] → [b, kvHeads, c + n, dim], after what is cached. */
export function lowerAppend(operator: AppendOperator, scope: Scope): string {
  const { builder } = scope;
  const { kvHeads, dim, side } = operator;
  const output = scope.fresh(operator.output);
  const { past, present } = scope.cache(operator.cache);
  const split = builder.node(`${output}.split`, "Reshape", [
    scope.value(operator.input),
    builder.integers([0, 0, kvHeads, dim]),
  ]);
  const turned = builder.node(`${output}.turned`, "Transpose", [split], { attributes: { perm: ints([0, 2, 1, 3]) } });
  return builder.node(present[side], "Concat", [past[side], turned], { attributes: { axis: int(2) } });
}

/**
 * Scores of all heads, [b, kvHeads, heads/kvHeads, n, c + n], scaled, capped, masked. Queries of the heads that share
 * keys stand one below the other in one product, so that keys are not repeated.
 */
export function lowerScores(operator: ScoresOperator, scope: Scope): string {
  if (operator.lengths !== undefined) {
    throw unsupported(operator.name, "no lowering of attention over another sequence");
  }
  if (!isMaskable(operator.span)) throw unsupported(operator.name, `no lowering of a ${operator.span.kind} span`);
  const { builder } = scope;
  const { heads, kvHeads, keyDim, causal, scale, softcap } = operator;
  const span: MaskableSpan = operator.span;
  const group = heads / kvHeads;
  const output = scope.fresh(operator.output);
  const split = builder.node(`${output}.split`, "Reshape", [
    scope.value(operator.query),
    builder.integers([0, 0, kvHeads, group, keyDim]),
  ]);
  const turned = builder.node(`${output}.turned`, "Transpose", [split], {
    attributes: { perm: ints([0, 2, 3, 1, 4]) },
  });
  const stacked = builder.node(`${output}.stacked`, "Reshape", [turned, builder.integers([0, kvHeads, -1, keyDim])]);
  const product = addTransposedProduct(builder, `${output}.product`, [stacked, scope.value(operator.key)], {
    factor: scale,
    rank: 4,
  });
  const unmasked = !causal && span.kind === "full";
  const perHeadName = unmasked && softcap === null ? output : `${output}.heads`;
  const perHead = builder.node(perHeadName, "Reshape", [product, scoresShape(kvHeads, group, scope)]);
  const capped =
    softcap === null ? perHead : addSoftcap(builder, perHead, softcap, unmasked ? output : `${output}.capped`);
  return unmasked ? capped : builder.node(output, "Add", [capped, mask(span, causal, scope)]);
}

/** Weights times values, back to [b, n, heads·valueDim]. */
export function lowerMix(operator: MixOperator, scope: Scope): string {
  const { builder } = scope;
  const { heads, kvHeads, valueDim } = operator;
  const group = heads / kvHeads;
  const output = scope.fresh(operator.output);
  const weights = scope.value(operator.weights);
  const stacked = builder.node(`${output}.stacked`, "Reshape", [weights, stackedShape(kvHeads, scope)]);
  const product = builder.node(`${output}.product`, "MatMul", [stacked, scope.value(operator.value)]);
  const split = builder.node(`${output}.heads`, "Reshape", [
    product,
    builder.integers([0, kvHeads, group, -1, valueDim]),
  ]);
  const turned = builder.node(`${output}.turned`, "Transpose", [split], {
    attributes: { perm: ints([0, 3, 1, 2, 4]) },
  });
  return builder.node(output, "Reshape", [turned, builder.integers([0, 0, heads * valueDim])]);
}

/** Adds a value that all layers share when it is first needed. */
function shared(name: string, scope: Scope, make: () => void): string {
  if (!scope.builder.has(name)) make();
  return name;
}

/** n and c + n as lists of one integer. */
function lengths(scope: Scope): { readonly fresh: string; readonly all: string } {
  const { builder } = scope;
  const depth = builder.input(inputNames.depth, "int64", [1]);
  const fresh = shared("shared.n", scope, () => {
    builder.node("shared.n", "Shape", [inputNames.ids], { attributes: { start: int(1), end: int(2) } });
  });
  const all = shared("shared.all", scope, () => {
    builder.node("shared.all", "Add", [depth, fresh]);
  });
  return { fresh, all };
}

function scoresShape(kvHeads: number, group: number, scope: Scope): string {
  const { fresh, all } = lengths(scope);
  const name = `shared.scores_shape.${kvHeads}.${group}`;
  return shared(name, scope, () => {
    scope.builder.node(name, "Concat", [scope.builder.integers([0, kvHeads, group]), fresh, all], {
      attributes: { axis: int(0) },
    });
  });
}

function stackedShape(kvHeads: number, scope: Scope): string {
  const { all } = lengths(scope);
  const name = `shared.stacked_shape.${kvHeads}`;
  return shared(name, scope, () => {
    scope.builder.node(name, "Concat", [scope.builder.integers([0, kvHeads, -1]), all], {
      attributes: { axis: int(0) },
    });
  });
}

/** What is added to the scores, [n, c + n]: 0 where the query may look, a very low number elsewhere. */
function mask(span: MaskableSpan, causal: boolean, scope: Scope): string {
  const { builder } = scope;
  const key = `${causal ? "causal" : "all"}.${span.kind}${span.kind === "full" ? "" : `.${span.size}`}`;
  const name = `shared.mask.${key}`;
  return shared(name, scope, () => {
    const { fresh, all } = lengths(scope);
    const depth = builder.input(inputNames.depth, "int64", [1]);
    const count = (from: string, to: string): string =>
      builder.node(`${name}.${to}`, "Range", [
        builder.integer(0),
        builder.node(`${name}.${to}_count`, "Squeeze", [from]),
        builder.integer(1),
      ]);
    // Positions of the queries as a column, of the keys as a row.
    const queries = builder.node(`${name}.queries`, "Unsqueeze", [
      builder.node(`${name}.positions`, "Add", [count(fresh, "new"), depth]),
      builder.integers([1]),
    ]);
    const keys = builder.node(`${name}.keys`, "Unsqueeze", [count(all, "all"), builder.integers([0])]);
    const conditions: string[] = [];
    if (causal) conditions.push(builder.node(`${name}.past`, "LessOrEqual", [keys, queries]));
    if (span.kind === "window") {
      const start = builder.node(`${name}.start`, "Sub", [queries, builder.integers([span.size])]);
      conditions.push(builder.node(`${name}.near`, "Greater", [keys, start]));
      if (!causal) {
        const end = builder.node(`${name}.end`, "Add", [queries, builder.integers([span.size])]);
        conditions.push(builder.node(`${name}.before`, "Less", [keys, end]));
      }
    }
    if (span.kind === "chunk") {
      const chunk = (from: string): string =>
        builder.node(`${from}.chunk`, "Div", [from, builder.integers([span.size])]);
      conditions.push(builder.node(`${name}.same`, "Equal", [chunk(keys), chunk(queries)]));
    }
    const visible = conditions.reduce((both, condition, index) =>
      builder.node(`${name}.and${index}`, "And", [both, condition]),
    );
    builder.node(name, "Where", [visible, builder.scalar(0), builder.scalar(masked)]);
  });
}
