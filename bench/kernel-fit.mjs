// Published kernel timings beside their device's data sheet, and fits of src/hardware/kernels.ts to them.
import { devices } from "../dist/hardware/index.js";
import { fitParameters, kernelSeconds } from "../dist/hardware/kernel-fitting.js";
import { formatOf } from "../dist/hardware/kernel-formats.js";
import { mixerKinds, parameterNames } from "../dist/hardware/kernel-rows.js";
import { studentQuantile } from "../dist/math/distributions.js";
import { intervalDeviations } from "../dist/predict/interval.js";
import { kernelFormat, timedKernel } from "../dist/study/timed-kernel.js";
import { readKernelRow } from "../dist/study/kernel-row.js";
import { grouped, once, quantile, spreadOf } from "./robust-fit.mjs";

/** @typedef {import("./hardware-data.mjs").Row} Row */
/** @typedef {import("../dist/hardware/kernel-rows.js").KernelKind} Kind */
/** @typedef {import("../dist/hardware/kernel-formats.js").KernelFormat} Format */
/** @typedef {Readonly<Record<string, number>>} Parameters */
/**
 * @typedef {object} About
 * @property {Format} format
 * @property {import("../dist/hardware/index.js").DeviceRecord} record
 * @property {string} device
 * @property {string} deviceClass
 * @property {string} source
 * @property {string} engine
 * @property {string} group shapes that are held out together
 * @property {boolean} large one of those that the accuracy is stated of
 * @property {number} tokens timed, or rows of a product
 * @property {number} [roofline] seconds of the plain roofline, where they are not the larger of peak and memory
 * @property {import("../dist/study/kernel-row.js").KernelTiming | null} timing null for what nsquared calibrate --from does not read
 */
/** @typedef {About & import("../dist/hardware/kernel-fitting.js").TimedKernel} Timing */
/** @typedef {{kind: Kind, format: Format, device: string, deviceClass: string, engine: string, longest: number, spread: () => number, fit: Parameters, rows: Timing[]}} Fit */

/** Kernels of block-scaled fp8 that are flat at overheads of 60 to 280 µs say nothing of rates. */
const flat = (/** @type {Row} */ row) => row.dtype === "fp8_block" && (row.version ?? "").startsWith("vllm");

export function engineOf(/** @type {string} */ version) {
  const [, name = "other"] = /^(vllm|trtllm|sglang)/.exec(version) ?? [];
  return name === "trtllm" ? "tensorrt-llm" : name;
}

/** Rows of tables that can be told from their device's data sheet. @param {Row[]} rows @returns {Timing[]} */
export function kernelRows(rows) {
  return rows.flatMap((row) => {
    const record = devices.find(({ name }) => name === row.hw_key);
    const timing = record === undefined || flat(row) ? "left out" : readKernelRow(row, "row");
    if (record === undefined || typeof timing === "string") return [];
    const product = timing.kind === "gemm";
    const format = kernelFormat(timing, record);
    if (product && (Math.min(timing.n, timing.k) < 64 || record.peaks[timing.dtype] === undefined)) return [];
    if (product && format !== "block8" && format !== formatOf(timing.dtype)) return [];
    const { seconds } = timing;
    return [
      {
        ...timedKernel(timing, record),
        format,
        record,
        device: record.name,
        deviceClass: record.class,
        source: row.source ?? "",
        engine: engineOf(row.version ?? ""),
        group: product
          ? `${timing.n} ${timing.k}`
          : [timing.heads, timing.kvHeads, row.head_dim, timing.batch, row.kv_dtype].join(" "),
        large: product
          ? timing.m >= 2048 && timing.n >= 1024 && timing.k >= 1024
          : timing.kind === "decode"
            ? seconds > 50e-6
            : timing.queries >= 4096,
        tokens: product ? timing.m : timing.kind === "decode" ? timing.keys : timing.queries,
        timing,
      },
    ];
  });
}

