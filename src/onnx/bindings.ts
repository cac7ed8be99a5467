import type { Block } from "../graph/types.js";
import type { Expression } from "../math/expression.js";
import type { ModelBuilder } from "./builder.js";
import type { CacheBinding, StateBinding } from "./scope.js";

/** What a model's caches and states are collected in. */
interface Bound {
  readonly builder: ModelBuilder;
  readonly caches: CacheBinding[];
  readonly states: StateBinding[];
}

/** The size of the last dimension. */
export function lastSize(shape: readonly Expression[] | undefined, name: string): number {
  const size = shape?.at(-1);
  if (size === undefined) throw new Error(`${name} has no last dimension`);
  return size.at({});
}

/** A new state, and the input and output that hold it. */
export function bindState(shape: readonly number[], { builder, states }: Bound): StateBinding {
  const past = builder.input(`past.state.${states.length}`, "float32", ["b", ...shape]);
  const binding = { past, present: `present.state.${states.length}`, shape };
  states.push(binding);
  return binding;
}

/** A new cache, and the inputs and outputs that hold it. */
export function bindCache(
  block: Block,
  local: string,
  { kept, hands }: Pick<CacheBinding, "kept" | "hands">,
  { builder, caches }: Bound,
): CacheBinding {
  const cache = block.caches.get(local);
  if (cache === undefined) throw new Error(`block ${block.name} has no cache ${local}`);
  const kvHeads = cache.key.shape[1]?.at({}) ?? 0;
  const keyDim = lastSize(cache.key.shape, local);
  const valueDim = lastSize(cache.value.shape, local);
  const name = (when: string, side: string): string => `${when}.${caches.length}.${side}`;
  const whole = kept.kind === "all" && hands === "all";
  const tokens = whole ? "c" : name("past", "tokens");
  const binding: CacheBinding = {
    past: {
      key: builder.input(name("past", "key"), "float32", ["b", kvHeads, tokens, keyDim]),
      value: builder.input(name("past", "value"), "float32", ["b", kvHeads, tokens, valueDim]),
    },
    kept,
    hands,
    present: { key: name("present", "key"), value: name("present", "value") },
    kvHeads,
    keyDim,
    valueDim,
  };
  caches.push(binding);
  return binding;
}
