/**
 * How well the calibrated prediction for this machine agrees with ONNX Runtime: calibrates, measures two models in
 * shuffled blocks, prints the ratios.
 *
 *   npm run build && node bench/local-accuracy.mjs [--blocks 3] [--quick] [--lengths 128..4096] [--record file]
 *
 * `--record` reads a calibration from a file, or writes it there when there is none. Run it on a quiet machine.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseLengths } from "../dist/base/lengths.js";
import { seededRandom, shuffled } from "../dist/base/random.js";
import { parseDeviceRecord } from "../dist/hardware/record.js";
import { systemClock as clock } from "../dist/measure/clock.js";
import { readMachine } from "../dist/measure/environment.js";
import { availableMemory, openOnnxNodeRunner } from "../dist/measure/onnx-node.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { predictCurve } from "../dist/predict/curve.js";
import { withDtype } from "../dist/variants/dtype.js";
import { calibrate } from "../dist/study/calibrate.js";
import { onnxMicroRuntime } from "../dist/study/micro-runtime.js";
import { quantile } from "./robust-fit.mjs";

const { values: options } = parseArgs({
  options: {
    blocks: { type: "string", default: "3" },
    quick: { type: "boolean", default: false },
    lengths: { type: "string", default: "128..4096" },
    models: { type: "string", default: "SmolLM2-135M,Qwen2.5-0.5B" },
    phase: { type: "string", default: "prefill" },
    attention: { type: "string", default: "fused" },
    record: { type: "string" },
  },
});
const lengths = parseLengths(options.lengths);
const names = options.models.split(",");
const { phase, attention } = options;

async function calibration() {
  if (options.record !== undefined && existsSync(options.record)) {
    return parseDeviceRecord(JSON.parse(readFileSync(options.record, "utf8")), options.record);
  }
  const runtime = await onnxMicroRuntime();
  const machine = await readMachine();
  const record = await calibrate({ runtime, clock, machine, quick: options.quick, date: new Date() });
  if (options.record !== undefined) writeFileSync(options.record, JSON.stringify(record, null, 1));
  return record;
}

const cellOf = (n) => (phase === "decode" ? { phase, n: 1, depth: n, batch: 1 } : { phase, n, depth: 0, batch: 1 });
const milliseconds = (seconds) => (seconds * 1e3).toFixed(1).padStart(9);

const device = await calibration();
const { gemm, seconds, spreads } = device.calibration;
console.log(
  `calibrated in ${seconds.toFixed(1)} s: ${(2e-9 / gemm.perMac).toFixed(0)} GFLOP/s, weights at ${(1e-9 / gemm.perWeightByte).toFixed(1)} GB/s, spreads`,
  spreads,
);

const context = { clock, signal: new AbortController().signal };
const runs = [];
for (const name of names) {
  const model = builtInModel(name);
  const runner = await openOnnxNodeRunner(model, {
    attention,
    threads: device.calibration.threads,
    seed: 1,
    maxLength: Math.max(...lengths) + 1,
    availableBytes: availableMemory,
  });
  for (const n of lengths) runs.push({ name, model, runner, n, times: [] });
}
const random = seededRandom(1);
for (let block = -1; block < Number(options.blocks); block += 1) {
  // The first block is a warm-up; the longest lengths need none.
  const cells = shuffled(runs, random).filter(({ n }) => block >= 0 || n <= 1024);
  for (const run of cells) {
    const outcome = await run.runner.run(cellOf(run.n), context);
    if (outcome.status !== "ok") throw new Error(outcome.reason);
    if (block >= 0) run.times.push(outcome.seconds);
  }
}

const ratios = [];
console.log("model             n   measured   predicted  ratio  inside 80 %");
for (const name of names) {
  const model = builtInModel(name);
  const curve = predictCurve(withDtype(model, "float32"), device, { phase, attention });
  for (const run of runs.filter((one) => one.name === name)) {
    const measured = quantile(run.times, 0.5);
    const { seconds: predicted, low, high } = curve.interval(run.n);
    const ratio = predicted / measured;
    ratios.push(ratio);
    const inside = measured >= low && measured <= high;
    const shares = curve.components.map(
      (part) => `${part.name} ${((100 * part.seconds(run.n)) / predicted).toFixed(0)} %`,
    );
    console.log(
      name.padEnd(14),
      String(run.n).padStart(6),
      milliseconds(measured),
      milliseconds(predicted),
      ratio.toFixed(3).padStart(7),
      inside ? "yes" : "no ",
      shares.join(", "),
    );
  }
}
console.log(
  `ratios from ${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}, median ${quantile(ratios, 0.5).toFixed(3)}`,
);

for (const runner of new Set(runs.map((one) => one.runner))) await runner.close();