/** log(predicted / timed) @param {Parameters} fit @param {Timing} row */
export const logOf = (fit, row) => Math.log(kernelSeconds(row.kind, fit, row) / row.seconds);

const fewest = 20;

/** Rows that share parameters. @param {Timing[]} rows @returns {Timing[][]} */
export function families(rows) {
  const found = grouped(rows, ({ kind, format, device, engine }) => [kind, format, device, engine].join(" | "));
  return [...found.values()].filter((members) => members.length >= fewest);
}

/** Each part of the shapes by the others. @param {Timing[]} members @param {number} folds @returns {{train: Timing[], hidden: Timing[]}[]} */
export function foldsOf(members, folds) {
  const groups = [...new Set(members.map(({ group }) => group))].sort();
  return Array.from({ length: folds }, (_, fold) => {
    const names = new Set(groups.filter((__, i) => (i * 7) % folds === fold));
    return {
      train: members.filter(({ group }) => !names.has(group)),
      hidden: members.filter(({ group }) => names.has(group)),
    };
  }).filter(({ train, hidden }) => train.length >= 8 && hidden.length > 0);
}

/** The standard deviation whose 80 % interval would have held four fifths of these. @param {number[]} logs */
export function statedSpread(logs) {
  const share = Math.min(1, (0.8 * (logs.length + 1)) / logs.length);
  return quantile(logs.map(Math.abs), share) / intervalDeviations;
}

/**
 * The same for a group that nobody has seen, from groups that fits to the others have not seen: how far whole groups lie off,
 * with Student's t for few of them, and rows about their group's middle, each group with the same weight. Never less than
 * the rows alone say.
 *
 * @param {number[][]} groups logs of each
 */
export function groupSpread(groups) {
  const middles = groups.map((logs) => quantile(logs, 0.5));
  const few = studentQuantile(0.9, groups.length) / intervalDeviations;
  const within = groups.flatMap((logs, g) => {
    const sorted = logs.map((log) => Math.abs(log - (middles[g] ?? 0))).toSorted((a, b) => a - b);
    return Array.from({ length: ofEach }, (_, i) => quantile(sorted, (i + 0.5) / ofEach));
  });
  const between = few * statedSpread(middles);
  return Math.max(Math.hypot(between, statedSpread(within)), statedSpread(groups.flat()));
}
/** Quantiles that speak for the rows of a group. */
const ofEach = 10;

const innerFolds = 4;
const fewestLarge = 8;

/** Parameters free of any class, and how far they miss shapes that they have not seen. @param {Timing[]} members @returns {{fit: Parameters, spread: () => number}} */
export function fitFree(members) {
  const [first] = members;
  if (first === undefined) throw new Error("no family is empty");
  const { parameters: fit } = fitParameters(first.kind, members, null);
  const spread = once(() => {
    const unseen = foldsOf(members, innerFolds).flatMap(({ train, hidden }) => {
      const { parameters } = fitParameters(first.kind, train, null);
      return hidden.map((row) => ({ large: row.large, log: logOf(parameters, row) }));
    });
    const large = unseen.filter((one) => one.large);
    const logs = (large.length >= fewestLarge ? large : unseen).map(({ log }) => log);
    return logs.length === 0 ? spreadOf(members.map((row) => logOf(fit, row))) : statedSpread(logs);
  });
  return { fit, spread };
}

/** One fit per kind, format, device and engine. @param {Timing[]} rows @returns {Fit[]} */
export function fitsOf(rows) {
  return families(rows).flatMap((members) => {
    const [first] = members;
    if (first === undefined) return [];
    const { kind, format, device, deviceClass, engine } = first;
    const longest = Math.max(...members.map(({ tokens }) => tokens));
    return [{ kind, format, device, deviceClass, engine, longest, ...fitFree(members), rows: members }];
  });
}

