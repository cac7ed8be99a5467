/**
 * Peak memory of a prefill with naive and with fused attention, each measured in a process of its own, beside what was
 * predicted before it ran.
 *
 *   npm run build && node bench/attention-memory.mjs [--like SmolLM2-135M] [--layers 2] [--lengths 512,1k,2k,4k]
 */
import { parseArgs } from "node:util";
import { parseLengths } from "../dist/base/lengths.js";
import { readMachine } from "../dist/measure/environment.js";
import { measurePeak } from "../dist/measure/onnx-node-peak.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { lowerGraph } from "../dist/onnx/lower.js";
import { passBytes, residentBytes } from "../dist/onnx/memory.js";
import { runnableGraph } from "../dist/onnx/runnable.js";
import { scaled } from "../dist/variants/scale.js";

const { values: options } = parseArgs({
  options: {
    like: { type: "string", default: "SmolLM2-135M" },
    layers: { type: "string", default: "2" },
    vocabulary: { type: "string", default: "2048" },
    lengths: { type: "string", default: "512,1k,2k,4k" },
  },
});
const model = scaled(builtInModel(options.like), {
  layers: Number(options.layers),
  vocabulary: Number(options.vocabulary),
});
const lengths = parseLengths(options.lengths);
const { cores: threads } = await readMachine();
const mebi = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

for (const attention of ["naive", "fused"]) {
  const graph = runnableGraph(model, attention);
  let before = null;
  for (const n of lengths) {
    const cell = { phase: "prefill", n, depth: 0, batch: 1 };
    const peak = await measurePeak({ model, cell, options: { attention, threads, seed: 1, maxLength: n } });
    const resident = residentBytes(lowerGraph(graph, { positions: n }));
    const predicted = resident + passBytes(graph, cell);
    if (peak === null) {
      console.log(`${attention} n = ${n}: not measured; predicted ${mebi(predicted)}`);
      continue;
    }
    // What the step itself took beside the open model: the part that grows with n.
    const grown = peak.step - peak.open;
    const exponent =
      before === null ? "" : `, grows as n^${(Math.log(grown / before.grown) / Math.log(n / before.n)).toFixed(2)}`;
    console.log(
      `${attention} n = ${n}: measured ${mebi(peak.step)} (${mebi(grown)} beside the open model${exponent}), predicted ${mebi(predicted)}`,
    );
    before = { n, grown };
  }
}
