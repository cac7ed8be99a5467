// Whether lengths up to an eighth foretell the whole: four models on this machine, each measured at two lengths up to n/8
// and, interleaved with them, at n itself; what the short lengths say of n by the physical law, how far off it is, and what
// knowing it cost beside measuring n as often, warm-ups and the calibration of each runtime included. A runtime is calibrated
// before the first of its models and after the last, and what long inputs take between blocks of samples.
//
//   npm run build && node bench/foretell.mjs [--n 8192] [--lengths 128,1024] [--repeat 5] [--full] [--only part-of-a-name]
//     [--record calibration.json] [--samples samples.json]
//
// A quarter of an hour on a quiet machine; `--full` calibrates longer. `--record` and `--samples` keep what was measured, or take
// it from there, so that a law can be tried again without measuring; of llama.cpp the record is calibration-llama.json.
// The GGUF file (the shapes of SmolLM2-135M, float16, random weights) is written to a temporary folder.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom, shuffled } from "../dist/base/random.js";
import { fitLaw, fitPhysical } from "../dist/fit/index.js";
import { parseDeviceRecord } from "../dist/hardware/record.js";
import { systemClock as clock } from "../dist/measure/clock.js";
import { readMachine } from "../dist/measure/environment.js";
import { openLlamaRunner } from "../dist/measure/llama.js";
import { availableMemory, openOnnxNodeRunner } from "../dist/measure/onnx-node.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { calibrate } from "../dist/study/calibrate.js";
import { calibrateLlama } from "../dist/study/llama-calibration.js";
import { llamaRuntime } from "../dist/study/llama-runtime.js";
import { onnxMicroRuntime } from "../dist/study/micro-runtime.js";
import { curveToMeasure } from "../dist/study/physical.js";
import { scaled } from "../dist/variants/scale.js";
import { writeRandomGguf } from "./random-gguf.mjs";
import { quantile } from "./robust-fit.mjs";

const { values: options } = parseArgs({
  options: {
    n: { type: "string", default: "8192" },
    lengths: { type: "string" },
    repeat: { type: "string", default: "5" },
    full: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    record: { type: "string" },
    samples: { type: "string" },
  },
});
const n = Number(options.n);
const repeat = Number(options.repeat);
const lengths = options.lengths?.split(",").map(Number) ?? [64, 8].map((part) => n / part);
const level = 0.8;

/** @typedef {import("../dist/hardware/record.js").DeviceRecord} DeviceRecord */
/** @typedef {"onnx" | "llama"} Runtime */

/** The record that is kept of a runtime, or else one that is made now. @param {Runtime} runtime @param {(() => Promise<void>)[]} between */
async function calibrated(runtime, between) {
  const path = runtime === "llama" ? options.record?.replace(/(\.json)?$/, "-llama$1") : options.record;
  if (path !== undefined && existsSync(path)) return parseDeviceRecord(JSON.parse(readFileSync(path, "utf8")), path);
  const record = await timed(runtime, between);
  if (path !== undefined) writeFileSync(path, JSON.stringify(record, null, 1));
  return record;
}

/** @param {Runtime} runtime @param {(() => Promise<void>)[]} between */
async function timed(runtime, between) {
  const machine = await readMachine();
  const pauses = between.length > 0 ? { between } : {};
  const common = { clock, machine, quick: !options.full, date: new Date(), threads, ...pauses };
  return runtime === "llama"
    ? calibrateLlama({ ...common, runtime: await llamaRuntime() })
    : calibrate({ ...common, runtime: await onnxMicroRuntime() });
}

const threads = (await readMachine()).cores;
const folder = mkdtempSync(join(tmpdir(), "nsquared-"));
const gguf = join(folder, "random.gguf");

/** @typedef {import("../dist/measure/runner.js").Runner} Runner */
/** @typedef {{name: string, runtime: Runtime, model: ModelDescription, attention: "fused" | "naive", open: () => Promise<Runner>}} Subject */
/** @typedef {import("../dist/model/types.js").ModelDescription} ModelDescription */

/** @param {string} name @param {ModelDescription} model @param {"fused" | "naive"} attention @returns {Subject} */
function inOnnx(name, model, attention) {
  return {
    name,
    runtime: "onnx",
    model,
    attention,
    open: () =>
      openOnnxNodeRunner(model, { attention, threads, seed: 1, maxLength: n + 1, availableBytes: availableMemory }),
  };
}

const smol = builtInModel("SmolLM2-135M");
const six = { layers: 6 };
/** @type {Subject[]} */
const subjects = [
  inOnnx("SmolLM2-135M", smol, "fused"),
  inOnnx("Qwen2.5-0.5B, 6 layers", scaled(builtInModel("Qwen2.5-0.5B"), six), "fused"),
  inOnnx("SmolLM2-135M, 6 layers, naive", scaled(smol, six), "naive"),
  {
    name: "GGUF of SmolLM2's shapes",
    runtime: "llama",
    model: smol,
    attention: "fused",
    open: () => {
      writeRandomGguf(gguf, { type: "f16", context: n });
      return openLlamaRunner({ path: gguf, contextLength: n + 1, sequences: 1, threads, attention: "fused", seed: 1 });
    },
  },
];

