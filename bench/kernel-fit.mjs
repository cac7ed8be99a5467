// Kernel timings as seconds at the peaks of a data sheet, and fits of src/hardware/kernels.ts to them.
import { devices } from "../dist/hardware/index.js";
import { attentionSeconds, decodeSeconds, gemmSeconds } from "../dist/hardware/kernels.js";
import { quantile, robustFit, spreadOf } from "./robust-fit.mjs";

/** @typedef {import("./hardware-data.mjs").Row} Row */
/** @typedef {"gemm" | "attention" | "decode"} Kind */
/** @typedef {"16" | "8" | "4"} Bits */
/**
 * @typedef {object} Timing
 * @property {Kind} kind
 * @property {string} device
 * @property {string} deviceClass
 * @property {string} source
 * @property {string} engine
 * @property {Bits} bits
 * @property {string} dtype
 * @property {string} group shapes that are held out together
 * @property {number} seconds
 * @property {number} peak
 * @property {number} memory
 * @property {number} cast
 * @property {boolean} large one of those that the accuracy is stated of
 * @property {{m: number, n: number, k: number}} shape
 * @property {number} queries
 * @property {number} keyDim
 * @property {number} readers
 * @property {number} tokens timed, or rows of a product
 */

/** Number format of the peak, bytes of an element, and bits. @type {Record<string, [string, number, Bits]>} */
const formats = {
  bf16: ["bfloat16", 2, "16"],
  fp16: ["float16", 2, "16"],
  "fp16/bf16": ["float16", 2, "16"],
  fp8: ["float8", 1, "8"],
  fp8_block: ["float8", 1, "8"],
  mxfp8: ["float8", 1, "8"],
  int8: ["int8", 1, "8"],
  nvfp4: ["float4", 36 / 64, "4"],
  fp4: ["float4", 17 / 32, "4"],
};

/** Kernels of block-scaled fp8 that are flat at overheads of 60 to 280 µs say nothing of rates. */
const flat = (/** @type {Row} */ row) => row.dtype === "fp8_block" && (row.version ?? "").startsWith("vllm");

function engineOf(/** @type {string} */ version) {
  const [, name = "other"] = /^(vllm|trtllm|sglang)/.exec(version) ?? [];
  return name === "trtllm" ? "tensorrt-llm" : name;
}

/** @param {Row[]} gemm @param {Row[]} attention @returns {Timing[]} */
export function kernelRows(gemm, attention) {
  return [...gemm.flatMap(gemmTiming), ...attention.flatMap(attentionTiming)];
}

function deviceOf(/** @type {Row} */ row) {
  return devices.find(({ name }) => name === row.hw_key);
}

/** @param {Row} row @returns {Timing[]} */
function gemmTiming(row) {
  const device = deviceOf(row);
  const [dtype, bytes, bits] = formats[row.dtype ?? ""] ?? ["", 0, "16"];
  const peak = device?.peaks[dtype]?.value;
  const [m, n, k] = [Number(row.m), Number(row.n), Number(row.k)];
  if (device === undefined || peak === undefined || flat(row) || Math.min(n, k) < 64) return [];
  const bandwidth = device.bandwidth.value;
  return [
    {
      kind: "gemm",
      device: device.name,
      deviceClass: device.class,
      source: row.source ?? "",
      engine: engineOf(row.version ?? ""),
      bits,
      dtype: row.dtype ?? "",
      group: `${n} ${k}`,
      seconds: Number(row.ms) / 1000,
      peak: (2 * m * n * k) / peak,
      memory: (bytes * (m * k + n * k) + 2 * m * n) / bandwidth,
      cast: bits === "16" ? 0 : (2 * m * k) / bandwidth,
      large: m >= 2048 && n >= 1024 && k >= 1024,
      shape: { m, n, k },
      queries: 0,
      keyDim: 0,
      readers: 0,
      tokens: m,
    },
  ];
}

