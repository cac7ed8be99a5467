import { type Expression, min } from "../../math/expression.js";
import type { SegmentAttention } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";

/**
 * Attention to a segment of n tokens and the memory before it: [b, n, hidden] → the same. Hidden states of the memory are
 * kept, and keys, values and places of everything that is seen are projected for each segment; the reference's memory is
 * full of zeros at first, and it projects queries of the memory too.
 */
export function addSegment(module: ModuleBuilder, input: string, mixer: SegmentAttention): string {
  const { hidden, tokens, options } = module.around;
  const { heads, headDim, memory } = mixer;
  const width = heads * headDim;
  const before = module.reference ? min({ constant: memory }, memory) : min({ c: 1 }, memory);
  const seen = tokens.plus(before);
  const projected = (side: string, length: Expression): string =>
    module.linear(side, input, hidden, width, { tokens: length });
  const query = projected("query", module.reference ? seen : tokens);
  const key = projected("key", seen);
  const value = projected("value", seen);
  const places = module.linear("positions", input, hidden, width, { part: "attention", tokens: seen });
  const biased = mixer.ownBiases
    ? module.weighted("biases", query, { content_bias: [heads, headDim], position_bias: [heads, headDim] })
    : query;
  module.keep("memory", hidden, memory);
  const mixed =
    options.attention === "naive"
      ? addProducts(module, [biased, key, value, places], mixer, seen)
      : module.add({
          kind: "attention",
          name: module.name("attention"),
          part: "attention",
          query: biased,
          key,
          value,
          cache: null,
          rotary: null,
          heads,
          kvHeads: heads,
          // Content and places, each a product of its own with the query.
          keyDim: 2 * headDim,
          valueDim: headDim,
          causal: true,
          scale: headDim ** -0.5,
          softcap: null,
          ...(mixer.sameLength
            ? { span: { kind: "window" as const, size: memory } }
            : { span: { kind: "full" as const }, lengths: { queries: tokens, keys: tokens, earlier: before } }),
          output: module.value("mixed", width),
        });
  return module.linear("output", mixed, width, hidden);
}

/** All scores as matrices, masked or not. */
function addProducts(
  module: ModuleBuilder,
  [query, key, value, places]: readonly [string, string, string, string],
  { heads, headDim }: SegmentAttention,
  seen: Expression,
): string {
  const { tokens } = module.around;
  const scores = { batch: heads, rows: tokens, inner: headDim, columns: seen };
  const content = module.product("content", [query, key], scores, heads * headDim);
  module.product("position", [query, places], scores, heads * headDim);
  const mix = { batch: heads, rows: tokens, inner: seen, columns: headDim };
  return module.product("mix", [content, value], mix, heads * headDim);
}
