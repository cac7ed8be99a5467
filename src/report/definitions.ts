import type { Fact } from "./data.js";

/** What the words of a report mean; every report states them, so that it can be read alone. */
export const definitions: readonly Fact[] = [
  {
    label: "Length",
    value:
      "In prefill, n: the tokens of the input, none of them cached. In decode, the context: the tokens already in the KV cache before the step. k = 1024, M = 1024².",
  },
  {
    label: "Prefill",
    value:
      "One forward pass over the whole input, up to the logits that give the first output token. Its time is that of the pass alone: no queueing, no network, no tokenising.",
  },
  {
    label: "Decode",
    value:
      "One forward pass for one new token that attends to all cached tokens and to itself. Without a KV cache: the whole prefix again for each token.",
  },
  {
    label: "Measured",
    value:
      "Median of the repeats; the spread is from the fastest to the slowest. Lengths are shuffled in complete blocks; warm-ups and rejected samples do not count.",
  },
  {
    label: "Predicted",
    value:
      "Every operator of the model, timed as overhead + max(FLOPs / rate, bytes / bandwidth), added up. Nothing measured on this model enters it. The range is an interval for the median.",
  },
  { label: "Ratio", value: "Measured median over predicted time. Inside: the median lies within the predicted range." },
  {
    label: "They agree",
    value:
      "The median ratio is within 0.9–1.1 and every ratio within 0.8–1.25; roughly: the median within 0.8–1.25; otherwise they disagree.",
  },
  {
    label: "Law",
    value:
      "A function of length fitted to the samples, errors weighed relative to the time. Beyond the lengths it rests on it is an extrapolation, drawn dashed: a change of kernel, a full cache or memory, or a window can break it.",
  },
  {
    label: "Crossover",
    value:
      "The length at which the terms of degree two and more equal the rest: from there on n² costs more than everything else together.",
  },
  { label: "Attention half", value: "The length at which attention takes half of the seconds." },
  {
    label: "Local exponent",
    value:
      "d log T / d log n: 1 where twice the length takes twice the time, 2 where it takes four times. Between measured lengths it is the slope from one to the next.",
  },
  {
    label: "FLOPs",
    value:
      "A multiply-add counts as 2. Causal attention counts its exact n(n+1)/2 pairs; the output head one position.",
  },
];
