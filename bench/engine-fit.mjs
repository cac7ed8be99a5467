// What published runs of an engine take beyond its kernels: a factor per class of operators and seconds per pass.
import { engineOf } from "../dist/hardware/engine.js";
import { predictCurve } from "../dist/predict/index.js";
import { robustFit, spreadOf } from "./robust-fit.mjs";

/** @typedef {import("./runs-data.mjs").Run} Run */
/**
 * @typedef {object} Timed
 * @property {Run} run
 * @property {string} bits of the products: 16, 8 or 4
 * @property {Record<string, number>} parts seconds by class before any engine's factors
 */
/** @typedef {{engine: string, class: string, bits: string, rows: number, factors: Record<string, number>, perStep: number, spread: number}} EngineFit */

/** Classes that share a factor, and the prior spread of its logarithm. @type {[string, string[], number][]} */
const groups = [
  ["gemm", ["gemm"], 0.7],
  ["attention", ["attention"], 0.4],
  ["gemv", ["gemv"], 0.25],
  ["decode-attention", ["decode-attention"], 0.3],
  ["vector", ["vector", "lookup"], 0.3],
  ["overhead", ["overhead"], 0.5],
  ["network", ["network"], 0.7],
];
/** Engines whose own kernels the tables timed: products and attention can hardly differ from them; the rest can. */
const ownKernels = new Set(["vllm", "sglang", "tensorrt-llm"]);
const ownSpread = 0.15;
/** @param {string} engine @param {string} name @param {number} width */
const priorWidth = (engine, name, width) =>
  ownKernels.has(engine) && (name === "gemm" || name === "attention") ? ownSpread : width;
/** Sweeps have many rows that say the same: more rows than these together say no more than these. */
const mostRows = 40;
/** Seconds of a pass beside its kernels: a few hundred microseconds, give or take a factor of five. */
const usualStep = 2e-4;
const stepSpread = 1.2;
const fewest = 12;

/** Chunk that an engine splits prompts into when it does so with one request alone. */
const chunks = new Set(["llama.cpp-cuda", "llama.cpp-metal", "llama.cpp-cpu", "mlx"]);

/** @param {Run} run */
export function curveOptions(run) {
  const engine = engineOf(run.device, run.engine);
  return {
    phase: run.phase,
    engineName: run.engine,
    batch: run.batch,
    depth: run.depth,
    parallel: { tensor: run.gpus, pipeline: 1, expert: 1, context: 1 },
    ...(run.phase === "prefill" && chunks.has(run.engine) && engine.chunk !== null ? { chunk: engine.chunk } : {}),
  };
}

/** @param {Run} run @returns {Timed | null} null where the devices do not divide the model */
export function timed(run) {
  try {
    // The kernels alone: a fit that started from another fit would not come to the same end.
    const ownEngine = { ...engineOf(run.device, run.engine, run.model.dtypes), factors: {}, perStep: 0 };
    const curve = predictCurve(run.model, run.device, { ...curveOptions(run), ownEngine });
    const parts = Object.fromEntries(curve.components.map(({ name, seconds }) => [name, seconds(run.n)]));
    return { run, bits: bitsOf(run), parts };
  } catch (error) {
    if (error instanceof Error && error.message.includes("--tp")) return null;
    throw error;
  }
}

/** Bits that products run in: quantised weights run at 8 bits in llama.cpp on NVIDIA, as activations elsewhere. @param {Run} run */
function bitsOf({ model, engine }) {
  const { weights } = model.dtypes;
  const narrow = /8|4/.test(weights) && !/16|32|64/.test(weights);
  if (!narrow) return "16";
  return engine === "llama.cpp-cuda" ? "8" : /float8|int8/.test(weights) ? "8" : "4";
}

/** @param {number[]} theta @param {Record<string, number>} parts */
function total(theta, parts) {
  let sum = Math.exp(theta.at(-1) ?? 0);
  groups.forEach(([, classes], i) => {
    for (const name of classes) sum += Math.exp(theta[i] ?? 0) * (parts[name] ?? 0);
  });
  return sum;
}

/** How far one device's factors lie from those of its class, as the prior of a fit to its own runs. */
const deviceSpread = 0.35;
const deviceRest = 0.15;
const wholeDevice = new Set(["gemm", "attention"]);
/** A device's own runs are few: what they scatter says less than this of another model. */
const leastDeviceSpread = 0.1;
const fewestOfDevice = 8;

