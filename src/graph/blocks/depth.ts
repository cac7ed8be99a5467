import { Expression, b } from "../../math/expression.js";
import { BlockBuilder } from "../block-builder.js";
import { ModuleBuilder, type Surroundings } from "../module.js";
import type { Block } from "../types.js";

/** One mixture over depth, and how many streams it mixes. */
export interface DepthSite {
  readonly name: string;
  readonly streams: number;
}

/** What the two branches of a layer mix: the streams kept so far, its own where it begins a block, and the sum since. */
export function sitesOfLayer(layer: number, perBlock: number): DepthSite[] {
  return [
    { name: "mixer", streams: Math.ceil(layer / perBlock) + 1 },
    { name: "ffn", streams: Math.floor(layer / perBlock) + 2 },
  ];
}

/** What stands before the final norm. */
export function sitesOfOutput(layers: number, perBlock: number): DepthSite[] {
  return [{ name: "output", streams: Math.ceil(layers / perBlock) + 1 }];
}

/**
 * Mixtures over depth (attention residuals, arXiv:2603.15031): each of the streams, normed, is multiplied by one learned
 * query; the softmax of these products weighs the streams. One stream alone is mixed with nothing, though its site has
 * the weights.
 */
export function depthBlock(sites: readonly DepthSite[], around: Surroundings): Block {
  const block = new BlockBuilder("depth");
  const { hidden, tokens, dtypes } = around;
  const module = new ModuleBuilder(block, "depth", around, "residual");
  let stream = block.value("x", [b, tokens, Expression.constant(hidden)], dtypes.activations);
  const inputs = [stream];
  for (const { name, streams } of sites) {
    if (streams > 1) {
      const kept = module.value(`${name}_kept`, streams * hidden);
      const over = { batch: tokens, inner: hidden, columns: 1, rows: streams };
      const scores = module.product(`${name}_scores`, [kept], over, streams);
      stream = module.product(
        `${name}_mixture`,
        [kept, scores],
        { batch: tokens, rows: 1, inner: streams, columns: hidden },
        hidden,
      );
      // The last site's streams are those of the ones before, and perhaps one more.
      inputs.splice(1, 1, kept);
    }
    stream = module.weighted(`${name}_weights`, stream, { [`${name}_query`]: [hidden], [`${name}_norm`]: [hidden] });
  }
  return block.build(inputs, stream);
}
