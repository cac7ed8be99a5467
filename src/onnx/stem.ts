import type { Block, BlockInstance, ConvolutionOperator } from "../graph/types.js";
import { Emitter } from "./emitter.js";
import { int, ints } from "./proto.js";
import type { Scope } from "./scope.js";

/** The convolution that makes a token of each patch of a picture: patches stand side by side, with nothing between. */
const patches = "patches";

/** A norm over all channels and positions behind the first convolution (Moonshine): its weight, then its bias. */
export const stemNorm = "stem_norm";
/** Its epsilon (transformers, models/moonshine). */
const epsilon = 1e-5;

/** Whether an instance is what stands in front of a stack. */
export function isStackExtras({ block }: BlockInstance): boolean {
  return block.name === "extras";
}

/** What an encoder of sound or pictures reads of each sequence. */
export interface Features {
  /** Bins of a spectrum, channels of all patches' pixels, or 1 of plain sound. */
  readonly bins: number;
  /** Of each sequence: so many, and so many more for each of the encoder's tokens. */
  readonly frames: number;
  readonly each: number;
}

function isOfPatches({ name }: ConvolutionOperator): boolean {
  return name === `extra.${patches}`;
}

/** The convolutions that an encoder of sound or pictures begins with. */
export function stemOf(block: Block): ConvolutionOperator[] {
  return block.operators.filter((operator) => operator.kind === "convolution");
}

/** What the convolutions of an encoder's beginning read; null where it has none. */
export function featuresOf(instance: BlockInstance | undefined): Features | null {
  if (instance === undefined || !isStackExtras(instance)) return null;
  const [first] = stemOf(instance.block);
  if (first === undefined) return null;
  const [, bins = 0, kernel = 1] = instance.block.weights.get(first.weight)?.shape ?? [];
  const framesOf = (m: number): number => {
    const positions = first.positions.at({ m });
    if (isOfPatches(first)) return positions * kernel;
    return first.stride === undefined ? positions : (positions - 1) * first.stride + kernel;
  };
  return { bins, frames: framesOf(0), each: framesOf(1) - framesOf(0) };
}

/**
 * Convolutions with an activation behind each. One with a stride of its own has nothing around its input; of others one that
 * has fewer positions than the one before strides. One of patches stands alone. [b, positions, width]
 */
export function lowerStem(input: string, stem: readonly ConvolutionOperator[], scope: Scope): string {
  const { builder } = scope;
  let result = input;
  let before = stem[0]?.positions.at({}) ?? 0;
  for (const convolution of stem) {
    const { name, weight, bias, positions, stride } = convolution;
    const kernel = scope.weight(weight).weight.shape[2] ?? 1;
    const inputs = [result, scope.parameter(weight), ...(bias === null ? [] : [scope.parameter(bias)])];
    if (isOfPatches(convolution)) {
      const attributes = { kernel_shape: ints([kernel]), strides: ints([kernel]) };
      result = builder.node(scope.fresh(name), "Conv", inputs, { attributes });
      continue;
    }
    const now = positions.at({});
    const side = stride === undefined ? (kernel - 1) / 2 : 0;
    const convolved = builder.node(scope.fresh(name), "Conv", inputs, {
      attributes: {
        kernel_shape: ints([kernel]),
        pads: ints([side, side]),
        strides: ints([stride ?? Math.round(before / now)]),
      },
    });
    const bent = convolution.activation === "tanh" ? "Tanh" : "Gelu";
    result = builder.node(scope.fresh(`${name}.activated`), bent, [convolved]);
    if (convolution === stem[0] && scope.hasWeight(`extra.${stemNorm}`)) result = normed(result, scope);
    before = now;
  }
  return builder.node(scope.fresh("stem"), "Transpose", [result], { attributes: { perm: ints([0, 2, 1]) } });
}

/** All channels and positions of a sequence normed together, [b, width, positions]; then each channel scaled and moved. */
function normed(x: string, scope: Scope): string {
  const e = new Emitter(scope, "extra", "embedding", "stem");
  const mean = (of: string): string => e.node("ReduceMean", [of, e.list([1, 2])]);
  const centred = e.subtract(x, mean(x));
  const deviation = e.node("Sqrt", [e.add(mean(e.multiply(centred, centred)), scope.builder.scalar(epsilon))]);
  const [weight = "", bias = ""] = e.nodes("Split", [e.weight(stemNorm)], 2, { axis: int(0), num_outputs: int(2) });
  const column = (row: string): string => e.reshape(row, [-1, 1]);
  return e.add(e.multiply(e.node("Div", [centred, deviation]), column(weight)), column(bias));
}