/** @param {Row} row @returns {Timing[]} */
function attentionTiming(row) {
  const device = deviceOf(row);
  if (device === undefined || row.window !== "0") return [];
  const [dtype, , bits] = formats[row.dtype ?? ""] ?? ["", 0, "16"];
  const peak = (device.peaks[dtype] ?? device.peaks.float16 ?? device.peaks.bfloat16)?.value;
  if (peak === undefined) return [];
  const [keyDim = 0, valueDim = keyDim] = (row.head_dim ?? "").split("/").map(Number);
  const [heads, kvHeads, batch] = [Number(row.heads), Number(row.kv_heads), Number(row.batch)];
  const [queries, keys] = [Number(row.n_q), Number(row.n_kv)];
  const pairs = row.causal === "1" ? queries * (keys - queries) + (queries * (queries + 1)) / 2 : queries * keys;
  const element = /8/.test(row.kv_dtype ?? "") ? 1 : 2;
  const seconds = Number(row.ms) / 1000;
  const decode = row.phase === "decode";
  const bytes =
    batch * kvHeads * keys * (keyDim + valueDim) * element + 2 * batch * queries * heads * (keyDim + valueDim);
  return [
    {
      kind: decode ? "decode" : "attention",
      device: device.name,
      deviceClass: device.class,
      source: row.source ?? "",
      engine: engineOf(row.version ?? ""),
      bits,
      dtype: row.dtype ?? "",
      group: [heads, kvHeads, row.head_dim, batch, row.kv_dtype].join(" "),
      seconds,
      peak: (2 * batch * heads * pairs * (keyDim + valueDim)) / peak,
      memory: bytes / device.bandwidth.value,
      cast: 0,
      large: decode ? seconds > 50e-6 : queries >= 4096,
      shape: { m: 0, n: 0, k: 0 },
      queries,
      keyDim,
      readers: batch * kvHeads,
      tokens: decode ? keys : queries,
    },
  ];
}

/**
 * What is fitted: names with their prior, all in logarithms but for the power of the width.
 * @type {Record<Kind, {names: string[], prior: number[]}>}
 */
const shapes = {
  gemm: { names: ["overhead", "compute", "bandwidth", "small", "cast"], prior: [6e-6, 0.75, 0.8, 0.03, 1.5] },
  attention: { names: ["overhead", "compute", "small", "width"], prior: [12e-6, 0.6, 2, -0.2] },
  decode: { names: ["overhead", "bandwidth", "few"], prior: [10e-6, 0.85, 1] },
};
const linear = new Set(["width"]);
const shares = new Set(["compute", "bandwidth"]);
const largestShare = 0.99;

/** @param {Kind} kind @param {number[]} theta */
function parametersOf(kind, theta) {
  const { names } = shapes[kind];
  return Object.fromEntries(
    names.map((name, i) => {
      const value = theta[i] ?? 0;
      if (linear.has(name)) return [name, value];
      // No kernel passes the data sheet: what seems to is a table made with warm caches.
      return [name, shares.has(name) ? Math.min(largestShare, Math.exp(value)) : Math.exp(value)];
    }),
  );
}

/** @param {Kind} kind @param {Record<string, number>} fit @param {Timing} row */
export function kernelSeconds(kind, fit, row) {
  const work =
    kind === "gemm"
      ? gemmSeconds(/** @type {any} */ (fit), row.peak, row.memory, row.cast, row.shape)
      : kind === "attention"
        ? attentionSeconds(/** @type {any} */ (fit), row.peak, row.memory, row)
        : decodeSeconds(/** @type {any} */ (fit), row.memory, row.readers);
  return (fit.overhead ?? 0) + work;
}

/** A weak prior: twenty times as wide as what one row says. */
const priorSpread = 20;

