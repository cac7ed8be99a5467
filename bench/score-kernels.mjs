// Kernels predicted by fits that have not seen them: other shapes of the device, a device of which only the data sheet is
// known, three anchor timings of it, another source.
import { engineSpreads } from "../dist/hardware/kernel-fits.js";
import { kernelSeconds } from "../dist/hardware/kernel-fitting.js";
import { nearestFormats } from "../dist/hardware/kernel-formats.js";
import { mixerKinds } from "../dist/hardware/kernel-rows.js";
import { otherVendorSpread, tabledVendor } from "../dist/hardware/kernel-tables.js";
import { fitFamily } from "../dist/study/kernel-family.js";
import { engineSpread, families, fitFree, fitsOf, foldsOf, pool, pooledFor } from "./kernel-fit.mjs";
import { grouped, once } from "./robust-fit.mjs";
import { lineOf } from "./score.mjs";

/** @typedef {import("./kernel-fit.mjs").Timing} Timing */
/** @typedef {import("./kernel-fit.mjs").Fit} Fit */
/** @typedef {import("./score.mjs").Judged} Judged */
/** @typedef {{fit: Readonly<Record<string, number>>, spread: () => number}} Guess */
/** @typedef {{row: Timing, judged: Judged}} Scored */

const folds = 5;
const fewest = 20;
const mixers = new Set(/** @type {readonly string[]} */ (mixerKinds));

/** @param {Timing} row @param {Guess} guess @returns {Scored} */
function scored(row, { fit, spread }) {
  return {
    row,
    judged: {
      device: row.device,
      source: row.source,
      measured: row.seconds,
      predicted: kernelSeconds(row.kind, fit, row),
      spread,
      roofline: row.roofline ?? Math.max(row.peak, row.memory),
    },
  };
}

/** Every fifth of the shapes by the others of the same device and engine. @param {Timing[]} rows @returns {Scored[]} */
function newShapes(rows) {
  return families(rows).flatMap((members) =>
    foldsOf(members, folds).flatMap(({ train, hidden }) => {
      const large = hidden.filter((row) => row.large);
      if (large.length === 0) return [];
      const guess = fitFree(train);
      return large.map((row) => scored(row, guess));
    }),
  );
}

/** What other devices say of one, as `kernelOn` has it. @param {Fit[]} fits @param {Timing} row @returns {Guess | null} */
function pooled(fits, { kind, format, device, engine, deviceClass, record }) {
  const others = fits.filter((one) => one.kind === kind && one.device !== device);
  for (const kernels of [engine, null]) {
    for (const near of nearestFormats[format]) {
      const alike = others.filter((one) => one.format === near && (kernels === null || one.engine === kernels));
      const members = pooledFor(alike, deviceClass, kernels === null ? 1 : 2);
      if (members.length === 0) continue;
      const { fit, spread } = pool(members);
      const vendor = kernels === null && record.vendor !== tabledVendor ? otherVendorSpread : 0;
      return { fit, spread: () => Math.hypot(spread(), vendor) };
    }
  }
  return null;
}

/** The whole score of kernels. @param {Timing[]} rows */
export function kernelScore(rows) {
  const fits = fitsOf(rows);
  /** @type {Scored[]} */
  const sheet = [];
  /** @type {Scored[]} */
  const anchors = [];
  for (const members of families(rows)) {
    const [first] = members;
    if (first === undefined) continue;
    const prior = pooled(fits, first);
    const large = members.filter((row) => row.large);
    if (prior === null || large.length === 0) continue;
    sheet.push(...large.map((row) => scored(row, prior)));
    // One small, one of middle size, one large, whatever their shapes; fitted as nsquared calibrate --from does.
    const sorted = large.toSorted((a, b) => a.seconds - b.seconds);
    const three = [0.1, 0.5, 0.9].flatMap((share) => sorted[Math.round(share * (sorted.length - 1))] ?? []);
    const timings = three.flatMap(({ timing }) => timing ?? []);
    if (timings.length === 0) continue;
    const known = { fit: /** @type {any} */ (prior.fit), spread: prior.spread() };
    const { fit, spread } = fitFamily(timings, first.record, known).kernel;
    const guess = { fit: /** @type {any} */ (fit), spread: () => spread };
    anchors.push(...large.filter((row) => !three.includes(row)).map((row) => scored(row, guess)));
  }
  return {
    "Kernels: new shapes of a known device": linesOf(newShapes(rows)),
    "Kernels: a device of which only the data sheet is known": linesOf(sheet),
    "Kernels: a device with three anchor timings": linesOf(anchors),
    "Kernels: a source that the fit has not seen": linesOf(otherSources(rows)),
  };
}

/** Rows of one source by the device's other sources, or by other devices' where it has none. @param {Timing[]} rows */
function otherSources(rows) {
  return [...new Set(rows.map(({ source }) => source))].flatMap((source) => {
    const own = rows.filter((row) => row.source === source && row.large);
    if (own.length === 0) return [];
    const kinds = new Set(own.map(({ kind }) => kind));
    const fits = fitsOf(rows.filter((row) => row.source !== source && kinds.has(row.kind)));
    return [
      ...grouped(own, ({ kind, format, device, engine }) => [kind, format, device, engine].join(" | ")).values(),
    ].flatMap((members) => {
      const [first] = members;
      if (first === undefined) return [];
      const { kind, format, device } = first;
      const same = fits.filter((one) => one.kind === kind && one.format === format && one.device === device);
      const other = same.length > 0 ? pool(same) : pooled(fits, first);
      if (other === null) return [];
      // As kernelOn has it: kernels borrowed from another engine are less sure.
      const lent = same.length > 0 && !same.some(({ engine }) => engine === first.engine);
      const between = once(() => {
        const { pairs, spread } = engineSpread(fits, kind);
        return !lent ? 0 : pairs > 0 || mixers.has(kind) ? spread : engineSpreads[/** @type {"gemm"} */ (kind)];
      });
      const guess = { fit: other.fit, spread: () => Math.hypot(other.spread(), between()) };
      return members.map((row) => scored(row, guess));
    });
  });
}

const titles = {
  gemm: "large matrix products",
  attention: "attention prefill ≥ 4k",
  decode: "decode attention > 50 µs",
  "delta-heads": "linear mixers > 200 µs: gated delta rule",
  "delta-channels": "linear mixers > 200 µs: delta rule by channels",
  decay: "linear mixers > 200 µs: Mamba 2",
};

/** @param {Scored[]} all */
function linesOf(all) {
  const groups = grouped(
    all,
    ({ row }) => `${titles[row.kind]}, ${row.format === "16" ? "16 bits" : "8 bits and fewer"}`,
  );
  const bySource = grouped(all, ({ row }) => row.source);
  const line = (/** @type {string} */ name, /** @type {Scored[]} */ members) =>
    lineOf(
      name,
      members.map(({ judged }) => judged),
    );
  return [
    ...[...groups].flatMap(([name, members]) => line(name, members)),
    ...[...bySource]
      .filter(([, members]) => members.length >= fewest)
      .flatMap(([name, members]) => line(`source ${name}`, members)),
  ];
}
