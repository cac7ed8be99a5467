import { type Seconds, bytesPerElement } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import type { AttentionOperator, ElementwiseFunction, MixOperator, ScoresOperator } from "../graph/types.js";
import { type Expression, c, n } from "../math/expression.js";
import { attentionCoefficients, attentionFeatures } from "./calibrated-attention.js";
import { type Calibration, type Stream, type StreamKind, grownBy } from "./calibration.js";
import { type OperatorTime, type Setting, classOf, rowsOf, stepsOf } from "./operator-time.js";

/**
 * Seconds per byte at a working set: straight lines between the measured points in logarithms of both, constant
 * outside them.
 */
export function interpolateStream(stream: Stream): (workingSet: number) => number {
  const points = [...stream].sort((a, b) => a.workingSet - b.workingSet);
  const xs = points.map((point) => Math.log(point.workingSet));
  const ys = points.map((point) => Math.log(point.secondsPerByte));
  const first = points[0]?.secondsPerByte ?? 0;
  const last = points[points.length - 1]?.secondsPerByte ?? 0;
  return (workingSet) => {
    const x = Math.log(workingSet);
    if (!(x > (xs[0] ?? 0))) return first;
    let right = 1;
    while (right < xs.length && x > (xs[right] ?? 0)) right += 1;
    if (right >= xs.length) return last;
    const [x0 = 0, x1 = 0] = [xs[right - 1], xs[right]];
    const [y0 = 0, y1 = 0] = [ys[right - 1], ys[right]];
    return Math.exp(y0 + ((y1 - y0) * (x - x0)) / (x1 - x0));
  };
}

/** Seconds per byte that a working set costs beyond the fastest one: what leaving the caches adds. */
export function interpolateSpill(stream: Stream): (workingSet: number) => number {
  const at = interpolateStream(stream);
  const fastest = Math.min(...stream.map(({ secondsPerByte }) => secondsPerByte));
  return (workingSet) => Math.max(0, at(workingSet) - fastest);
}

/**
 * Seconds per byte that comes from beyond the near caches. In a model that is so however small the operator is: what it reads was
 * written by another one, whose threads had dealt it out otherwise (docs/performance.md).
 */
function farthest(stream: Stream): number {
  return Math.max(...stream.map(({ secondsPerByte }) => secondsPerByte));
}

/** Seconds of a matrix product; see `gemmSchema` for the formula. */
export function gemmSeconds(weight: number, compute: number, overlap: number): number {
  const large = Math.max(weight, compute);
  if (large === 0) return 0;
  return large * (1 + (Math.min(weight, compute) / large) ** overlap) ** (1 / overlap);
}

const bytesOfWeight = bytesPerElement("float32");

/**
 * How many times as long a batch of equal products takes as it would with all threads busy to the end. ONNX Runtime cuts
 * a product into pieces only as far as there are more threads than products, and deals what it has: of three products on
 * two threads, one thread gets two. Naive attention has one product per KV head.
 */
export function unevenness(products: number, threads: number): number {
  const pieces = products * Math.max(1, Math.floor(threads / products));
  return (Math.ceil(pieces / threads) * threads) / pieces;
}

/** Which measured stream stands for an elementwise function. Activations differ little beside moving their bytes. */
const streamOf: Record<ElementwiseFunction, StreamKind> = {
  add: "add",
  multiply: "add",
  scale: "scale",
  softcap: "silu",
  silu: "silu",
  gelu: "silu",
  "gelu-tanh": "silu",
  relu: "scale",
  relu2: "scale",
};

/**
 * Time of an operator on a measured machine. `live` is what must stay in a cache while it runs (`liveBytes`).
 */
export function calibratedTime(
  row: OperatorCost,
  live: Expression,
  calibration: Calibration,
  setting: Setting,
): OperatorTime {
  const { variable, values } = setting;
  const { operator, cost } = row;
  const operators = classOf(row, setting);
  const overhead = cost.launches * calibration.perOperator;
  const streamed = (kind: StreamKind, bytes: Expression): OperatorTime => {
    const moved = bytes.times(farthest(calibration.streams[kind])).compile(variable, values);
    return {
      class: operators,
      overhead,
      work: moved,
      bound: () => "bandwidth",
    };
  };
  const moved = cost.readBytes.plus(cost.writtenBytes);
  switch (operator.kind) {
    case "linear": {
      const { perMac, perWeightByte, overlap, growth } = calibration.gemm;
      const [outWidth = 0, inWidth = 0] = row.block.weights.get(operator.weight)?.shape ?? [];
      const rows = rowsOf(row).compile(variable, values);
      const weight = cost.weightBytes.at({}) * perWeightByte;
      const element = bytesPerElement(row.block.values.get(operator.output)?.dtype ?? "float32");
      // A bias is a sum of its own: the product is written, read again, and written.
      const added = operator.bias === null ? 0 : 2 * outWidth * element;
      const perSum = farthest(calibration.streams.add);
      return {
        class: operators,
        overhead: overhead + (operator.bias === null ? 0 : calibration.perOperator),
        work: (length) => {
          const m = rows(length);
          const product = gemmSeconds(weight, m * inWidth * outWidth * perMac * grownBy(m, growth), overlap);
          return product + m * added * perSum;
        },
        bound: (length) => (rows(length) * inWidth * outWidth * perMac >= weight ? "compute" : "bandwidth"),
      };
    }
    case "attention":
      return { ...attentionTime(operator, calibration, setting), class: operators, overhead };
    case "scores":
    case "mix":
      return {
        ...productTime(row, operator, live.compile(variable, values), calibration, setting),
        class: operators,
        overhead,
      };
    case "softmax":
      return streamed("softmax", moved);
    case "norm":
      return streamed("norm", moved);
    case "rotary":
      return streamed("silu", moved);
    case "elementwise":
      return streamed(streamOf[operator.function], moved);
    case "embed":
    case "last":
    case "append":
    case "concat":
      return streamed("scale", moved);
    case "weighted":
      return streamed("add", moved);
    case "recurrence": {
      const base = withProducts(streamed("scale", moved), cost.matmulFlops, calibration.batchedPerMac, setting);
      return withSteps(base, stepsOf(row), calibration.perOperator, setting);
    }
    case "index":
    case "experts":
    case "product":
    case "convolution":
    case "scan":
    case "fourier":
      return withProducts(streamed("scale", moved), cost.matmulFlops, calibration.batchedPerMac, setting);
  }
}

