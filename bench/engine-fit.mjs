// What published runs of an engine take beyond its kernels: a factor per class of operators and seconds per pass.
import { engineOf } from "../dist/hardware/engine.js";
import { engineKey } from "../dist/hardware/engine-key.js";
import { factored, rowsFor } from "../dist/hardware/engine-rows.js";
import { predictCurve } from "../dist/predict/index.js";
import { groupSpread } from "./kernel-fit.mjs";
import { grouped, once, quantile, robustFit } from "./robust-fit.mjs";

/** @typedef {import("./runs-data.mjs").Run} Run */
/**
 * @typedef {object} Timed
 * @property {Run} run
 * @property {string} engine whose profile it belongs to
 * @property {string} bits of the products: 16, 8 or 4
 * @property {number[]} parts seconds by group of classes before any engine's factors
 * @property {number} variance of log seconds that the spreads of its classes make
 */
/** @typedef {{common: number, classes: number}} Stated standard deviation of log seconds common to all classes, and what share of the classes' own counts */
/** @typedef {{prefill: Stated, decode: Stated}} Spreads */
/** @typedef {{engine: string, class: string, bits: string, rows: number, factors: number[], perStep: number, spreads: () => Spreads}} EngineFit */

/** Classes that share a factor, in the order of `factored`, and the prior spread of its logarithm. @type {[string, string[], number][]} */
const groups = [
  ["gemm", ["gemm"], 0.7],
  ["attention", ["attention"], 0.4],
  ["gemv", ["gemv"], 0.35],
  ["decode-attention", ["decode-attention"], 0.3],
  ["vector", ["vector", "lookup"], 0.3],
  ["overhead", ["overhead"], 0.5],
  ["network", ["network"], 0.7],
];
if (groups.some(([name], i) => name !== factored[i])) throw new Error("groups in another order than rows have them");
/** Engines whose own kernels the tables timed: products and attention can hardly differ from them; the rest can. */
const ownKernels = new Set(["vllm", "sglang", "tensorrt-llm"]);
const ownSpread = 0.15;
/** @param {string} engine @param {string} name @param {number} width */
const priorWidth = (engine, name, width) =>
  ownKernels.has(engine) && (name === "gemm" || name === "attention") ? ownSpread : width;
/** Sweeps have many rows that say the same: more rows than these together say no more than these. */
const mostRows = 40;
/** Rows of a fit; of more every second, third … is taken. */
const mostFitted = 200;
/** Kernels of ggml follow each other in about 3 µs on NVIDIA, where engines at large take 5: prior of the overhead's factor, and its spread. */
const ggmlOverhead = { factor: 0.6, spread: 0.2 };
const launchesQuickly = (/** @type {string} */ engine) => engine.startsWith("llama.cpp-cuda");
/** Seconds of a pass beside its kernels: a few hundred microseconds, give or take a factor of five. */
const usualStep = 2e-4;
const stepSpread = 1.2;
/** llama.cpp samples on one thread beside the device: none takes milliseconds for it. */
const ggmlStepSpread = 0.4;
const fewest = 12;

/** Chunk that an engine splits prompts into when it does so with one request alone. */
const chunks = new Set(["llama.cpp-cuda", "llama.cpp-metal", "llama.cpp-cpu", "mlx"]);

/** @param {Run} run */
export function curveOptions(run) {
  const { attention } = run;
  const { chunk } = engineOf(run.device, run.engine, run.model.dtypes, attention);
  return {
    phase: run.phase,
    engineName: run.engine,
    batch: run.batch,
    depth: run.depth,
    parallel: { tensor: run.gpus, pipeline: 1, expert: 1, context: 1 },
    ...(attention === null ? {} : { attention }),
    ...(run.phase === "prefill" && chunks.has(run.engine) ? { chunk: run.chunk ?? chunk } : {}),
  };
}

