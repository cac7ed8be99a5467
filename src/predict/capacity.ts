import type { Deployment } from "./deployment.js";
import type { Interval } from "./interval.js";
import { type MemoryCurve, memoryOfStages } from "./memory.js";

/** How many sequences of n tokens fit in memory at once, and what decoding them together gives. */
export interface Capacity {
  readonly sequences: number;
  /** One decode step of all of them with n tokens each; null where none fits, or nothing is decoded. */
  readonly step: Interval | null;
  /** Tokens per second of all sequences together, over all devices; an interval like that of the step. */
  readonly tokensPerSecond: { readonly value: number; readonly low: number; readonly high: number } | null;
}

/** Most sequences that are counted: engines schedule no more at once. */
const mostSequences = 2 ** 20;

/**
 * Sequences of n tokens whose caches fit beside the weights and the activations of prefilling one of them: caches are
 * proportional to the number of sequences. Engines cap it besides (vLLM's max_num_seqs); that is not counted.
 */
function sequencesThatFit(stages: readonly MemoryCurve[], { plan, device }: Deployment, n: number): number {
  let fewest = mostSequences;
  for (const { weights, opening, cache, activations } of stages) {
    if (opening > device.memory.value) return 0;
    const free = device.memory.value - weights - activations(n);
    const each = cache(n);
    fewest = Math.min(fewest, each === 0 ? (free < 0 ? 0 : fewest) : Math.max(0, Math.floor(free / each)));
  }
  return fewest * plan.replicas;
}

/** A function of the length n. */
export function capacityOf(deployment: Deployment): (n: number) => Capacity {
  const { plan, options, decode } = deployment;
  const stages = memoryOfStages(plan, { ...options, batch: plan.replicas });
  return (n) => {
    const sequences = sequencesThatFit(stages, deployment, n);
    if (sequences === 0 || decode === null) return { sequences, step: null, tokensPerSecond: null };
    const step = deployment.curve("decode", { batch: sequences }).interval(n);
    return {
      sequences,
      step,
      tokensPerSecond: {
        value: sequences / step.seconds,
        low: sequences / step.high,
        high: sequences / step.low,
      },
    };
  };
}