/**
 * Naive attention's products. Scores are written by their product, and masked in a pass of its own, which reads the mask
 * again for every head; the mixture reads its weights more than once where they leave the caches.
 */
function productTime(
  { cost }: OperatorCost,
  operator: ScoresOperator | MixOperator,
  workingSet: (length: number) => number,
  { attention, batchedPerMac, batchedPasses, batchedGrowth, streams }: Calibration,
  { variable, values }: Setting,
): Pick<OperatorTime, "work" | "bound"> {
  const compiled = (law: Expression): ((length: number) => number) => law.compile(variable, values);
  const making = operator.kind === "scores";
  const uneven = unevenness((values.b ?? 1) * operator.kvHeads, attention.threads);
  const products = compiled(cost.attentionFlops.times((batchedPerMac * uneven) / 2));
  const moved = compiled(cost.readBytes.plus(cost.writtenBytes));
  // Each score is made, and weighs, once per dimension of a head.
  const dims = making ? operator.keyDim : operator.valueDim;
  const scores = compiled(cost.attentionFlops.times(bytesOfWeight / (2 * dims)));
  const [copy, sum] = [interpolateStream(streams.scale), interpolateStream(streams.add)];
  const spill = interpolateSpill(streams.scale);
  const masked = making && (operator.causal || operator.span.kind !== "full");
  const group = operator.heads / operator.kvHeads;
  const tokens = (operator.lengths?.queries ?? n).compile(variable, values);
  const multiplying = (length: number): number => products(length) * grownBy(group * tokens(length), batchedGrowth);
  const streaming = (length: number): number => {
    const alive = workingSet(length);
    const bytes = scores(length);
    if (!making) return moved(length) * copy(alive) + bytes * spill(alive) * batchedPasses * uneven;
    // Two of the scores' three passes are the mask's. Its sum is written elsewhere, which is fetched first.
    return (moved(length) - 2 * bytes) * copy(alive) + (masked ? 4 * bytes * sum(alive) : 0);
  };
  return {
    work: (length) => multiplying(length) + streaming(length),
    bound: (length) => (multiplying(length) >= streaming(length) ? "compute" : "bandwidth"),
  };
}

/** Each step beyond the first waits for the one before it. */
function withSteps(base: OperatorTime, steps: Expression, perStep: Seconds, setting: Setting): OperatorTime {
  const count = steps.compile(setting.variable, setting.values);
  return { ...base, work: (length) => base.work(length) + (count(length) - 1) * perStep };
}

function withProducts(base: OperatorTime, flops: Expression, perMac: number, setting: Setting): OperatorTime {
  const products = flops.times(perMac / 2).compile(setting.variable, setting.values);
  return {
    ...base,
    work: (length) => products(length) + base.work(length),
    bound: (length) => (products(length) >= base.work(length) ? "compute" : "bandwidth"),
  };
}

function attentionTime(
  operator: AttentionOperator,
  calibration: Calibration,
  { variable, values }: Setting,
): Pick<OperatorTime, "work" | "bound" | "degree"> {
  const { heads, kvHeads, keyDim, valueDim, causal } = operator;
  const newTokens = (operator.lengths?.queries ?? n).compile(variable, values);
  const totalTokens = (operator.lengths?.keys ?? n.plus(c)).compile(variable, values);
  const sizes = { heads, kvHeads, keyDim, valueDim, batch: values.b ?? 1, causal };
  const [prefill, decode] = [calibration.attention, calibration.decodeAttention];
  const [prefillRates, decodeRates] = [attentionCoefficients(prefill), attentionCoefficients(decode)];
  const work = (length: number): number => {
    const tokens = newTokens(length);
    const [rates, kernel] = tokens === 1 ? [decodeRates, decode] : [prefillRates, prefill];
    const features = attentionFeatures({ ...sizes, newTokens: tokens, totalTokens: totalTokens(length) }, kernel);
    let seconds = 0;
    for (let i = 0; i < features.length; i += 1) seconds += (features[i] ?? 0) * (rates[i] ?? 0);
    return seconds;
  };
  return {
    work,
    bound: (length) => (newTokens(length) === 1 ? "bandwidth" : "compute"),
    // The kernel masks a window and skips no work for it: its seconds are those of full attention.
    degree: variable === "n" ? 2 : 1,
  };
}
