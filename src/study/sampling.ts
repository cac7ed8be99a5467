import type { Random } from "../base/random.js";

export interface SamplingOptions {
  /** 0 takes the most likely token. */
  readonly temperature: number;
  /** Only the most likely tokens whose probabilities add up to this are drawn from (nucleus sampling, arXiv:1904.09751). */
  readonly topP: number;
}

/** Index of the next token by its logits. */
export function sample(logits: Float32Array, { temperature, topP }: SamplingOptions, random: Random): number {
  let best = 0;
  for (let i = 1; i < logits.length; i += 1) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  if (temperature === 0) return best;
  const highest = logits[best] ?? 0;
  const weights = Array.from(logits, (logit, token) => ({ token, weight: Math.exp((logit - highest) / temperature) }));
  const total = weights.reduce((sum, { weight }) => sum + weight, 0);
  const kept = topP < 1 ? nucleus(weights, topP * total) : weights;
  let left = random() * kept.reduce((sum, { weight }) => sum + weight, 0);
  for (const { token, weight } of kept) {
    left -= weight;
    if (left < 0) return token;
  }
  return kept.at(-1)?.token ?? best;
}

interface Weighed {
  readonly token: number;
  readonly weight: number;
}

function nucleus(weights: readonly Weighed[], wanted: number): Weighed[] {
  const sorted = weights.toSorted((a, b) => b.weight - a.weight);
  let sum = 0;
  const end = sorted.findIndex(({ weight }) => {
    sum += weight;
    return sum >= wanted;
  });
  return end < 0 ? sorted : sorted.slice(0, end + 1);
}
