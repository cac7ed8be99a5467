import { Expression, b } from "../../math/expression.js";
import type { Arrangement, ExtraConvolution, Extras, Layer } from "../../model/types.js";
import { BlockBuilder } from "../block-builder.js";
import { ModuleBuilder, type Surroundings } from "../module.js";
import type { Block } from "../types.js";
import { addFfn } from "./ffn.js";
import { addMixer } from "./mixer.js";

interface Part {
  readonly name: string;
  /** It takes none of the layer's norms before it. */
  readonly unnormed?: boolean;
  readonly add: (input: string) => string;
}

/** One residual branch: parts that run in parallel from the same normed input. */
interface Branch {
  readonly name: string;
  readonly parts: readonly Part[];
  /** Each part has a norm of its own. */
  readonly ownNorms: boolean;
}

/** One layer: its branches with their norms and residuals. */
export function layerBlock(layer: Layer, around: Surroundings): Block {
  const block = new BlockBuilder("layer");
  const { hidden, dtypes } = around;
  const input = block.value("x", [b, around.tokens, Expression.constant(hidden)], dtypes.activations);
  const module = (name: string, part: "attention" | "ffn"): ModuleBuilder =>
    new ModuleBuilder(block, name, around, part);
  const widened = widen(layer, block, input, around);
  const name = (kind: string, index: number, count: number): string => (count === 1 ? kind : `${kind}${index}`);
  const mixers = layer.mixers.map((mixer, index): Part => {
    const prefix = name("mixer", index, layer.mixers.length);
    const wide = mixer.kind === "attention" && mixer.inputWidth !== undefined;
    return {
      name: prefix,
      unnormed: wide || layer.withoutMixerNorm === true,
      add: (from) => {
        const source = wide ? widened : from;
        return block.module({ name: prefix, description: mixer, norm: layer.norm, input: source }, () =>
          addMixer(module(prefix, "attention"), source, mixer),
        );
      },
    };
  });
  const ffns = layer.ffns.map((ffn, index): Part => {
    const prefix = name("ffn", index, layer.ffns.length);
    return {
      name: prefix,
      add: (from) =>
        block.module({ name: prefix, description: ffn, norm: layer.norm, input: from }, () =>
          addFfn(module(prefix, "ffn"), from, ffn),
        ),
    };
  });
  let stream = input;
  for (const branch of branchesOf(mixers, ffns, layer.arrangement ?? "sequence")) {
    stream = addBranch(block, stream, branch, layer, around);
  }
  if (layer.extras !== undefined) stream = addExtras(module("extra", "ffn"), stream, layer.extras);
  return block.build([input], stream, layer);
}

function branchesOf(mixers: readonly Part[], ffns: readonly Part[], arrangement: Arrangement): Branch[] {
  const alone = (parts: readonly Part[]): Branch[] =>
    parts.map((part) => ({ name: part.name, parts: [part], ownNorms: false }));
  const together = (name: string, parts: readonly Part[], ownNorms: boolean): Branch[] =>
    parts.length === 0 ? [] : [{ name, parts, ownNorms }];
  switch (arrangement) {
    case "sequence":
      return [...alone(mixers), ...alone(ffns)];
    case "parallel":
      return together("branch", [...mixers, ...ffns], false);
    case "parallel-two-norms":
      return together("branch", [...mixers, ...ffns], true);
    case "parallel-mixers":
      return [...together("mixers", mixers, false), ...alone(ffns)];
    case "parallel-ffns":
      return [...alone(mixers), ...together("ffns", ffns, false)];
  }
}

