// Kernels predicted by fits that have not seen them: other shapes of the device, a device of which only the data sheet is
// known, three anchor timings of it, another source.
import { fitKernel, fitsOf, kernelSeconds, pool } from "./kernel-fit.mjs";
import { robustFit, spreadOf } from "./robust-fit.mjs";
import { lineOf } from "./score.mjs";

/** @typedef {import("./kernel-fit.mjs").Timing} Timing */
/** @typedef {import("./kernel-fit.mjs").Kind} Kind */
/** @typedef {import("./score.mjs").Judged} Judged */
/** @typedef {{fit: Record<string, number>, spread: number}} Guess */

const folds = 5;
const fewest = 20;
/** Spread of a device that the middle of other devices stands for, where their rows show less. */
const leastSpread = 0.05;

/** @param {Timing} row @param {Guess} guess @returns {Judged} */
function judged(row, { fit, spread }) {
  return {
    device: row.device,
    source: row.source,
    measured: row.seconds,
    predicted: kernelSeconds(row.kind, fit, row),
    spread,
    roofline: Math.max(row.peak, row.memory),
  };
}

/** @template Item @param {Item[]} items @param {(item: Item) => string} key @returns {Map<string, Item[]>} */
export function grouped(items, key) {
  /** @type {Map<string, Item[]>} */
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    const known = groups.get(name);
    if (known === undefined) groups.set(name, [item]);
    else known.push(item);
  }
  return groups;
}

/** @param {Timing[]} rows */
const families = (rows) =>
  [...grouped(rows, ({ kind, bits, device, engine }) => [kind, bits, device, engine].join(" | ")).values()].filter(
    (members) => members.length >= fewest,
  );

/** Every fifth of the shapes by the others of the same device and engine. @param {Timing[]} rows @returns {{row: Timing, judged: Judged}[]} */
function newShapes(rows) {
  return families(rows).flatMap((members) => {
    const shapes = [...new Set(members.map(({ group }) => group))].sort();
    return Array.from({ length: folds }, (_, fold) => {
      const hidden = new Set(shapes.filter((__, i) => (i * 7) % folds === fold));
      const train = members.filter(({ group }) => !hidden.has(group));
      const [first] = members;
      if (train.length < 8 || first === undefined) return [];
      const fit = fitKernel(first.kind, train);
      const spread = spreadOf(train.map((row) => Math.log(row.seconds / kernelSeconds(row.kind, fit, row))));
      return members
        .filter((row) => row.large && hidden.has(row.group))
        .map((row) => ({ row, judged: judged(row, { fit, spread }) }));
    }).flat();
  });
}

/** @typedef {ReturnType<typeof fitsOf>["devices"][number] & {deviceClass: string}} Fit */

/** @param {Timing[]} rows @returns {Fit[]} */
function fitsWithClass(rows) {
  const classes = new Map(rows.map(({ device, deviceClass }) => [device, deviceClass]));
  return fitsOf(rows).devices.map((one) => ({ ...one, deviceClass: classes.get(one.device) ?? "" }));
}

/** The middle of other devices, those of the same class where there are two. @param {Fit[]} fits @param {Timing} row @param {Timing[]} rows @param {string} without @returns {Guess | null} */
function pooled(fits, { kind, bits, deviceClass }, rows, without) {
  const others = fits.filter((one) => one.kind === kind && one.bits === bits && one.device !== without);
  const same = others.filter((one) => one.deviceClass === deviceClass);
  const members = new Set(same.map(({ device }) => device)).size >= 2 ? same : others;
  if (members.length === 0) return null;
  const { fit, spread } = pool(kind, bits, "any", members, rows);
  return { fit, spread: Math.max(leastSpread, Number.isFinite(spread) ? spread : leastSpread) };
}

/** As nsquared calibrate --from has them. @type {Record<Kind, number[]>} */
const anchorSpread = {
  gemm: [0.7, 0.3, 0.2, 1, 0.7],
  attention: [0.7, 0.4, 1, 0.2],
  decode: [0.7, 0.25, 1],
};
const shares = new Set(["compute", "bandwidth"]);
const largestShare = 0.99;