/** @param {Kind} kind @param {Timing[]} rows */
export function fitKernel(kind, rows) {
  const { names, prior } = shapes[kind];
  const start = prior.map((value, i) => (linear.has(names[i] ?? "") ? value : Math.log(value)));
  const theta = robustFit(
    (at) => {
      const fit = parametersOf(kind, at);
      return rows.map((row) => Math.log(kernelSeconds(kind, fit, row) / row.seconds));
    },
    { start, spread: start.map(() => priorSpread * 0.1) },
  );
  return parametersOf(kind, theta);
}

const fewest = 20;

/** Rows that share parameters. @param {Timing[]} rows */
function families(rows) {
  /** @type {Map<string, Timing[]>} */
  const found = new Map();
  for (const row of rows) {
    const key = [row.kind, row.bits, row.device, row.engine].join(" | ");
    found.set(key, [...(found.get(key) ?? []), row]);
  }
  return new Map([...found].filter(([, members]) => members.length >= fewest));
}

/** One fit per kind, bits, device and engine, and one for devices of a class and for all together. @param {Timing[]} rows */
export function fitsOf(rows) {
  const fits = [...families(rows)].map(([, members]) => {
    const [first] = members;
    if (first === undefined) throw new Error("no family is empty");
    const { kind, bits, device, deviceClass, engine } = first;
    const fit = fitKernel(kind, members);
    const logs = members.map((row) => Math.log(row.seconds / kernelSeconds(kind, fit, row)));
    const longest = Math.max(...members.map(({ tokens }) => tokens));
    return { kind, bits, device, deviceClass, engine, longest, spread: spreadOf(logs), fit };
  });
  return {
    devices: fits.map(({ deviceClass: _class, ...rest }) => rest),
    pooled: ["gemm", "attention", "decode"].flatMap((kind) =>
      ["16", "8", "4"].flatMap((bits) => {
        const all = fits.filter((one) => one.kind === kind && one.bits === bits);
        return ["datacenter-gpu", "workstation-gpu", "consumer-gpu", "any"].flatMap((name) => {
          const members = name === "any" ? all : all.filter(({ deviceClass }) => deviceClass === name);
          return members.length < (name === "any" ? 1 : 2) ? [] : [pool(kind, bits, name, members, rows)];
        });
      }),
    ),
  };
}

/** The middle of several devices' parameters, and how far devices lie from it. @param {string} kind @param {string} bits @param {string} name @param {{device: string, engine: string, fit: Record<string, number>}[]} members @param {Timing[]} rows */
export function pool(kind, bits, name, members, rows) {
  const names = Object.keys(members[0]?.fit ?? {});
  const fit = Object.fromEntries(
    names.map((key) => [
      key,
      quantile(
        members.map((one) => one.fit[key] ?? 0),
        0.5,
      ),
    ]),
  );
  const own = new Set(members.map(({ device, engine }) => `${device} ${engine}`));
  const logs = rows
    .filter((row) => row.kind === kind && row.bits === bits && row.large && own.has(`${row.device} ${row.engine}`))
    .map((row) => Math.log(row.seconds / kernelSeconds(/** @type {Kind} */ (kind), fit, row)));
  return {
    kind,
    bits,
    class: name,
    spread: spreadOf(logs),
    fit,
  };
}

const folds = 5;

/** |log ratio| of shapes that the fit has not seen, per family. @param {Timing[]} rows */
export function heldOut(rows) {
  return Object.fromEntries(
    [...families(rows)].map(([key, members]) => {
      const groups = [...new Set(members.map(({ group }) => group))].sort();
      /** @type {number[]} */
      const large = [];
      for (let fold = 0; fold < folds; fold += 1) {
        const hidden = new Set(groups.filter((_, i) => (i * 7) % folds === fold));
        const train = members.filter(({ group }) => !hidden.has(group));
        const [first] = members;
        if (train.length < 8 || first === undefined) continue;
        const fit = fitKernel(first.kind, train);
        for (const row of members) {
          if (!hidden.has(row.group) || !row.large) continue;
          large.push(Math.abs(Math.log(kernelSeconds(row.kind, fit, row) / row.seconds)));
        }
      }
      return [key, large];
    }),
  );
}