/** @param {Run} run @returns {Timed | null} null where the devices do not divide the model */
export function timed(run) {
  try {
    // The kernels alone: a fit that started from another fit would not come to the same end.
    const known = engineOf(run.device, run.engine, run.model.dtypes, run.attention);
    const plain = { common: 0, classes: 1 };
    const ownEngine = { ...known, factors: {}, perStep: 0, logSpreads: { prefill: plain, decode: plain } };
    const curve = predictCurve(run.model, run.device, { ...curveOptions(run), ownEngine });
    const seconds = new Map(curve.components.map((one) => [one.name, one.seconds(run.n)]));
    const parts = groups.map(([, classes]) =>
      classes.reduce((sum, name) => sum + (seconds.get(/** @type {any} */ (name)) ?? 0), 0),
    );
    const whole = parts.reduce((sum, part) => sum + part, 0);
    const variance = curve.components.reduce(
      (sum, { name, logSpread }) => sum + (((seconds.get(name) ?? 0) / whole) * logSpread) ** 2,
      0,
    );
    return { run, engine: engineKey(run.engine, run.attention, run.device), bits: bitsOf(run), parts, variance };
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

/** @param {number[]} factors @param {number} perStep @param {number[]} parts */
function total(factors, perStep, parts) {
  let sum = perStep;
  for (let i = 0; i < parts.length; i += 1) sum += (factors[i] ?? 1) * (parts[i] ?? 0);
  return sum;
}

/** How far one device's factors lie from those of its class, or a class's from all, as the prior of a fit to its own runs. */
const deviceSpread = 0.35;
const classSpread = 0.3;
const rest = 0.15;
const wholeDevice = new Set(["gemm", "attention", "gemv"]);
const fewestOfDevice = 8;

/** @typedef {Omit<EngineFit, "rows" | "factors" | "perStep" | "spreads">} About */

/** @param {Timed[]} rows @param {About} about @param {{fit: EngineFit, spread: number} | null} parent prior of a more particular fit @returns {Omit<EngineFit, "spreads">} */
function fitGroup(rows, about, parent) {
  const every = Math.ceil(rows.length / mostFitted);
  const fitted = rows.filter((_, i) => i % every === 0);
  const quick = launchesQuickly(about.engine);
  const start =
    parent === null
      ? [
          ...groups.map(([name]) => (name === "overhead" && quick ? Math.log(ggmlOverhead.factor) : 0)),
          Math.log(usualStep),
        ]
      : [...parent.fit.factors.map(Math.log), Math.log(parent.fit.perStep)];
  const spread =
    parent === null
      ? [
          ...groups.map(([name, , width]) =>
            name === "overhead" && quick ? ggmlOverhead.spread : priorWidth(about.engine, name, width),
          ),
          quick ? ggmlStepSpread : stepSpread,
        ]
      : [...groups.map(([name]) => (wholeDevice.has(name) ? parent.spread : rest)), parent.spread];
  const weight = Math.min(1, Math.sqrt(mostRows / fitted.length));
  const split = (/** @type {readonly number[]} */ theta) => {
    const values = theta.map(Math.exp);
    return { factors: values.slice(0, -1), perStep: values.at(-1) ?? 0 };
  };
  const theta = robustFit(
    (at) => {
      const { factors, perStep } = split(at);
      return fitted.map(({ run, parts }) => weight * Math.log(total(factors, perStep, parts) / run.seconds));
    },
    { start, spread, soft: 0.15 },
  );
  return { ...about, rows: rows.length, ...split(theta) };
}

/** @param {Omit<EngineFit, "spreads">} fit @param {Timed} row */
const logOf = ({ factors, perStep }, { run, parts }) => Math.log(total(factors, perStep, parts) / run.seconds);

const folds = 5;
const fewestUnseen = 10;
const leastSpread = 0.03;
/** A device that ran one model says no more than this of another. */
const leastOfDevice = 0.06;
/** Of the variance that rows which a fit has not seen show, what the classes' own spreads may make. */
const classShare = 0.5;

/** Splits rows by a key, those of a fifth of its values apart. @param {Timed[]} rows @param {(row: Timed) => string} key */
function foldsOf(rows, key) {
  const names = [...new Set(rows.map(key))].sort();
  if (names.length < 2) return [];
  return Array.from({ length: Math.min(folds, names.length) }, (_, fold) => {
    const hidden = new Set(names.filter((__, i) => i % folds === fold));
    return { train: rows.filter((row) => !hidden.has(key(row))), hidden: rows.filter((row) => hidden.has(key(row))) };
  });
}

/** Rows of whole devices or models that a fit has not seen. @typedef {{key: (row: Timed) => string, rows: {row: Timed, log: number}[]}} Unseen */

/** What intervals must state to hold four fifths of such rows: of devices or of models, whichever lie farther off. @param {Unseen[]} unseen @param {number} [least] @returns {Spreads} */
function spreadsOf(unseen, least = leastSpread) {
  const of = (/** @type {string} */ phase) => {
    const stated = unseen.flatMap(({ key, rows }) => {
      const own = rows.filter(({ row }) => row.run.phase === phase);
      const used = own.length >= fewestUnseen ? own : rows;
      if (used.length === 0) return [];
      const alike = [...grouped(used, ({ row }) => key(row)).values()];
      return [groupSpread(alike.map((members) => members.map(({ log }) => log)))];
    });
    return statedAs(stated.length === 0 ? usualSpread : Math.max(least, ...stated), phase);
  };
  /** @param {number} stated @param {string} phase */
  const statedAs = (stated, phase) => {
    const rows = unseen.flatMap((one) => one.rows);
    const own = rows.filter(({ row }) => row.run.phase === phase);
    const ofClasses = quantile(
      (own.length >= fewestUnseen ? own : rows).map(({ row }) => row.variance),
      0.5,
    );
    const classes = Math.min(1, Math.sqrt((classShare * stated ** 2) / Math.max(1e-9, ofClasses)));
    const left = stated ** 2 - (Number.isFinite(ofClasses) ? classes ** 2 * ofClasses : 0);
    return { common: Math.sqrt(Math.max(leastSpread ** 2, left)), classes };
  };
  return { prefill: of("prefill"), decode: of("decode") };
}
/** Where nothing was left to hide. */
const usualSpread = 0.3;

const ofDevice = (/** @type {Timed} */ { run }) => run.device.name;
const ofModel = (/** @type {Timed} */ { run }) => run.modelKey;

/** How far fits to other devices, and to other models, miss. @param {Timed[]} rows @param {(train: Timed[]) => Omit<EngineFit, "spreads">} fit @returns {Unseen[]} */
function unseenOf(rows, fit) {
  const unseen = [ofDevice, ofModel].flatMap((key) => {
    const parts = foldsOf(rows, key);
    const missed = parts.flatMap(({ train, hidden }) => {
      const own = fit(train);
      return hidden.map((row) => ({ row, log: logOf(own, row) }));
    });
    return missed.length === 0 ? [] : [{ key, rows: missed }];
  });
  if (unseen.length > 0) return unseen;
  const own = fit(rows);
  return [{ key: ofModel, rows: rows.map((row) => ({ row, log: 1.5 * logOf(own, row) })) }];
}

/**
 * One fit per engine, device class and bits; one per engine and bits; one per engine; one per device with runs of its own.
 *
 * @param {Timed[]} rows
 */
export function engineFits(rows) {
  /** @type {EngineFit[]} */
  const fits = [];
  for (const engine of new Set(rows.map((row) => row.engine))) {
    const own = rows.filter((row) => row.engine === engine);
    /** @type {Map<string, EngineFit>} */
    const ofBits = new Map();
    for (const name of ["any", ...new Set(own.map(({ run }) => run.device.class))]) {
      for (const bits of ["16", "8", "4", "any"]) {
        const members = own.filter(
          (row) => (name === "any" || row.run.device.class === name) && (bits === "any" || row.bits === bits),
        );
        if (members.length < fewest) continue;
        const all = ofBits.get(bits);
        const parent = name === "any" || all === undefined ? null : { fit: all, spread: classSpread };
        const about = { engine, class: name, bits };
        const fit = (/** @type {Timed[]} */ train) => fitGroup(train, about, parent);
        const made = { ...fit(members), spreads: once(() => spreadsOf(unseenOf(members, fit))) };
        if (name === "any") ofBits.set(bits, made);
        fits.push(made);
      }
    }
  }
  const all = [...fits, ...borrowedFits(fits)];
  return [...all, ...deviceFits(rows, all)];
}

/**
 * Products of 16 bits are the same in builds with flash attention and without it: where only the others ran them, they lend
 * their fit, but for the factors of attention.
 *
 * @param {EngineFit[]} fits
 */
function borrowedFits(fits) {
  return fits.flatMap((fit) => {
    const engine = fit.engine.replace(withoutFlash, "");
    const own = fits.find((one) => one.engine === engine && one.class === "any" && one.bits === "any");
    const known = fits.some((one) => one.engine === engine && one.class === fit.class && one.bits === "16");
    if (engine === fit.engine || fit.bits !== "16" || own === undefined || known) return [];
    const factors = fit.factors.map((factor, i) =>
      attentions.has(groups[i]?.[0] ?? "") ? (own.factors[i] ?? 1) : factor,
    );
    return [{ ...fit, engine, factors }];
  });
}
const withoutFlash = " -fa 0";
const attentions = new Set(["attention", "decode-attention"]);

/** Devices with runs of their own, each about its class. @param {Timed[]} rows @param {EngineFit[]} ofClasses */
function deviceFits(rows, ofClasses) {
  // Of batches under load one source speaks for each device: what it says is not the device's.
  const families = grouped(
    rows.filter(({ run }) => chunks.has(run.engine)),
    ({ engine, run, bits }) => [engine, run.device.name, bits].join(" | "),
  );
  const made = [...families.values()].flatMap((members) => {
    const [first] = members;
    if (first === undefined || members.length < fewestOfDevice) return [];
    const { engine, bits } = first;
    const { device } = first.run;
    const ofClass = chosenFit(ofClasses, engine, device, bits);
    if (ofClass === null) return [];
    const fit = (/** @type {Timed[]} */ train) =>
      fitGroup(train, { engine, class: device.name, bits }, { fit: ofClass, spread: deviceSpread });
    // Models that the device's own runs have not seen: most devices ran one, so that they all speak together.
    const unseen = once(() =>
      foldsOf(members, ({ run }) => run.modelKey).flatMap(({ train, hidden }) => {
        const known = fit(train);
        return hidden.map((row) => ({ row, log: logOf(known, row) }));
      }),
    );
    const seen = fit(members);
    return [{ fit: seen, unseen, seen: members.map((row) => ({ row, log: logOf(seen, row) })) }];
  });
  return made.map(({ fit, seen }) => {
    const alike = made.filter((other) => other.fit.engine === fit.engine);
    const spreads = once(() => {
      const unseen = alike.flatMap((other) => other.unseen());
      const used = unseen.length >= fewestUnseen ? unseen : [...seen, ...alike.flatMap((other) => other.seen)];
      return spreadsOf([{ key: ({ run }) => `${run.device.name} ${run.modelKey}`, rows: used }], leastOfDevice);
    });
    return { ...fit, spreads };
  });
}

/** Seconds of a run under the most particular of the fits, and the spread to state; null where there is none. @param {EngineFit[]} fits @param {Timed} row */
export function fittedSeconds(fits, row) {
  const fit = chosenFit(fits, row.engine, row.run.device, row.bits);
  if (fit === null) return null;
  const spread = () => {
    const { common, classes } = fit.spreads()[row.run.phase];
    return Math.sqrt(common ** 2 + classes ** 2 * row.variance);
  };
  return { seconds: total(fit.factors, fit.perStep, row.parts), spread };
}

/** @param {EngineFit[]} fits @param {string} engine @param {{name: string, class: string}} device @param {string} bits */
function chosenFit(fits, engine, device, bits) {
  for (const [name, width] of rowsFor(device, bits)) {
    const found = fits.find((one) => one.engine === engine && one.class === name && one.bits === width);
    if (found !== undefined) return found;
  }
  return null;
}