/** The middle of several devices' parameters. @param {Fit[]} members @returns {Parameters} */
function middle(members) {
  const [first] = members;
  const names = first === undefined ? [] : parameterNames[first.kind];
  return Object.fromEntries(
    names.map((name) => [
      name,
      quantile(
        members.map(({ fit }) => fit[name] ?? 0),
        0.5,
      ),
    ]),
  );
}

const devicesIn = (/** @type {Fit[]} */ fits) => new Set(fits.map(({ device }) => device)).size;
/** Spread of a device that another one stands for alone. */
const onlyOne = 0.3;
/** No middle of devices is surer than this of another one. */
const leastSpread = 0.05;

/** The middle of several devices, and how far it lies from each when that one is left out. @param {Fit[]} members */
export function pool(members) {
  const spread = once(() => {
    const groups = [...new Set(members.map(({ device }) => device))].flatMap((device) => {
      const others = members.filter((one) => one.device !== device);
      if (others.length === 0) return [];
      const fit = middle(others);
      const logs = members
        .filter((one) => one.device === device)
        .flatMap(({ rows }) => rows.filter(({ large }) => large).map((row) => logOf(fit, row)));
      return logs.length === 0 ? [] : [logs];
    });
    return groups.flat().length < fewest ? onlyOne : Math.max(leastSpread, groupSpread(groups));
  });
  return { fit: middle(members), spread };
}

/**
 * What stands for a device without timings: other devices of its class where there are two, or any where there are enough.
 *
 * @param {Fit[]} fits of one kind and format @param {string} deviceClass @param {number} enough
 */
export function pooledFor(fits, deviceClass, enough) {
  const ofClass = fits.filter((one) => one.deviceClass === deviceClass);
  if (devicesIn(ofClass) >= 2) return ofClass;
  return devicesIn(fits) >= enough ? fits : [];
}

/** Fewest shapes that say how two engines' kernels differ. */
const fewestCommon = 8;

/**
 * Standard deviation of log seconds between engines' kernels on one and the same device and format: fits to the one's timings
 * against those to the other's, over the large shapes of both.
 *
 * @param {Fit[]} fits @param {Kind} kind
 */
export function engineSpread(fits, kind) {
  const own = fits.filter((one) => one.kind === kind);
  const middles = own.flatMap((left, i) =>
    own.slice(i + 1).flatMap((right) => {
      if (left.device !== right.device || left.format !== right.format || left.engine === right.engine) return [];
      const rows = [...left.rows, ...right.rows].filter(({ large }) => large);
      return rows.length < fewestCommon
        ? []
        : [
            quantile(
              rows.map((row) => logOf(left.fit, row) - logOf(right.fit, row)),
              0.5,
            ),
          ];
    }),
  );
  const squares = middles.reduce((sum, log) => sum + log ** 2, 0);
  return { pairs: middles.length, spread: Math.sqrt(squares / Math.max(1, middles.length)) };
}

const classes = ["datacenter-gpu", "workstation-gpu", "consumer-gpu", "any"];
const engines = ["vllm", "tensorrt-llm", "sglang", "other", "any"];

/** Rows of pooled fits, as `kernelOn` looks them up. @param {Fit[]} fits */
export function pooledRows(fits) {
  return /** @type {Kind[]} */ (["gemm", "attention", "decode", ...mixerKinds]).flatMap((kind) =>
    /** @type {Format[]} */ (["16", "8", "block8", "int8", "4"]).flatMap((format) => {
      const all = fits.filter((one) => one.kind === kind && one.format === format);
      return engines.flatMap((engine) => {
        const alike = all.filter((one) => engine === "any" || one.engine === engine);
        return classes.flatMap((name) => {
          const members = alike.filter((one) => name === "any" || one.deviceClass === name);
          // Where all are of one class, the row of any class says it.
          if (name !== "any" && members.length === alike.length) return [];
          const enough = engine === "any" && name === "any" ? 1 : 2;
          return devicesIn(members) < enough ? [] : [{ kind, format, engine, class: name, ...pool(members) }];
        });
      });
    }),
  );
}