/** @typedef {{n: number, seconds: number, block: number}[]} Samples */
/** @type {Record<string, Samples>} */
const kept =
  options.samples !== undefined && existsSync(options.samples) ? JSON.parse(readFileSync(options.samples, "utf8")) : {};

/**
 * The blocks of samples that are still to be taken of a model, one of warm-ups first and each in an order of its own. They are called in
 * turn; the last one closes the model and keeps the samples.
 *
 * @param {Subject} subject
 */
function blocksOf({ name, open }) {
  if (kept[name] !== undefined) return [];
  const context = { clock, signal: new AbortController().signal };
  const random = seededRandom(1);
  /** @type {Samples} */
  const samples = [];
  /** @type {Promise<Runner> | undefined} */
  let runner;
  return Array.from({ length: repeat + 1 }, (_, step) => async () => {
    runner ??= open();
    const opened = await runner;
    for (const length of shuffled([...lengths, n], random)) {
      const outcome = await opened.run({ phase: "prefill", n: length, depth: 0, batch: 1 }, context);
      if (outcome.status !== "ok") throw new Error(outcome.reason);
      samples.push({ n: length, seconds: outcome.seconds, block: step - 1 });
    }
    if (step < repeat) return;
    await opened.close();
    kept[name] = samples;
    if (options.samples !== undefined) writeFileSync(options.samples, JSON.stringify(kept, null, 1));
  });
}

const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;
const total = (/** @type {{seconds: number}[]} */ samples) => samples.reduce((sum, { seconds }) => sum + seconds, 0);
const spent = { short: 0, long: 0 };
/** @type {number[]} */
const errors = [];
let inside = 0;
/** Blocks of samples between two moments of a calibration: to fill a cache of llama.cpp takes as long as two of ONNX Runtime's. */
const blocksBetween = { onnx: 1, llama: 2 };
/** @type {Map<Runtime, DeviceRecord>} */
const records = new Map();
try {
  const chosen = subjects.filter(({ name }) => name.includes(options.only));
  const runtimes = new Set(chosen.map(({ runtime }) => runtime));
  for (const runtime of runtimes) {
    const left = chosen.filter((subject) => subject.runtime === runtime).flatMap(blocksOf);
    const next = async () => {
      for (const block of left.splice(0, blocksBetween[runtime])) await block();
    };
    const between = Array.from({ length: Math.ceil(left.length / blocksBetween[runtime]) }, () => next);
    records.set(runtime, await calibrated(runtime, between));
    while (left.length > 0) await next();
  }
  for (const subject of chosen) {
    const { model, runtime, attention } = subject;
    const device = records.get(runtime);
    if (device === undefined) throw new Error(`${runtime} is not calibrated`);
    const curve = curveToMeasure(model, device, { phase: "prefill", batch: 1, attention }, 0);
    const samples = kept[subject.name] ?? [];
    const short = samples.filter((sample) => sample.n < n);
    const long = samples.filter((sample) => sample.n === n);
    const counted = short.filter(({ block }) => block >= 0);
    const truth = quantile(
      long.flatMap(({ seconds, block }) => (block < 0 ? [] : [seconds])),
      0.5,
    );
    const { law, ...fit } = fitPhysical(curve, counted, { level });
    const { seconds, low, high } = fit.predict(n);
    const blind = fitLaw(counted).predict(n);
    const error = seconds / truth - 1;
    errors.push(Math.abs(error));
    if (low <= truth && truth <= high) inside += 1;
    spent.short += total(short);
    spent.long += total(long);
    console.log(
      `${subject.name}: ${seconds.toFixed(2)} s (${low.toFixed(2)} – ${high.toFixed(2)}), measured ${truth.toFixed(2)} s, ${percent(error)};`,
      `the samples alone ${blind.seconds.toFixed(2)} s (${blind.low.toFixed(2)} – ${blind.high.toFixed(2)})${blind.canTell ? "" : ", can't tell"};`,
      `cost ${percent(total(short) / total(long))} without calibration;`,
      law.efficiencies.map(({ name, value }) => `${name} ${value.toFixed(2)}`).join(", "),
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}
const calibrating = total([...records.values()].map(({ calibration }) => ({ seconds: calibration?.seconds ?? 0 })));
console.log(
  `n = ${n} from at most ${Math.max(...lengths)}: error ${percent(quantile(errors, 0.5))} in the middle, ${percent(Math.max(...errors))} at worst, ${inside} of ${errors.length} inside the ${percent(level)} intervals;`,
  `cost ${percent((spent.short + calibrating) / spent.long)} of measuring n as often (${spent.short.toFixed(1)} s of samples, ${calibrating.toFixed(1)} s of calibration, ${spent.long.toFixed(1)} s)`,
);
