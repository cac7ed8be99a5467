// Single kernels as a calibration times them, run by run: what a size takes, per multiply-add where it is a product, and how that
// changes while nothing else does.
//
//   npm run build && node bench/micros.mjs "product batch=2 rows=4096 inner=64 columns=4096" … [--repeat 8] [--rounds 1] [--threads 2]
//
// Kernels are named in the words that a device record has for its measurements. Rounds go through all of them in turn.
import { parseArgs } from "node:util";
import { systemClock as clock } from "../dist/measure/clock.js";
import { openMicro } from "../dist/measure/onnx-node-micro.js";
import { quantile } from "./robust-fit.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    repeat: { type: "string", default: "8" },
    rounds: { type: "string", default: "1" },
    threads: { type: "string", default: "2" },
  },
});

/** @param {string} words @returns {import("../dist/onnx/micro.js").Micro} */
function microOf(words) {
  const [kind, ...sizes] = words.split(" ");
  const entries = sizes.map((size) => {
    const [name = "", value = ""] = size.split("=");
    return [name, Number.isNaN(Number(value)) ? value : Number(value)];
  });
  return { kind, ...Object.fromEntries(entries) };
}

/** Multiply-adds of a product; null of anything else. @param {import("../dist/onnx/micro.js").Micro} micro */
function macsOf(micro) {
  if (micro.kind === "product") return micro.batch * micro.rows * micro.inner * micro.columns;
  return micro.kind === "matmul" ? (micro.length ?? 1) * micro.m * micro.k * micro.n : null;
}

if (positionals.length === 0) {
  console.error('usage: node bench/micros.mjs "product batch=2 rows=4096 inner=64 columns=4096" …');
  process.exit(2);
}
const kernels = [];
for (const words of positionals) {
  const micro = microOf(words);
  kernels.push({ words, micro, session: await openMicro(micro, Number(options.threads)) });
}
for (let round = 1; round <= Number(options.rounds); round += 1) {
  for (const { words, micro, session } of kernels) {
    const times = await session.time(micro, { clock, repeats: Number(options.repeat) });
    const middle = quantile(times, 0.5);
    const macs = macsOf(micro);
    const each = macs === null ? "" : `, ${((1e12 * middle) / macs).toFixed(2)} ps a multiply-add`;
    const all = times.map((time) => (1e3 * time).toFixed(1)).join(" ");
    console.log(`${words}: ${(1e3 * middle).toFixed(1)} ms${each} (${all})`);
  }
}
for (const { session } of kernels) await session.close();