/** Other devices' middle corrected by a few timings. @param {Kind} kind @param {Guess} prior @param {Timing[]} anchors @returns {Guess} */
function anchored(kind, prior, anchors) {
  const names = Object.keys(prior.fit);
  const start = names.map((name) =>
    name === "width" ? (prior.fit[name] ?? 0) : Math.log(Math.max(1e-9, prior.fit[name] ?? 0)),
  );
  const fitAt = (/** @type {readonly number[]} */ theta) =>
    Object.fromEntries(
      names.map((name, i) => {
        const value = theta[i] ?? 0;
        if (name === "width") return [name, value];
        return [name, shares.has(name) ? Math.min(largestShare, Math.exp(value)) : Math.exp(value)];
      }),
    );
  const theta = robustFit((at) => anchors.map((row) => Math.log(kernelSeconds(kind, fitAt(at), row) / row.seconds)), {
    start,
    spread: anchorSpread[kind],
  });
  return { fit: fitAt(theta), spread: Math.max(leastSpread, prior.spread * anchoredShare) };
}
/** Of the spread of a class, what three anchors leave. */
const anchoredShare = 0.6;

/** The whole score of kernels. @param {Timing[]} rows */
export function kernelScore(rows) {
  const shapes = newShapes(rows);
  const fits = fitsWithClass(rows);
  /** @type {{row: Timing, judged: Judged}[]} */
  const sheet = [];
  /** @type {{row: Timing, judged: Judged}[]} */
  const anchors = [];
  for (const members of families(rows)) {
    const [first] = members;
    if (first === undefined) continue;
    const prior = pooled(fits, first, rows, first.device);
    const large = members.filter((row) => row.large);
    if (prior === null || large.length === 0) continue;
    for (const row of large) sheet.push({ row, judged: judged(row, prior) });
    // One small, one of middle size, one large, whatever their shapes.
    const sorted = large.toSorted((a, b) => a.seconds - b.seconds);
    const three = [0.1, 0.5, 0.9].flatMap((share) => sorted[Math.round(share * (sorted.length - 1))] ?? []);
    const guess = anchored(first.kind, prior, three);
    for (const row of large) if (!three.includes(row)) anchors.push({ row, judged: judged(row, guess) });
  }
  return {
    "Kernels: new shapes of a known device": linesOf(shapes),
    "Kernels: a device of which only the data sheet is known": linesOf(sheet),
    "Kernels: a device with three anchor timings": linesOf(anchors),
    "Kernels: a source that the fit has not seen": linesOf(otherSources(rows)),
  };
}

/** Rows of one source by the device's other sources, or by other devices' where it has none. @param {Timing[]} rows */
function otherSources(rows) {
  return [...new Set(rows.map(({ source }) => source))].flatMap((source) => {
    const train = rows.filter((row) => row.source !== source);
    const fits = fitsWithClass(train);
    const own = rows.filter((row) => row.source === source && row.large);
    return [...grouped(own, ({ kind, bits, device }) => [kind, bits, device].join(" | ")).values()].flatMap(
      (members) => {
        const [first] = members;
        if (first === undefined) return [];
        const { kind, bits, device } = first;
        const same = fits.filter((one) => one.kind === kind && one.bits === bits && one.device === device);
        const other = same.length > 0 ? pool(kind, bits, "any", same, train) : pooled(fits, first, train, device);
        if (other === null) return [];
        // Another source's kernels on the same device are another version at least.
        const guess =
          same.length > 0
            ? { fit: other.fit, spread: Math.hypot(Math.max(leastSpread, other.spread), otherSource) }
            : other;
        return members.map((row) => ({ row, judged: judged(row, guess) }));
      },
    );
  });
}
const otherSource = 0.08;

const titles = {
  gemm: "large matrix products",
  attention: "attention prefill ≥ 4k",
  decode: "decode attention > 50 µs",
};

/** @param {{row: Timing, judged: Judged}[]} all */
function linesOf(all) {
  const groups = grouped(
    all,
    ({ row }) => `${titles[row.kind]}, ${row.bits === "16" ? "16 bits" : "8 bits and fewer"}`,
  );
  const bySource = grouped(all, ({ row }) => row.source);
  return [
    ...[...groups].flatMap(([name, members]) =>
      lineOf(
        name,
        members.map((one) => one.judged),
      ),
    ),
    ...[...bySource]
      .filter(([, members]) => members.length >= fewest)
      .flatMap(([name, members]) =>
        lineOf(
          `source ${name}`,
          members.map((one) => one.judged),
        ),
      ),
  ];
}