/** @param {Timed[]} rows @param {Omit<EngineFit, "rows" | "factors" | "perStep" | "spread">} about @param {EngineFit} [ofClass] prior of a device's own fit @returns {EngineFit} */
function fitGroup(rows, about, ofClass) {
  const start =
    ofClass === undefined
      ? [...groups.map(() => 0), Math.log(usualStep)]
      : [...groups.map(([name]) => Math.log(ofClass.factors[name] ?? 1)), Math.log(ofClass.perStep)];
  const spread =
    ofClass === undefined
      ? [...groups.map(([name, , width]) => priorWidth(about.engine, name, width)), stepSpread]
      : [...groups.map(([name]) => (wholeDevice.has(name) ? deviceSpread : deviceRest)), deviceSpread];
  const weight = Math.min(1, Math.sqrt(mostRows / rows.length));
  const theta = robustFit((at) => rows.map(({ run, parts }) => weight * Math.log(total(at, parts) / run.seconds)), {
    start,
    spread,
    soft: 0.15,
  });
  const logs = rows.map(({ run, parts }) => Math.log(run.seconds / total(theta, parts)));
  const factors = Object.fromEntries(
    groups.flatMap(([, classes], i) => classes.map((name) => [name, Math.exp(theta[i] ?? 0)])),
  );
  return { ...about, rows: rows.length, factors, perStep: Math.exp(theta.at(-1) ?? 0), spread: spreadOf(logs) };
}

/**
 * One fit per engine, device class and bits; one per engine and bits; one per engine; one per device with runs of its own.
 *
 * @param {Timed[]} rows
 */
export function engineFits(rows) {
  /** @type {EngineFit[]} */
  const fits = [];
  for (const engine of new Set(rows.map(({ run }) => run.engine))) {
    const own = rows.filter(({ run }) => run.engine === engine);
    const classes = [...new Set(own.map(({ run }) => run.device.class)), "any"];
    for (const name of classes) {
      for (const bits of ["16", "8", "4", "any"]) {
        const members = own.filter(
          (row) => (name === "any" || row.run.device.class === name) && (bits === "any" || row.bits === bits),
        );
        if (members.length >= fewest) fits.push(fitGroup(members, { engine, class: name, bits }));
      }
    }
  }
  return [...fits, ...deviceFits(rows, fits)];
}

/** Devices with runs of their own, each about its class. @param {Timed[]} rows @param {EngineFit[]} ofClasses */
function deviceFits(rows, ofClasses) {
  /** @type {Map<string, Timed[]>} */
  const families = new Map();
  for (const row of rows) {
    const key = [row.run.engine, row.run.device.name, row.bits].join(" | ");
    families.set(key, [...(families.get(key) ?? []), row]);
  }
  return [...families.values()].flatMap((members) => {
    const [first] = members;
    // Of batches under load one source speaks for each device: what it says is not the device's.
    if (first === undefined || members.length < fewestOfDevice || !chunks.has(first.run.engine)) return [];
    const { engine, device } = first.run;
    const ofClass = chosenFit(ofClasses, engine, device, first.bits);
    if (ofClass === null) return [];
    const fit = fitGroup(members, { engine, class: device.name, bits: first.bits }, ofClass);
    return [{ ...fit, spread: Math.max(leastDeviceSpread, fit.spread) }];
  });
}

/** Seconds of a run under the most particular of the fits; null where there is none. @param {EngineFit[]} fits @param {Timed} row */
export function fittedSeconds(fits, { run, bits, parts }) {
  const fit = chosenFit(fits, run.engine, run.device, bits);
  if (fit === null) return null;
  let sum = fit.perStep;
  for (const [name, seconds] of Object.entries(parts)) sum += (fit.factors[name] ?? 1) * seconds;
  return { seconds: sum, spread: fit.spread };
}

/** @param {EngineFit[]} fits @param {string} engine @param {{name: string, class: string}} device @param {string} bits */
function chosenFit(fits, engine, device, bits) {
  for (const [name, width] of [
    [device.name, bits],
    [device.class, bits],
    ["any", bits],
    [device.class, "any"],
    ["any", "any"],
  ]) {
    const found = fits.find((one) => one.engine === engine && one.class === name && one.bits === width);
    if (found !== undefined) return found;
  }
  return null;
}
