// What published runs of an engine take beyond its kernels: a factor per class of operators and seconds per pass.
import { kinOf, otherBitsSpread, rowsFor } from "../dist/hardware/engine-rows.js";
import { groupSpread } from "./kernel-fit.mjs";
import { grouped, once, quantile, robustFit } from "./robust-fit.mjs";
import { chunks, groups, logOf, ofDevice, ofModel, ofSource, passOf, total } from "./timed-run.mjs";

/** @typedef {import("./timed-run.mjs").Timed} Timed */
/** @typedef {import("./timed-run.mjs").Rates} Rates */
/** @typedef {{common: number, classes: number}} Stated standard deviation of log seconds common to all classes, and what share of the classes' own counts */
/** @typedef {Record<"prefill" | "decode" | "batched", Stated>} Spreads `batched`: decode of several sequences */
/** @typedef {{engine: string, class: string, bits: string, rows: number, lengths: [from: number, to: number], factors: number[], perStep: number, sustained: number, spreads: () => Spreads}} EngineFit */

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

/** Engines whose products' rates are their own, not those of a device's tables, which have the power in them. HIP's devices are too few to say. */
const limitedByPower = (/** @type {string} */ engine) => engine.startsWith("llama.cpp-cuda") && !engine.includes("hip");
/** Tera-operations per joule of 8-bit products: GeForce cards state 0.6 to 1.5 at their peak, and come near it. */
const usualSustained = 1.5;
const sustainedSpread = 0.5;
/** Builds and classes of devices share it. */
const sameSustained = 0.15;

/** @typedef {{fit: Omit<EngineFit, "spreads">, spread: number}} Parent */

/** How far one device's factors lie from those of its class, or a class's from all, as the prior of a fit to its own runs. */
const deviceSpread = 0.35;
const classSpread = 0.3;
const rest = 0.15;
const wholeDevice = new Set(["gemm", "attention", "gemv"]);
const fewestOfDevice = 8;

/** @typedef {Omit<EngineFit, "rows" | "lengths" | "spreads" | keyof Rates>} About */

/**
 * Rows' weights: each device counts alike, however many rows it has, and a model on it as the root of its number. Where one
 * source's load decides, not the device, all rows count alike.
 *
 * @param {Timed[]} rows @param {string} engine
 */
function weightsOf(rows, engine) {
  const most = Math.min(mostRows, rows.length);
  if (![...chunks].some((name) => engine.startsWith(name))) return rows.map(() => Math.sqrt(most / rows.length));
  const devices = [...grouped(rows, ofDevice).values()].map((own) => [...grouped(own, ofModel).values()]);
  const weights = new Map(
    devices.flatMap((models) => {
      const roots = models.reduce((sum, { length }) => sum + Math.sqrt(length), 0);
      const share = most / devices.length / roots;
      return models.flatMap((own) => own.map((row) => [row, Math.sqrt(share / Math.sqrt(own.length))]));
    }),
  );
  return rows.map((row) => weights.get(row) ?? 0);
}

/**
 * @param {Timed[]} rows @param {About} about @param {Parent | null} parent prior of a more particular fit
 * @param {number | null} sustainedOf what other builds of the engine sustain
 * @returns {Omit<EngineFit, "spreads">}
 */
function fitGroup(rows, about, parent, sustainedOf = null) {
  const every = Math.ceil(rows.length / mostFitted);
  const fitted = rows.filter((_, i) => i % every === 0);
  const quick = launchesQuickly(about.engine);
  const powered = limitedByPower(about.engine);
  const start =
    parent === null
      ? [
          ...groups.map(([name]) => (name === "overhead" && quick ? Math.log(ggmlOverhead.factor) : 0)),
          Math.log(usualStep),
          Math.log(sustainedOf ?? usualSustained),
        ]
      : [...parent.fit.factors.map(Math.log), Math.log(parent.fit.perStep), Math.log(parent.fit.sustained)];
  const spread =
    parent === null
      ? [
          ...groups.map(([name, , width]) =>
            name === "overhead" && quick ? ggmlOverhead.spread : priorWidth(about.engine, name, width),
          ),
          quick ? ggmlStepSpread : stepSpread,
          sustainedOf === null ? sustainedSpread : sameSustained,
        ]
      : [...groups.map(([name]) => (wholeDevice.has(name) ? parent.spread : rest)), parent.spread, sameSustained];
  const split = (/** @type {readonly number[]} */ theta) => {
    const values = theta.map(Math.exp);
    const [perStep = 0, sustained = 0] = values.slice(groups.length);
    return { factors: values.slice(0, groups.length), perStep, sustained: powered ? sustained : 0 };
  };
  const weights = weightsOf(fitted, about.engine);
  const free = groups.length + (powered ? 2 : 1);
  const theta = robustFit(
    (at) => {
      const rates = split(at);
      return fitted.map((row, i) => (weights[i] ?? 0) * logOf(rates, row));
    },
    { start: start.slice(0, free), spread: spread.slice(0, free), soft: 0.15 },
  );
  return { ...about, rows: rows.length, lengths: lengthsOf(rows), ...split(theta) };
}

/** New tokens of the shortest run, and the longest context: what the runs cover. @param {Timed[]} rows @returns {[from: number, to: number]} */
function lengthsOf(rows) {
  const from = Math.min(...rows.map(({ run }) => run.n));
  return [from, Math.max(...rows.map(({ run }) => run.depth + run.n))];
}

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

/** Rows of whole devices, models or sources that a fit has not seen. @typedef {{key: (row: Timed) => string, rows: {row: Timed, log: number}[]}} Unseen */

