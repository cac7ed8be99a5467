/**
 * Prefill FLOP/s of a lowered model as a share of the GEMM rate of the same run, and what the time is spent on by ONNX
 * Runtime's own profile. GEMM and prefills take turns in rounds; each keeps its fastest time, since noise only adds.
 *
 *   npm run build && node bench/prefill-rate.mjs [--model SmolLM2-135M] [--lengths 512,1024,2048] [--rounds 5] [--threads 2]
 *
 * `--cpu` counts processor seconds instead of wall seconds: a figure for a machine that others use too, honest for one
 * thread only.
 */
import { parseArgs } from "node:util";
import { parseLengths } from "../dist/base/lengths.js";
import { systemClock } from "../dist/measure/clock.js";
import { readMachine } from "../dist/measure/environment.js";
import { openMicro } from "../dist/measure/onnx-node-micro.js";
import { profileOnnxNode, sumBy } from "../dist/measure/onnx-node-profile.js";
import { availableMemory, openOnnxNodeRunner } from "../dist/measure/onnx-node.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { costOfModel } from "../dist/study/cost.js";

const { values: options } = parseArgs({
  options: {
    model: { type: "string", default: "SmolLM2-135M" },
    lengths: { type: "string", default: "512,1024,2048" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string" },
    attention: { type: "string", default: "fused" },
    cpu: { type: "boolean", default: false },
  },
});
const model = builtInModel(options.model);
const lengths = parseLengths(options.lengths);
const threads = options.threads === undefined ? (await readMachine()).cores : Number(options.threads);
const spent = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1e-6;
};
const clock = options.cpu ? { ...systemClock, now: spent } : systemClock;
const context = { clock, signal: new AbortController().signal };
const settings = {
  attention: options.attention,
  threads,
  seed: 1,
  maxLength: Math.max(...lengths),
  availableBytes: availableMemory,
};
const gemm = { kind: "matmul", m: 1024, k: 1024, n: 4096, length: 1 };
const gemmFlops = 2 * gemm.m * gemm.k * gemm.n;

const runner = await openOnnxNodeRunner(model, settings);
const product = await openMicro(gemm, threads);
let gemmSeconds = Number.POSITIVE_INFINITY;
const seconds = new Map(lengths.map((n) => [n, Number.POSITIVE_INFINITY]));
for (let round = 0; round < Number(options.rounds); round += 1) {
  for (const n of lengths) {
    gemmSeconds = Math.min(gemmSeconds, ...(await product.time(gemm, { clock, repeats: 5 })));
    const cell = { phase: "prefill", n, depth: 0, batch: 1 };
    await runner.prepare(cell, context);
    const outcome = await runner.run(cell, context);
    if (outcome.status === "ok") seconds.set(n, Math.min(seconds.get(n), outcome.seconds));
  }
}
await product.close();
await runner.close();

const gemmRate = gemmFlops / gemmSeconds;
console.log(
  `${options.model}, float32, ${options.attention} attention, ${threads} threads, ${options.cpu ? "processor" : "wall"} seconds`,
);
console.log(`GEMM ${gemm.m} × ${gemm.k} × ${gemm.n}: ${(gemmRate / 1e9).toFixed(0)} GFLOP/s`);
for (const point of costOfModel(model, { lengths }).points) {
  const rate = point.flops.total / seconds.get(point.n);
  const milliseconds = (seconds.get(point.n) * 1e3).toFixed(0);
  console.log(
    `n = ${point.n}: ${milliseconds} ms, ${(rate / 1e9).toFixed(0)} GFLOP/s, ${((100 * rate) / gemmRate).toFixed(0)} % of GEMM`,
  );
}
for (const n of lengths) {
  const profile = await profileOnnxNode(model, { phase: "prefill", n, depth: 0, batch: 1 }, settings);
  const shares = sumBy(profile, (node) => `${node.part} ${node.op}`).map(
    ([what, part]) => `${what} ${((100 * part) / profile.seconds).toFixed(1)} %`,
  );
  console.log(`n = ${n}, profile: ${shares.join(", ")}`);
}
