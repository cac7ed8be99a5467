// Published runs as the parts that profiles of engines are fitted to: seconds by class of operators, of the kernels alone.
import { engineOf } from "../dist/hardware/engine.js";
import { engineKey } from "../dist/hardware/engine-key.js";
import { factored } from "../dist/hardware/engine-rows.js";
import { peakPerJoule, powerLimit } from "../dist/hardware/power.js";
import { predictCurve } from "../dist/predict/index.js";

/** @typedef {import("./runs-data.mjs").Run} Run */
/**
 * @typedef {object} Timed
 * @property {Run} run
 * @property {string} engine whose profile it belongs to
 * @property {string} bits of the products: 16, 8 or 4
 * @property {number[]} parts seconds by group of classes before any engine's factors
 * @property {readonly number[]} products seconds of products with their arithmetic `slowdowns` times as slow
 * @property {number | null} perJoule of the device, as power.ts has it
 * @property {number} variance of log seconds that the spreads of its classes make
 */

/** Classes that share a factor, in the order of `factored`, and the prior spread of its logarithm. @type {[string, string[], number][]} */
export const groups = [
  ["gemm", ["gemm"], 0.7],
  ["attention", ["attention"], 0.4],
  ["gemv", ["gemv"], 0.35],
  ["decode-attention", ["decode-attention"], 0.3],
  ["vector", ["vector", "lookup"], 0.3],
  ["overhead", ["overhead"], 0.5],
  ["network", ["network"], 0.7],
];
if (groups.some(([name], i) => name !== factored[i])) throw new Error("groups in another order than rows have them");
/** Chunk that an engine splits prompts into when it does so with one request alone. */
export const chunks = new Set(["llama.cpp-cuda", "llama.cpp-metal", "llama.cpp-cpu", "mlx"]);

export const ofDevice = (/** @type {Timed} */ { run }) => run.device.name;
export const ofSource = (/** @type {Timed} */ { run }) => run.source;
export const ofModel = (/** @type {Timed} */ { run }) => run.modelKey;

/** Which of a profile's spreads a run's is. @param {Timed} row @returns {"prefill" | "decode" | "batched"} */
export const passOf = ({ run }) => (run.phase === "decode" && run.batch > 1 ? "batched" : run.phase);

/** @param {Run} run */
export function curveOptions(run) {
  const { attention } = run;
  const { chunk } = engineOf(run.device, run.engine, run.model.dtypes, attention);
  return {
    phase: run.phase,
    engineName: run.engine,
    operands: run.operands,
    batch: run.batch,
    depth: run.depth,
    parallel: { tensor: run.gpus, pipeline: 1, expert: 1, context: 1 },
    ...(attention === null ? {} : { attention }),
    ...(run.phase === "prefill" && chunks.has(run.engine) ? { chunk: run.chunk ?? chunk } : {}),
  };
}

/** How much slower than the kernels' the arithmetic of products is taken; between these, logarithms are interpolated. */
const slowdowns = [0.5, 1, 2, 4, 8];

/** @param {Run} run @returns {Timed | null} null where the devices do not divide the model */
export function timed(run) {
  try {
    // The kernels alone: a fit that started from another fit would not come to the same end.
    const known = engineOf(run.device, run.engine, run.model.dtypes, run.attention);
    const plain = { common: 0, classes: 1 };
    const ownEngine = {
      ...known,
      factors: {},
      slowProducts: 1,
      perStep: 0,
      logSpreads: { prefill: plain, decode: plain, batched: plain },
    };
    const options = curveOptions(run);
    const curve = predictCurve(run.model, run.device, { ...options, ownEngine });
    const seconds = new Map(curve.components.map((one) => [one.name, one.seconds(run.n)]));
    const products = slowdowns.map((slowProducts) => {
      if (slowProducts === 1 || !seconds.has("gemm")) return seconds.get("gemm") ?? 0;
      const { components } = predictCurve(run.model, run.device, {
        ...options,
        ownEngine: { ...ownEngine, slowProducts },
      });
      return components.find(({ name }) => name === "gemm")?.seconds(run.n) ?? 0;
    });
    const parts = groups.map(([, classes]) =>
      classes.reduce((sum, name) => sum + (seconds.get(/** @type {any} */ (name)) ?? 0), 0),
    );
    const whole = parts.reduce((sum, part) => sum + part, 0);
    const variance = curve.components.reduce(
      (sum, { name, logSpread }) => sum + (((seconds.get(name) ?? 0) / whole) * logSpread) ** 2,
      0,
    );
    const engine = engineKey(run.engine, run.attention, run.device);
    return { run, engine, bits: bitsOf(run), parts, products, perJoule: peakPerJoule(run.device), variance };
  } catch (error) {
    if (error instanceof Error && error.message.includes("--tp")) return null;
    throw error;
  }
}

/** Seconds of products with their arithmetic so much slower. @param {readonly number[]} products @param {number} slowdown */
function productSeconds(products, slowdown) {
  if (products[0] === undefined || products[0] === 0) return 0;
  const place = Math.log2(slowdown / (slowdowns[0] ?? 1));
  const i = Math.max(0, Math.min(slowdowns.length - 2, Math.floor(place)));
  const [low = 1, high = 1] = products.slice(i, i + 2);
  return low * (high / low) ** (place - i);
}

/** Bits that products run in: quantised weights run at 8 bits in llama.cpp on NVIDIA, as activations elsewhere. @param {Run} run */
function bitsOf({ model, engine }) {
  const { weights } = model.dtypes;
  const narrow = /8|4/.test(weights) && !/16|32|64/.test(weights);
  if (!narrow) return "16";
  return engine === "llama.cpp-cuda" ? "8" : /float8|int8/.test(weights) ? "8" : "4";
}

/** What a profile makes of them. @typedef {{factors: number[], perStep: number, sustained: number}} Rates */

/** @param {Rates} rates @param {Pick<Timed, "parts" | "products" | "perJoule">} row */
export function total({ factors, perStep, sustained }, { parts, products, perJoule }) {
  let sum = perStep + productSeconds(products, (factors[0] ?? 1) * powerLimit(perJoule, sustained));
  for (let i = 1; i < parts.length; i += 1) sum += (factors[i] ?? 1) * (parts[i] ?? 0);
  return sum;
}

/** @param {Rates} rates @param {Timed} row */
export const logOf = (rates, row) => Math.log(total(rates, row) / row.run.seconds);