/**
 * What intervals must state to hold four fifths of such rows: of devices, of models or of sources, whichever lie farther off.
 *
 * @param {Unseen[]} unseen @param {number} [least] @param {number} [unknown] what could not be left out, since there is one of it
 * @returns {Spreads}
 */
function spreadsOf(unseen, least = leastSpread, unknown = 0) {
  const of = (/** @type {ReturnType<typeof passOf>} */ pass) => {
    const logs = unseen.flatMap((one) => {
      const rows = rowsOfPass(one.rows, pass);
      return rows.length === 0 ? [] : [{ rows, key: one.key }];
    });
    const stated = logs.map(({ key, rows }) =>
      groupSpread([...grouped(rows, ({ row }) => key(row)).values()].map((alike) => alike.map(({ log }) => log))),
    );
    const variances = logs.flatMap(({ rows }) => rows.map(({ row }) => row.variance));
    const seen = logs.some(({ rows }) => rows.some(({ row }) => passOf(row) === pass));
    const most = stated.length === 0 ? usualSpread : Math.max(least, ...stated);
    return statedAs(Math.hypot(most, seen ? 0 : otherPasses, unknown), quantile(variances, 0.5));
  };
  return { prefill: of("prefill"), decode: of("decode"), batched: of("batched") };
}

/** Those of one kind of passes; where they are few, of all decode, or of all. @param {Unseen["rows"]} rows @param {ReturnType<typeof passOf>} pass */
function rowsOfPass(rows, pass) {
  const own = rows.filter(({ row }) => passOf(row) === pass);
  if (own.length >= fewestUnseen) return own;
  const alike = pass === "prefill" ? [] : rows.filter(({ row }) => row.run.phase === "decode");
  return alike.length >= fewestUnseen ? alike : rows;
}

/** A spread as what is common to all classes and a share of the classes' own. @param {number} stated @param {number} ofClasses the variance that these make @returns {Stated} */
function statedAs(stated, ofClasses) {
  const classes = Math.min(1, Math.sqrt((classShare * stated ** 2) / Math.max(1e-9, ofClasses)));
  const left = stated ** 2 - (Number.isFinite(ofClasses) ? classes ** 2 * ofClasses : 0);
  return { common: Math.sqrt(Math.max(leastSpread ** 2, left)), classes };
}
/** Where nothing was left to hide. */
const usualSpread = 0.3;
/** Of passes of a kind that no run was of, others say no more than this. */
const otherPasses = 0.25;
/** Between devices, and between models, where all runs are of one: as engines with several have it. */
const onlyOne = { device: 0.2, model: 0.1 };

/** @param {Timed[]} rows */
function unknownOf(rows) {
  const one = (/** @type {(row: Timed) => string} */ key) => new Set(rows.map(key)).size < 2;
  return Math.hypot(one(ofDevice) ? onlyOne.device : 0, one(ofModel) ? onlyOne.model : 0);
}

/** How far fits to other devices, other models and other sources miss. @param {Timed[]} rows @param {(train: Timed[]) => Omit<EngineFit, "spreads">} fit @returns {Unseen[]} */
function unseenOf(rows, fit) {
  const unseen = [ofDevice, ofModel, ofSource].flatMap((key) => {
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
  // Builds without flash attention first: they ran on most devices, and say how power limits products.
  const engines = [...new Set(rows.map((row) => row.engine))].toSorted(
    (a, b) => Number(b.endsWith(withoutFlash)) - Number(a.endsWith(withoutFlash)),
  );
  for (const engine of engines) {
    const others = fits.find(
      (one) => one.engine === `${engine}${withoutFlash}` && one.class === "any" && one.bits === "any",
    );
    const builds = others?.sustained ?? null;
    const own = rows.filter((row) => row.engine === engine);
    /** @type {Map<string, EngineFit>} */
    const ofBits = new Map();
    for (const name of ["any", ...new Set(own.map(({ run }) => kinOf(run.device)))]) {
      for (const bits of ["16", "8", "4", "any"]) {
        const members = own.filter(
          (row) => (name === "any" || kinOf(row.run.device) === name) && (bits === "any" || row.bits === bits),
        );
        if (members.length < fewest) continue;
        const all = ofBits.get(bits);
        const parent = name === "any" || all === undefined ? null : { fit: all, spread: classSpread };
        const about = { engine, class: name, bits };
        const fit = (/** @type {Timed[]} */ train) => fitGroup(train, about, parent, builds);
        const made = {
          ...fit(members),
          spreads: once(() => spreadsOf(unseenOf(members, fit), leastSpread, unknownOf(members))),
        };
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
    const { common, classes } = fit.spreads()[passOf(row)];
    return Math.hypot(
      common,
      classes * Math.sqrt(row.variance),
      fit.bits === "any" && !seesBits(fits, row) ? otherBitsSpread : 0,
    );
  };
  return { seconds: total(fit, row), spread };
}

/** @param {EngineFit[]} fits @param {string} engine @param {import("../dist/hardware/index.js").DeviceRecord} device @param {string} bits */
function chosenFit(fits, engine, device, bits) {
  for (const [name, width] of rowsFor(device, bits)) {
    const found = fits.find((one) => one.engine === engine && one.class === name && one.bits === width);
    if (found !== undefined) return found;
  }
  return null;
}

/** Whether an engine's fits have seen products of those bits. @param {EngineFit[]} fits @param {Timed} row */
const seesBits = (fits, { engine, bits }) => fits.some((one) => one.engine === engine && one.bits === bits);
