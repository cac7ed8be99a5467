import { fnv1a } from "../base/hash.js";
import { seededRandom } from "../base/random.js";
import type { Weight } from "../graph/types.js";

/** Where the numbers of a model's parameters come from. */
export interface WeightSource {
  /**
   * Fills `target` with the parameter `name` (`layers.3.mixer.query.weight`) as it is stored: row-major, float32,
   * as many elements as `weight.shape` says.
   */
  read(name: string, weight: Weight, target: Float32Array): Promise<void>;
}

/** Half the width of the noise around 1 (or 0) in norms and around 0 in biases. */
const noise = 0.1;

/**
 * Random parameters of a trained model's size: matrices uniform with variance 1/fan-in, norms around what leaves the
 * stream as it is, small biases. The same seed and name give the same numbers, in whatever order they are read.
 * No value is a denormal: the smallest nonzero magnitude is 2⁻³¹ of the largest.
 */
export function syntheticWeights(seed: number): WeightSource {
  return {
    read: async (name, weight, target) => {
      const fanIn = weight.shape[weight.shape.length - 1] ?? 1;
      // A uniform deviate on [−a, a) has the variance a²/3.
      const amplitude = weight.init === "matrix" ? Math.sqrt(3 / fanIn) : noise;
      const centre = weight.init === "one" ? 1 : 0;
      const random = seededRandom(fnv1a(name, seed));
      for (let i = 0; i < target.length; i += 1) target[i] = centre + (2 * random() - 1) * amplitude;
    },
  };
}