function addBranch(block: BlockBuilder, stream: string, branch: Branch, layer: Layer, around: Surroundings): string {
  const norm = (owner: string, side: "pre" | "post", from: string): string =>
    new ModuleBuilder(block, owner, around, "norm").normalise(`${side}_norm`, from, layer.norm, around.hidden);
  const wide = branch.parts.some((part) => part.unnormed === true);
  const before = !wide && (layer.normPlacement === "pre" || layer.normPlacement === "sandwich");
  const after = layer.normPlacement === "post-branch" || layer.normPlacement === "sandwich";
  const add = (name: string, inputs: readonly string[]): string =>
    new ModuleBuilder(block, branch.name, around, "residual").elementwise(name, "add", inputs);
  const shared = before && !branch.ownNorms ? norm(branch.name, "pre", stream) : stream;
  const computed = branch.parts.map((part) =>
    part.add(before && branch.ownNorms ? norm(part.name, "pre", stream) : shared),
  );
  const [first = stream, ...others] = computed;
  let result = first;
  others.forEach((other, index) => {
    result = add(`parallel_sum${index}`, [result, other]);
  });
  const leaving = after ? norm(branch.name, "post", result) : result;
  if (layer.aside === true) return leaving;
  const sum = add("sum", [stream, leaving]);
  return layer.normPlacement === "post-residual" ? norm(branch.name, "post", sum) : sum;
}

/** Where attention reads the stream beside the embeddings (Zamba), both next to each other. */
function widen(layer: Layer, block: BlockBuilder, input: string, around: Surroundings): string {
  const wide = layer.mixers.find((mixer) => mixer.kind === "attention" && mixer.inputWidth !== undefined);
  if (wide === undefined || wide.kind !== "attention" || wide.inputWidth === undefined) return input;
  const module = new ModuleBuilder(block, "widened", around, "residual");
  const both = block.add({
    kind: "concat",
    name: "widened",
    part: "residual",
    input,
    inputs: [input],
    output: module.value("input", wide.inputWidth),
  });
  return module.normalise("norm", both, layer.norm, wide.inputWidth);
}

/** A convolution at the beginning of an encoder. It runs with the prompt, once. */
function addStem(module: ModuleBuilder, input: string, stem: ExtraConvolution): void {
  const { stride, activation } = stem;
  const positions = module.decode ? Expression.zero : positionsOf(stem, module.around.tokens);
  module.add({
    kind: "convolution",
    name: module.name(stem.name),
    part: "embedding",
    input,
    weight: module.weight(`${stem.name}.weight`, [stem.outWidth, stem.inWidth, stem.kernel]),
    bias: stem.bias ? module.weight(`${stem.name}.bias`, [stem.outWidth], "bias") : null,
    positions,
    ...(stride === undefined ? {} : { stride }),
    ...(activation === undefined ? {} : { activation }),
    output: module.value(stem.name, stem.outWidth, positions),
  });
}

function positionsOf({ positions }: ExtraConvolution, tokens: Expression): Expression {
  return typeof positions === "number"
    ? Expression.constant(positions)
    : tokens.times(positions.each).plus(positions.more);
}

/** Name of the operator that adds sines and cosines of positions. */
const sinusoids = "sinusoids";

/** Linear maps and small parameters beside the named parts; each linear map reads `input`. */
export function addExtras(module: ModuleBuilder, input: string, extras: Extras): string {
  for (const linear of extras.linears ?? []) {
    for (let time = 0; time < (linear.times ?? 1); time += 1) {
      module.linear(linear.name, input, linear.inWidth, linear.outWidth, { bias: linear.bias });
    }
  }
  for (const { name, rows, inner, columns, perSequence } of extras.products ?? []) {
    // An encoder that does not run again has no sequence.
    const once = module.around.tokens.isZero ? 0 : 1;
    const batch = perSequence === true ? once : module.around.tokens;
    module.product(name, [input], { batch, rows, inner, columns }, columns);
  }
  for (const { name, width, kernel, bias, dilation } of extras.shortConvolutions ?? []) {
    module.convolution(name, input, width, kernel, bias, dilation);
  }
  for (const convolution of extras.convolutions ?? []) addStem(module, input, convolution);
  const placed =
    extras.sinusoids === undefined ? input : module.elementwise(sinusoids, "add", [input], extras.sinusoids.first);
  const weights = Object.fromEntries((extras.weights ?? []).map(({ name, shape }) => [name, shape]));
  const result = Object.keys(weights).length === 0 ? placed : module.weighted("weights", placed, weights);
  for (const { name, shape, firstRow } of extras.weights ?? []) {
    if (firstRow !== undefined) module.weight(name, shape, "bias", firstRow);
  }
  return result;
}
