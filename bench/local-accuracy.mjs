/**
 * How well the calibrated prediction for this machine agrees with ONNX Runtime: calibrates, measures two models in
 * shuffled blocks, prints the ratios; with `--long`, also how well lengths up to 1024 foretell 8192.
 *
 *   npm run build && node bench/local-accuracy.mjs [--blocks 3] [--quick] [--long] [--lengths 128..4096] [--record file]
 *
 * `--record` reads a calibration from a file, or writes it there when there is none. Run it on a quiet machine.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseLengths } from "../dist/base/lengths.js";
import { seededRandom, shuffled } from "../dist/base/random.js";
import { fitLaw, fitPhysical } from "../dist/fit/index.js";
import { parseDeviceRecord } from "../dist/hardware/record.js";
import { systemClock as clock } from "../dist/measure/clock.js";
import { readMachine } from "../dist/measure/environment.js";
import { availableMemory, openOnnxNodeRunner } from "../dist/measure/onnx-node.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { predictCurve } from "../dist/predict/curve.js";
import { withDtype } from "../dist/variants/dtype.js";
import { calibrate } from "../dist/study/calibrate.js";
import { onnxMicroRuntime } from "../dist/study/micro-runtime.js";

const { values: options } = parseArgs({
  options: {
    blocks: { type: "string", default: "3" },
    quick: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
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
const longest = options.long ? 8192 : Math.max(...lengths);

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

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))];
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
    maxLength: longest + 1,
    availableBytes: availableMemory,
  });
  const own = options.long && name === names[0] ? [...lengths, 8192] : lengths;
  for (const n of own) runs.push({ name, model, runner, n, times: [] });
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
    if (lengths.includes(run.n)) ratios.push(ratio);
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

if (options.long) {
  const [name] = names;
  const curve = predictCurve(withDtype(builtInModel(name), "float32"), device, { phase, attention });
  const own = runs.filter((one) => one.name === name);
  const points = own
    .filter(({ n }) => n <= 1024)
    .flatMap(({ n, times }) => times.map((time) => ({ n, seconds: time })));
  const fitted = fitPhysical(curve, points, { level: 0.8 });
  const truth = quantile(own.find(({ n }) => n === 8192).times, 0.5);
  const { seconds: foretold, low, high } = fitted.predict(8192);
  console.log(
    `fitted to lengths ≤ 1024: 8192 foretold as ${foretold.toFixed(2)} s [${low.toFixed(2)}, ${high.toFixed(2)}], measured ${truth.toFixed(2)} s: ${((foretold / truth - 1) * 100).toFixed(1)} %`,
  );
  console.log(fitted.law.efficiencies.map((one) => `${one.name} ${one.value.toFixed(3)}`).join(", "));
  const blind = fitLaw(points);
  const guess = blind.predict(8192);
  console.log(
    `the samples alone (${blind.law.kind} law): ${guess.seconds.toFixed(2)} s [${guess.low.toFixed(2)}, ${guess.high.toFixed(2)}], ${guess.canTell ? "said to be known" : "said to be unknown"}; ${blind.warnings.map(({ code }) => code).join(", ")}`,
  );
  const measuring = points.reduce((sum, point) => sum + point.seconds, 0);
  const direct = own.find(({ n }) => n === 8192).times.reduce((sum, time) => sum + time, 0);
  const share = (part) => `${((100 * part) / direct).toFixed(0)} %`;
  console.log(
    `cost: ${measuring.toFixed(1)} s of samples (${share(measuring)}) and ${seconds.toFixed(1)} s of calibration (${share(seconds + measuring)} together) of the ${direct.toFixed(1)} s that measuring 8192 as often took`,
  );
}
for (const runner of new Set(runs.map((one) => one.runner))) await runner.close();
