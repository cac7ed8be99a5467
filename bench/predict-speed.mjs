/**
 * How fast predictions come: a deployment from a description, a curve of 100 lengths with intervals and the split by
 * operator, points of a made curve, and the table of the whole catalog.
 *
 *   npm run build && node bench/predict-speed.mjs [--repeat 20]
 *
 * The first number of each line pays for compiling the code, as one command does; then the fastest and the median of the
 * repeats.
 */
import { readFileSync, readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { devices, findDevice } from "../dist/hardware/catalog/devices.js";
import { parseJsonObject } from "../dist/model/hf/json.js";
import { readConfig } from "../dist/model/hf/read-config.js";
import { deploy } from "../dist/predict/deployment.js";
import { splitAt } from "../dist/predict/split.js";
import { predictTable } from "../dist/study/predict-table.js";

const { values: options } = parseArgs({ options: { repeat: { type: "string", default: "20" } } });
const repeat = Number(options.repeat);
const folder = new URL("../test/data/models/configs/", import.meta.url);

/** @param {string} name */
function model(name) {
  return readConfig(
    parseJsonObject(readFileSync(new URL(name, folder), "utf8"), name),
    name,
    name.replace(/\.json$/, ""),
  );
}

/** Parameters decide nothing here: what counts is how many operators differ. */
function largest() {
  const h100 = findDevice("h100");
  const sizes = readdirSync(folder).flatMap((name) => {
    if (!name.endsWith(".json")) return [];
    try {
      return [{ name, operators: deploy(model(name), h100).prefill.operators.length }];
    } catch {
      return [];
    }
  });
  return sizes.reduce((most, one) => (one.operators > most.operators ? one : most)).name;
}

/** @param {string} what @param {() => void} work @param {number} [per] */
function time(what, work, per = 1) {
  const milliseconds = Array.from({ length: repeat + 1 }, () => {
    const start = performance.now();
    work();
    return (performance.now() - start) / per;
  });
  const [first = 0, ...others] = milliseconds;
  const sorted = others.toSorted((a, b) => a - b);
  const shown = [first, sorted[0] ?? 0, sorted[Math.floor(sorted.length / 2)] ?? 0];
  console.log(`${what.padEnd(64)} ${shown.map((value) => value.toPrecision(3).padStart(9)).join(" ")} ms`);
}

const lengths = Array.from({ length: 100 }, (_, index) => Math.round(128 * 2 ** (index / 9)));
const h100 = findDevice("h100");
console.log(`${"".padEnd(64)}     first   fastest    median`);
for (const name of new Set(["meta-llama__Llama-3.1-8B-Instruct.json", "deepseek-ai__DeepSeek-V3.json", largest()])) {
  const description = model(name);
  const made = deploy(description, h100).prefill;
  console.log(`${name.replace(/\.json$/, "")}: ${made.operators.length} operators that differ`);
  time("  deploy, both curves", () => {
    const { prefill, decode } = deploy(description, h100);
    if (prefill.seconds(1024) < (decode?.seconds(1024) ?? 0)) throw new Error("a prefill takes longer than a step");
  });
  time("  100 lengths with intervals and split", () => {
    for (const length of lengths) {
      made.interval(length);
      splitAt(made, length);
    }
  });
  time(
    "  one point with its interval",
    () => {
      for (let n = 1; n <= 20_000; n += 1) made.interval(n);
    },
    20_000,
  );
  time(`  table of the catalog, ${devices.length} devices at 2 lengths`, () => {
    predictTable(description, devices, { lengths: [8192, 65_536] });
  });
}
