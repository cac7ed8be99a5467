/**
 * How long it takes to describe each config and to compile its cost, and to evaluate a compiled total at one length.
 *
 *   npm run build && node bench/describe-speed.mjs [--folder test/data/models/configs] [--repeat 15]
 *
 * The median and the fastest of each config are taken, and the processor's time per round, which other work on the machine
 * delays least; the slowest configs are printed. Lists of quantised modules name every expert of every layer again, as the
 * published files do (22,422 modules in MiniMax-M3-NVFP4's). Reading the text is apart, and the very first call of the
 * process, which pays for compiling the code.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { costLaw } from "../dist/cost/law.js";
import { priceGraph } from "../dist/cost/table.js";
import { buildGraph } from "../dist/graph/build.js";
import { parseJsonObject } from "../dist/model/hf/json.js";
import { readConfig } from "../dist/model/hf/read-config.js";
import { describeModel } from "../dist/study/describe.js";

const { values: options } = parseArgs({
  options: {
    folder: { type: "string", default: "test/data/models/configs" },
    repeat: { type: "string", default: "15" },
  },
});
const repeat = Number(options.repeat);
const evaluations = 1_000_000;

/** @param {unknown} config @param {string} name */
function describeAndCompile(config, name) {
  const model = readConfig(config, name, name);
  describeModel(model);
  return costLaw(priceGraph(buildGraph(model)), "prefill").flops.compile("n");
}

/**
 * Lists of modules are thinned to the first expert of each layer here: the others are named as well.
 *
 * @param {any} config @param {string} name
 */
function withAllExperts(config, name) {
  const text = config.text_config ?? config;
  const listed = (config.quantization_config ?? text.quantization_config)?.quantized_layers;
  const experts = text.num_local_experts ?? text.n_routed_experts ?? text.num_experts;
  if (listed === undefined || typeof experts !== "number") return config;
  const all = Object.entries(listed).flatMap(([module, format]) =>
    /\.experts\.0\./.test(module)
      ? Array.from({ length: experts }, (_, index) => [module.replace(".experts.0.", `.experts.${index}.`), format])
      : [[module, format]],
  );
  const copy = structuredClone(config);
  const whole = copy.quantization_config === undefined ? copy.text_config : copy;
  whole.quantization_config.quantized_layers = Object.fromEntries(all);
  // As a file holds it: parsed from text.
  return parseJsonObject(JSON.stringify(copy), name);
}

/** @param {number[]} times */
const median = (times) => times.toSorted((left, right) => left - right)[times.length >> 1] ?? 0;

/** @type {{name: string, milliseconds: number, fastest: number, processor: number, evaluation: number}[]} */
const results = [];
let first = 0;
for (const name of readdirSync(options.folder).filter((file) => file.endsWith(".json"))) {
  const config = withAllExperts(parseJsonObject(readFileSync(join(options.folder, name), "utf8"), name), name);
  const times = [];
  let total;
  const used = process.cpuUsage();
  try {
    for (let round = 0; round < repeat; round += 1) {
      const start = performance.now();
      total = describeAndCompile(config, name);
      times.push(performance.now() - start);
    }
  } catch (error) {
    console.error(`skipped ${name}: ${String(error).slice(0, 80)}`);
    continue;
  }
  const { user, system } = process.cpuUsage(used);
  if (first === 0) first = times[0] ?? 0;
  const start = performance.now();
  let sum = 0;
  for (let at = 1; at <= evaluations; at += 1) sum += total?.(at) ?? 0;
  const evaluation = ((performance.now() - start) / evaluations) * 1e3;
  if (!Number.isFinite(sum)) throw new Error(`${name} has no finite total`);
  results.push({
    name,
    milliseconds: median(times),
    fastest: Math.min(...times),
    processor: (user + system) / 1e3 / repeat,
    evaluation,
  });
}

const slowest = results.toSorted((left, right) => right.milliseconds - left.milliseconds).slice(0, 5);
const dearest = results.toSorted((left, right) => right.evaluation - left.evaluation).slice(0, 5);
console.log(`first call of the process: ${first.toFixed(1)} ms`);
console.log(`describing and compiling, ${results.length} configs, slowest, median (fastest; processor's time):`);
for (const { name, milliseconds, fastest, processor } of slowest) {
  const apart = `(${fastest.toFixed(2)}; ${processor.toFixed(2)}) ms`;
  console.log(`  ${milliseconds.toFixed(2).padStart(7)} ${apart}  ${name}`);
}
console.log("evaluating a compiled total at one length, slowest:");
for (const { name, evaluation } of dearest) console.log(`  ${evaluation.toFixed(3).padStart(7)} µs  ${name}`);
