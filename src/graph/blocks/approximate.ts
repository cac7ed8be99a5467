import { Expression } from "../../math/expression.js";
import type { Linformer, NystromAttention, RelativeAttention } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";

/** Iterations of the pseudo-inverse in the reference implementation of Nyströmformer, four products each. */
const inverseIterations = 6;

/** Nyström attention (arXiv:2102.03902): three thin products instead of n × n. */
export function addNystrom(module: ModuleBuilder, input: string, mixer: NystromAttention): string {
  const { hidden, tokens } = module.around;
  const { heads, headDim, landmarks } = mixer;
  const width = heads * headDim;
  const [query, key, value] = ["query", "key", "value"].map((side) =>
    module.linear(side, input, hidden, width, { bias: true }),
  );
  if (query === undefined || key === undefined || value === undefined) throw new Error("three projections");
  const toLandmarks = { batch: heads, rows: tokens, inner: headDim, columns: landmarks };
  const left = module.product("left", [query, key], toLandmarks, width);
  const right = module.product("right", [query, key], toLandmarks, width);
  module.product("middle", [query, key], { batch: heads, rows: landmarks, inner: headDim, columns: landmarks }, width);
  const squares = { batch: heads * inverseIterations * 4, rows: landmarks, inner: landmarks, columns: landmarks };
  const inverse = module.product("inverse", [left], squares, width);
  const leftInverse = { batch: heads, rows: tokens, inner: landmarks, columns: landmarks };
  const mixed = module.product("left_inverse", [left, inverse], leftInverse, width);
  const summed = module.product("right_value", [right, value], toLandmarks, width);
  const output = module.product(
    "output_mix",
    [mixed, summed],
    { ...toLandmarks, inner: landmarks, columns: headDim },
    width,
  );
  if (mixer.convolution !== null) {
    module.add({
      kind: "convolution",
      name: module.name("value_convolution"),
      part: "attention",
      input: value,
      weight: module.weight("value_convolution.weight", [heads, 1, mixer.convolution]),
      bias: null,
      positions: tokens.times(headDim),
      output: module.value("convolved", width),
    });
  }
  return module.linear("output", output, width, hidden, { bias: true });
}

/** Attention over projected keys and values (`Linformer` has the equation): n·length instead of n². */
export function addLinformer(module: ModuleBuilder, input: string, mixer: Linformer): string {
  const { hidden, tokens } = module.around;
  const { heads, headDim, length, positions, bias } = mixer;
  const width = heads * headDim;
  const query = module.linear("query", input, hidden, width, { bias });
  const names = mixer.shared
    ? { key: "sequence", value: "sequence" }
    : { key: "key_sequence", value: "value_sequence" };
  const [key = "", value = ""] = (["key", "value"] as const).map((side) => {
    const projected = module.linear(side, input, hidden, width, { bias });
    const sequence = module.weight(`${names[side]}.weight`, [length, positions]);
    const weighed = module.add({
      kind: "weighted",
      name: module.name(`${side}_sequence`),
      part: "attention",
      input: projected,
      weights: [sequence],
      output: module.value(`${side}_read`, width),
    });
    return module.product(
      `${side}_shortened`,
      [weighed],
      { batch: 1, rows: length, inner: tokens, columns: width },
      width,
      Expression.constant(length),
    );
  });
  const scores = module.product(
    "scores",
    [query, key],
    { batch: heads, rows: tokens, inner: headDim, columns: length },
    heads * length,
  );
  const weights = module.add({
    kind: "softmax",
    name: module.name("softmax"),
    part: "attention",
    input: scores,
    output: module.value("weights", heads * length),
  });
  const mixed = module.product(
    "mix",
    [weights, value],
    { batch: heads, rows: tokens, inner: length, columns: headDim },
    width,
  );
  return module.linear("output", mixed, width, hidden, { bias });
}

/**
 * Attention of Funnel-Transformer (arXiv:2006.03236): scores by content, by relative position (2·keys places) and by
 * segment. A layer that pools has half as many queries as keys.
 */
export function addRelative(module: ModuleBuilder, input: string, mixer: RelativeAttention): string {
  const { hidden, tokens } = module.around;
  const { heads, headDim, pooling } = mixer;
  const width = heads * headDim;
  const keys = tokens.times(pooling);
  const query = module.linear("query", input, hidden, width);
  const key = module.linear("key", input, hidden, width, { bias: mixer.bias, tokens: keys });
  const value = module.linear("value", input, hidden, width, { bias: mixer.bias, tokens: keys });
  const places = keys.times(2);
  const positions = module.linear("positions", input, hidden, width, { part: "attention", tokens: places });
  const biased = module.weighted("biases", query, {
    content_bias: [heads, headDim],
    position_bias: [heads, headDim],
    segment_bias: [heads, headDim],
    segments: [2, heads, headDim],
  });
  const scores = { batch: heads, rows: tokens, inner: headDim };
  const content = module.product("content", [biased, key], { ...scores, columns: keys }, width);
  module.product("position", [biased, positions], { ...scores, columns: places }, width);
  module.product("segment", [biased], { ...scores, columns: 2 }, width);
  const mix = { batch: heads, rows: tokens, inner: keys, columns: Expression.constant(headDim) };
  const mixed = module.product("mix", [content, value], mix, width);
  return module.linear("output", mixed, width, hidden, { bias: mixer.bias });
}

/** FNet (arXiv:2105.03824): the real part of a Fourier transform over tokens and channels. */
export function addFourier(module: ModuleBuilder, input: string): string {
  const { hidden, tokens } = module.around;
  return module.add({
    kind: "fourier",
    name: module.name("fourier"),
    part: "attention",
    input,
    tokens,
    channels: hidden,
    output: module.value("mixed", hidden),
  });
}
