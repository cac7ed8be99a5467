import type { Seconds } from "../base/units.js";
import { type OperatorCost, priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { gemmSeconds } from "../hardware/calibrated.js";
import { attentionFeatures } from "../hardware/calibrated-attention.js";
import { type AttentionRates, type GemmRates, noGrowth } from "../hardware/calibration.js";
import { median } from "../math/median.js";
import { rowsOf } from "../hardware/operator-time.js";
import { readConfig } from "../model/hf/read-config.js";
import { withDtype } from "../variants/dtype.js";
import { type FittedRates, type Onset, growths, leastMisfit, leastSpread, usualGrowth } from "./calibration-fit.js";
import { type LlamaCell, type LlamaShapes, longestInPlan } from "./llama-calibration-plan.js";
import { fitRelative, leastOf, rootMeanSquare } from "./relative-fit.js";

/** Seconds of one step of a tiny model. */
export interface LlamaTimed {
  readonly shapes: LlamaShapes;
  readonly cell: LlamaCell;
  readonly seconds: Seconds;
}

/** What llama.cpp was measured with; the weights of the tiny models. */
export const llamaDtype = "float16";

/** A matrix product, as often as a pass runs it. */
interface Product {
  readonly times: number;
  readonly macs: number;
  readonly weightBytes: number;
}

interface Attention {
  readonly times: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly dims: number;
}

/** What a pass through a tiny model does, in the units that a prediction counts it in. */
interface Pass {
  readonly products: readonly Product[];
  readonly attention: readonly Attention[];
  /** Bytes that everything else moves. */
  readonly streamed: number;
  readonly launches: number;
}

function rowsOfShapes({ layers, hidden, heads, kvHeads, headDim, ffn, vocabulary }: LlamaShapes): OperatorCost[] {
  const config = {
    model_type: "llama",
    num_hidden_layers: layers,
    hidden_size: hidden,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    intermediate_size: ffn,
    vocab_size: vocabulary,
    tie_word_embeddings: true,
  };
  const model = withDtype(readConfig(config, "calibration", "calibration"), llamaDtype);
  return priceGraph(buildGraph(model, { phase: "prefill", attention: "fused", head: "last" }));
}

function passOf(rows: readonly OperatorCost[], { n, depth }: LlamaCell): Pass {
  const products: Product[] = [];
  const attention: Attention[] = [];
  let [streamed, launches] = [0, 0];
  const add = ({ operator, block, cost }: OperatorCost, times: number, tokens: number): void => {
    if (times === 0) return;
    const at = { n: tokens, c: depth, b: 1, m: 0 };
    launches += times * cost.launches;
    if (operator.kind === "linear") {
      const [out = 0, inner = 0] = block.weights.get(operator.weight)?.shape ?? [];
      const macs = rowsOf({ operator, block, cost, times }).at(at) * out * inner;
      products.push({ times, macs, weightBytes: cost.weightBytes.at({}) });
    } else if (operator.kind === "attention") {
      const { heads, kvHeads, keyDim, valueDim } = operator;
      attention.push({ times, heads, kvHeads, dims: keyDim + valueDim });
    } else streamed += times * cost.readBytes.plus(cost.writtenBytes).at(at);
  };
  for (const row of rows) {
    // Behind the last layer's attention llama.cpp keeps only the tokens whose logits are wanted: one.
    const kept = row.operator.name.startsWith("ffn.") ? 1 : 0;
    add(row, row.times - kept, n);
    add(row, kept, 1);
  }
  return { products, attention, streamed, launches };
}

type Kernel = Pick<AttentionRates, "tileElements" | "threads" | "growth">;

/** A later key is masked row by row; rows are dealt to the threads in pieces so small that all of them end together. */
function kernelWith(growth: Onset): Kernel {
  return { tileElements: 0, threads: 1, growth: { ...growth, to: longestInPlan } };
}
const level: Onset = { from: 1024, exponent: 0 };

interface Shape {
  /** Multiply-adds that take as long as fetching a byte of weights. */
  readonly macsPerByte: number;
  readonly overlap: number;
  readonly growth: Onset;
}

/** Pairs × dims, pairs, and elements of the cache that are read. */
function attentionColumns(attention: readonly Attention[], { n, depth }: LlamaCell, growth: Onset) {
  let [pairDims, pairs, cached] = [0, 0, 0];
  for (const { times, heads, kvHeads, dims } of attention) {
    const sizes = { heads, kvHeads, keyDim: dims / 2, valueDim: dims / 2, batch: 1, causal: true };
    const features = attentionFeatures({ ...sizes, newTokens: n, totalTokens: n + depth }, kernelWith(growth));
    pairDims += times * (features[0] ?? 0);
    pairs += times * (features[1] ?? 0);
    cached += times * (features[3] ?? 0);
  }
  return { pairDims, pairs, cached };
}

/** Products, what else moves bytes, operators, the pass, and attention by dims and by pairs. */
function columnsOf(pass: Pass, cell: LlamaCell, { macsPerByte, overlap, growth }: Shape): number[] {
  let products = 0;
  for (const { times, macs, weightBytes } of pass.products) {
    products += times * gemmSeconds(weightBytes, macs / macsPerByte, overlap);
  }
  const { pairDims, pairs } = attentionColumns(pass.attention, cell, growth);
  return [products, pass.streamed, pass.launches, 1, pairDims, pairs];
}

const overlaps = [1, 2, 8] as const;
/** Between reading a byte of weights and a multiply-add lie a slow memory beside wide units, and the contrary. */
const ratios = [0.25, 0.5, 1, 2, 4, 8, 16, 32] as const;
/** Steps between two of them. */
const betweenRatios = [0.6, 0.7, 0.84, 1, 1.19, 1.41, 1.68] as const;

/** Nothing that is timed takes no time: what cannot be told from the rest is this little, in seconds per byte. */
const leastPerByte = 1e-15;

/**
 * The rates of the machine that took these times. What is not attention or a matrix product moves bytes at one rate, whatever
 * it computes: a model runs as a whole, and tells no more.
 */
export function fitLlama(timed: readonly LlamaTimed[]): FittedRates {
  const passes = new Map<string, OperatorCost[]>();
  const all = timed.map(({ shapes, cell, seconds }) => {
    const key = JSON.stringify(shapes);
    const rows = passes.get(key) ?? rowsOfShapes(shapes);
    passes.set(key, rows);
    return { cell, seconds, pass: passOf(rows, cell) };
  });
  // One token reads the cache, by a kernel of its own.
  const decoding = all.filter(({ cell: { n, depth } }) => n === 1 && depth > 0);
  const cells = all.filter((one) => !decoding.includes(one));
  const seconds = cells.map((one) => one.seconds);
  const fitWith = (shape: Shape) => {
    const rows = cells.map(({ pass, cell }) => columnsOf(pass, cell, shape));
    return { shape, rows, ...fitUndisturbed(rows, seconds) };
  };
  const start: Shape = { macsPerByte: 1, overlap: 2, growth: level };
  const rough = leastOf([start, ...ratios.map((macsPerByte) => ({ ...start, macsPerByte }))], fitWith, misfit).shape;
  const finer = overlaps.flatMap((overlap) =>
    betweenRatios.map((step) => ({ ...rough, overlap, macsPerByte: rough.macsPerByte * step })),
  );
  const { shape } = leastOf([rough, ...finer], fitWith, misfit);
  // Keys only leave the caches as there are more; that they seem to come nearer is stalls, which weigh most in short cells.
  const { rows, beta, weights, ...found } = leastOf(
    [level, ...growths.filter(({ exponent }) => exponent > 0)],
    (growth) => fitWith({ ...shape, growth }),
    (one) =>
      cells.length * Math.log(misfit(one) ** 2 + leastMisfit ** 2) + (one.shape.growth.exponent / usualGrowth) ** 2,
  );
  const { macsPerByte, overlap, growth } = found.shape;
  const [perWeightByte = 0, perByte = 0, perOperator = 0, perRun = 0, perPairDim = 0, perPair = 0] = beta;
  if (!(perWeightByte > 0)) throw new Error("no product was timed");
  const gemm: GemmRates = { perMac: perWeightByte / macsPerByte, perWeightByte, overlap, growth: noGrowth };
  const decode = fitUndisturbed(
    decoding.map(({ pass, cell }) => {
      const { pairs, cached } = attentionColumns(pass.attention, cell, level);
      return [cached, pairs];
    }),
    decoding.map(({ pass, cell, seconds: whole }) => {
      const others = columnsOf(pass, cell, found.shape).slice(0, 4);
      const taken = others.reduce((sum, value, k) => sum + value * (beta[k] ?? 0), 0);
      return Math.max(whole - taken, whole * leastShare);
    }),
  );
  const none = { perPairDim: 0, perPair: 0, perNewDim: 0, perCachedDim: 0, perCall: 0 };
  const stream = [{ workingSet: 1, secondsPerByte: Math.max(leastPerByte, perByte) }];
  const spreadOf = (columns: readonly number[], accepts: (cell: LlamaCell) => boolean): number =>
    spreadWhere(rows, seconds, beta, columns, (index) => {
      return weights[index] === 1 && accepts(cells[index]?.cell ?? { n: 0, depth: 0 });
    });
  return {
    gemm,
    // No product of two activations was timed: naive attention, whose kind this is, is not predicted from these rates.
    batchedPerMac: gemm.perMac,
    batchedPasses: 0,
    batchedGrowth: noGrowth,
    attention: { ...kernelWith(growth), ...none, perPairDim, perPair },
    decodeAttention: {
      ...kernelWith(level),
      ...none,
      perCachedDim: decode.beta[0] ?? 0,
      perPair: decode.beta[1] ?? 0,
    },
    streams: { scale: stream, add: stream, silu: stream, norm: stream, softmax: stream },
    perOperator,
    perRun,
    spreads: {
      gemm: Math.hypot(
        spreadOf([0], ({ n }) => n > 1),
        leastSpread.products,
      ),
      gemv: Math.hypot(
        spreadOf([0], ({ n }) => n === 1),
        leastSpread.products,
      ),
      attention: Math.hypot(
        spreadOf([4, 5], () => true),
        leastSpread.attention,
      ),
      "decode-attention": Math.hypot(decode.spread, unsureDecode),
      vector: leastSpread.overhead,
      lookup: leastSpread.overhead,
      overhead: leastSpread.overhead,
    },
  };
}

/** A cell that takes so much longer than the law has it was disturbed each time, and says nothing. */
const leastDisturbance = 0.08;
const disturbedWeight = 0.02;
const trims = 5;

/**
 * Fits relatively, and again without what takes longer than the law by much: a machine whose threads spin for each other
 * stays slow for a tenth of a second once it is disturbed, and what disturbs it never makes it faster.
 */
function fitUndisturbed(rows: readonly (readonly number[])[], seconds: readonly number[]) {
  let weights = seconds.map(() => 1);
  let fit = fitRelative(rows, seconds, weights);
  for (let trim = 0; trim < trims; trim += 1) {
    const over = logsOf(rows, seconds, fit.beta);
    const kept = over.filter((_, index) => weights[index] === 1).map(Math.abs);
    // Half of all stay, whatever they say.
    const most = Math.max(leastDisturbance, 2 * median(kept), median(over));
    weights = over.map((log) => (log > most ? disturbedWeight : 1));
    fit = fitRelative(rows, seconds, weights);
  }
  return { ...fit, weights, logs: logsOf(rows, seconds, fit.beta) };
}

/** Logarithms of measured over fitted seconds. */
function logsOf(rows: readonly (readonly number[])[], seconds: readonly number[], beta: readonly number[]): number[] {
  return rows.map((row, index) =>
    Math.log((seconds[index] ?? 1) / row.reduce((sum, value, k) => sum + value * (beta[k] ?? 0), 0)),
  );
}

/** By which laws are compared: each may have left out other cells, so all count, none of them for more than this. */
const mostMisfit = 0.15;

function misfit({ logs }: { readonly logs: readonly number[] }): number {
  return rootMeanSquare(logs.map((log) => Math.min(mostMisfit, Math.abs(log))));
}

/** Of the seconds of a step that is mostly overhead, what is left for its attention at least. */
const leastShare = 0.1;
/** A single token after some thousand cached ones takes a millisecond, most of it overhead: what the cache adds is less sure. */
const unsureDecode = 0.3;
/** Share of a cell's seconds from which on it tells about a class. */
const telling = 0.5;

/** How far the law misses the cells that are mostly of some columns, as a share of what those columns take. */
function spreadWhere(
  rows: readonly (readonly number[])[],
  seconds: readonly number[],
  beta: readonly number[],
  columns: readonly number[],
  accepts: (index: number) => boolean,
): number {
  const misses = rows.flatMap((row, index) => {
    const parts = row.map((value, k) => value * (beta[k] ?? 0));
    const total = parts.reduce((sum, part) => sum + part, 0);
    const share = columns.reduce((sum, k) => sum + (parts[k] ?? 0), 0) / total;
    if (share < telling || !accepts(index)) return [];
    return [Math.log(total / (seconds[index] ?? 1)) / share];
  });
  return rootMeanSquare(misses);
}
