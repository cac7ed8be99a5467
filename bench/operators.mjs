// ONNX Runtime's own profile of a prefill on this machine beside what a calibration foretells, by part of the model and by
// operator: where a prediction is off, and what it leaves out. The fastest of some passes is shown; to profile adds a few microseconds
// to each operator. Projections that are computed as one product stand under the name of that product.
//
//   npm run build && node bench/operators.mjs [--model SmolLM2-135M] [--layers 10] [--lengths 128,1024] [--attention naive]
//     [--passes 10] [--record calibration.json]
//
// `--record` takes a calibration from there, or else keeps the one that is made first.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseLengths } from "../dist/base/lengths.js";
import { priceGraph } from "../dist/cost/table.js";
import { parseDeviceRecord } from "../dist/hardware/record.js";
import { timeOperators } from "../dist/hardware/time.js";
import { systemClock as clock } from "../dist/measure/clock.js";
import { readMachine } from "../dist/measure/environment.js";
import { profileOnnxNode, sumBy } from "../dist/measure/onnx-node-profile.js";
import { availableMemory } from "../dist/measure/onnx-node.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { runnableGraph } from "../dist/onnx/runnable.js";
import { asCalibrated } from "../dist/predict/formats.js";
import { calibrate } from "../dist/study/calibrate.js";
import { onnxMicroRuntime } from "../dist/study/micro-runtime.js";
import { scaled } from "../dist/variants/scale.js";

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: "SmolLM2-135M" },
    layers: { type: "string", default: "10" },
    lengths: { type: "string", default: "128,1024" },
    attention: { type: "string", default: "fused" },
    passes: { type: "string", default: "10" },
    record: { type: "string" },
  },
});
const attention = options.attention === "naive" ? "naive" : "fused";
const machine = await readMachine();
const threads = machine.cores;
const device = await calibrated();
const model = scaled(builtInModel(options.model), { layers: Number(options.layers) });
const priced = priceGraph(runnableGraph(asCalibrated(model, device), attention));
const lengths = parseLengths(options.lengths);
const settings = {
  attention,
  threads,
  seed: 1,
  maxLength: Math.max(...lengths) + 1,
  availableBytes: availableMemory,
};

async function calibrated() {
  const path = options.record;
  if (path !== undefined && existsSync(path)) return parseDeviceRecord(JSON.parse(readFileSync(path, "utf8")), path);
  const runtime = await onnxMicroRuntime();
  const record = await calibrate({ clock, machine, quick: true, date: new Date(), threads, runtime });
  if (path !== undefined) writeFileSync(path, JSON.stringify(record, null, 1));
  return record;
}

/** @param {{row: import("../dist/cost/table.js").OperatorCost, seconds: number}[]} timed @param {(row: import("../dist/cost/table.js").OperatorCost) => string} key */
function foretold(timed, key) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { row, seconds } of timed) sums.set(key(row), (sums.get(key(row)) ?? 0) + seconds);
  return sums;
}

const ms = (/** @type {number | undefined} */ seconds) =>
  (seconds === undefined ? "–" : (1e3 * seconds).toFixed(2)).padStart(10);

/** @param {string} what @param {[string, number][]} measured @param {Map<string, number>} predicted */
function table(what, measured, predicted) {
  console.log(`  ${what.padEnd(32)}${"measured".padStart(10)}${"foretold".padStart(10)} ms`);
  const names = new Set([...measured.map(([name]) => name), ...predicted.keys()]);
  const seconds = new Map(measured);
  for (const name of names) {
    const [took, said] = [seconds.get(name), predicted.get(name)];
    const ratio = took === undefined || said === undefined ? "" : `${(took / said).toFixed(2)} times`;
    console.log(`  ${name.padEnd(32)}${ms(took)}${ms(said)}  ${ratio}`);
  }
}

for (const n of lengths) {
  const cell = { phase: /** @type {const} */ ("prefill"), n, depth: 0, batch: 1 };
  const profile = await profileOnnxNode(model, cell, settings, Number(options.passes));
  const values = { n, c: 0, b: 1, m: 0 };
  const timed = timeOperators(priced, device, { variable: "n", values }).map(({ row, time }) => ({
    row,
    seconds: row.times * (time.work(n) + time.overhead),
  }));
  const inNodes = profile.nodes.reduce((sum, { seconds }) => sum + seconds, 0);
  const said = timed.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log(
    `${options.model}, ${options.layers} layers, ${attention} attention, ${n} tokens: ${ms(profile.seconds).trim()} ms, of which in operators ${ms(inNodes).trim()}; foretold ${ms(said).trim()} (${(profile.seconds / said).toFixed(2)} times)`,
  );
  table(
    "part",
    sumBy(profile, ({ part }) => part ?? "other"),
    foretold(timed, ({ operator }) => operator.part),
  );
  table(
    "operator",
    sumBy(profile, ({ operator, op }) => operator ?? op),
    foretold(timed, ({ operator }) => operator.name),
  );
}
