/**
 * What the prior of the fit without repeats rests on (src/fit/informed.ts): where the FLOPs of attention equal the rest over the
 * open models among the tests' configurations whose attention is full, and how much longer attention kernels take per FLOP
 * than matrix products, over the published timings in bench/data.
 *
 *   npm run build && node bench/crossovers.mjs [--list]
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import papaparse from "papaparse";
import { costLaw, countParameters, crossover, priceGraph } from "../dist/cost/index.js";
import { buildGraph } from "../dist/graph/index.js";
import { median } from "../dist/math/median.js";
import { readConfig } from "../dist/model/index.js";

const { values: options } = parseArgs({ options: { list: { type: "boolean", default: false } } });
const folder = new URL("../test/data/models/configs/", import.meta.url);
/** Models below this many parameters are no language models of the kind that people time. */
const smallest = 5e8;

const found = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .flatMap((file) => {
    try {
      const config = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
      const graph = buildGraph(readConfig({ torch_dtype: "bfloat16", ...config }, file, file));
      const parameters = countParameters(graph).total;
      const n = crossover(costLaw(priceGraph(graph), "prefill").flops, "n");
      return n === null || parameters < smallest ? [] : [{ file, parameters, n }];
    } catch {
      // A configuration that describes no text model of its own.
      return [];
    }
  })
  // Files of one shape, as of other formats of the same weights, count once.
  .filter((one, index, all) => all.findIndex(({ n }) => n === one.n) === index)
  .sort((left, right) => left.n - right.n);
if (options.list) {
  for (const { file, parameters, n } of found) {
    process.stdout.write(`${Math.round(n)}\t${(parameters / 1e9).toPrecision(3)}B\t${file}\n`);
  }
}
const logs = found.map(({ n }) => Math.log(n));
const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
const spread = Math.sqrt(logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (logs.length - 1));
const sizes = found.map(({ parameters }) => parameters / 1e9).sort((left, right) => left - right);
process.stdout.write(
  `${found.length} models from ${sizes[0]?.toPrecision(2)}B to ${sizes.at(-1)?.toPrecision(3)}B: crossover ${(Math.exp(mean) / 1000).toFixed(0)}k tokens, standard deviation of the logarithm ${spread.toFixed(2)}\n`,
);

/** @param {string} name @returns {Record<string, string>[]} */
const table = (name) =>
  papaparse.parse(readFileSync(new URL(`data/${name}`, import.meta.url), "utf8"), {
    header: true,
    skipEmptyLines: true,
  }).data;
/** @param {Record<string, string>} row */
const deviceOf = ({ source, hw_key: device, dtype, version }) => [source, device, dtype, version].join(" ");
/** @param {Record<string, string>[]} rows @param {(row: Record<string, string>) => number} flops */
function rates(rows, flops) {
  /** @type {Map<string, number[]>} */
  const all = new Map();
  for (const row of rows) {
    const rate = flops(row) / Number(row.ms);
    if (rate > 0) all.set(deviceOf(row), [...(all.get(deviceOf(row)) ?? []), rate]);
  }
  return all;
}
/** Lengths and products that keep a device busy. */
const long = 4096;
const attention = rates(
  table("attention.csv").filter(
    (row) => row.phase === "prefill" && Number(row.n_q) >= long && row.n_q === row.n_kv && !(Number(row.window) > 0),
  ),
  (row) =>
    (4 * Number(row.batch) * Number(row.heads) * Number(row.head_dim) * Number(row.n_q) * Number(row.n_kv)) /
    (row.causal === "1" ? 2 : 1),
);
const products = rates(
  table("gemm.csv").filter((row) => Number(row.m) >= long && Number(row.n) >= 1024 && Number(row.k) >= 1024),
  (row) => 2 * Number(row.m) * Number(row.n) * Number(row.k),
);
const ratios = [...attention].flatMap(([device, own]) => {
  const other = products.get(device);
  return other === undefined ? [] : [{ device, ratio: median(other) / median(own) }];
});
if (options.list) for (const { device, ratio } of ratios) process.stdout.write(`${ratio.toFixed(2)}\t${device}\n`);
process.stdout.write(
  `${ratios.length} devices and engines: attention takes ${median(ratios.map(({ ratio }) => ratio)).toFixed(2)} times as long per FLOP (median)\n`,
);
