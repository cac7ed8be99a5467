// Prefill against other JavaScript runtimes: this project's lowering, @huggingface/transformers with the same weights in its own
// layout, and node-llama-cpp with a GGUF file of the same shapes; float32, interleaved in shuffled rounds, one run. Logits of the
// first two are compared. Prints tokens/s and the ratios of the pairs with their 95 % intervals. The first two run the same kernels
// and lie within percents of each other, so they get more rounds than the third.
//
//   npm run build && npm install --no-save @huggingface/transformers && node bench/runtimes.mjs [--lengths 512,2048,8192]
//     [--rounds 24] [--llama-rounds 5] [--threads 2] [--model SmolLM2-135M] [--layers 30] [--transformers folder/with/node_modules]
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { parseLengths } from "../dist/base/lengths.js";
import { seededRandom, shuffled } from "../dist/base/random.js";
import { normalQuantile } from "../dist/math/distributions.js";
import { systemClock as clock } from "../dist/measure/clock.js";
import { readMachine } from "../dist/measure/environment.js";
import { openLlamaRunner } from "../dist/measure/llama.js";
import { openEngine } from "../dist/measure/onnx-node-engine.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { lowerGraph } from "../dist/onnx/lower.js";
import { runnableGraph } from "../dist/onnx/runnable.js";
import { syntheticWeights } from "../dist/onnx/weights.js";
import { scaled } from "../dist/variants/scale.js";
import { writeHubLayout } from "./hub-layout.mjs";
import { writeRandomGguf } from "./random-gguf.mjs";
import { quantile } from "./robust-fit.mjs";

const { values: options } = parseArgs({
  options: {
    lengths: { type: "string", default: "512,2048,8192" },
    rounds: { type: "string", default: "24" },
    "llama-rounds": { type: "string", default: "5" },
    threads: { type: "string" },
    model: { type: "string", default: "SmolLM2-135M" },
    layers: { type: "string" },
    transformers: { type: "string", default: "." },
  },
});
const lengths = parseLengths(options.lengths);
const rounds = Number(options.rounds);
const llamaRounds = Math.min(rounds, Number(options["llama-rounds"]));
const threads = options.threads === undefined ? (await readMachine()).cores : Number(options.threads);
const model = scaled(
  builtInModel(options.model),
  options.layers === undefined ? {} : { layers: Number(options.layers) },
);
const longest = Math.max(...lengths);
const folder = mkdtempSync(join(tmpdir(), "nsquared-"));
const weights = syntheticWeights(1);

/** @typedef {{name: string, run: (ids: bigint[]) => Promise<Float32Array | null>, close: () => Promise<void>}} Contender */

/** @returns {Promise<Contender>} */
async function own() {
  const lowered = lowerGraph(runnableGraph(model, "fused"), { positions: longest });
  const engine = await openEngine(lowered, await lowered.parameters(weights), { threads, profilePrefix: null });
  const past = engine.caches.map(() => ({ key: new Float32Array(0), value: new Float32Array(0) }));
  return {
    name: "nsquared",
    // With the cache handed out, as the other does.
    run: async (ids) => {
      const step = engine.prepare({ batch: 1, n: ids.length, depth: 0, ids: BigInt64Array.from(ids), past });
      return (await engine.logitsAndCaches(step)).logits;
    },
    close: () => engine.close(),
  };
}

/** @returns {Promise<Contender>} */
async function transformers() {
  const hub = join(folder, "hub");
  await writeHubLayout(hub, model, weights, longest);
  const entry = createRequire(join(process.cwd(), options.transformers, "package.json")).resolve(
    "@huggingface/transformers",
  );
  const library = await import(pathToFileURL(entry).href);
  library.env.allowRemoteModels = false;
  library.env.localModelPath = folder;
  const loaded = await library.AutoModelForCausalLM.from_pretrained("hub", {
    dtype: "fp32",
    device: "cpu",
    local_files_only: true,
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  return {
    name: "@huggingface/transformers",
    run: async (ids) => {
      const shape = [1, ids.length];
      const result = await loaded({
        input_ids: new library.Tensor("int64", BigInt64Array.from(ids), shape),
        attention_mask: new library.Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
      });
      return result.logits.data;
    },
    close: () => loaded.dispose(),
  };
}

/** @returns {Promise<Contender>} */
async function llama() {
  const mixer = model.stacks[0]?.layers[0]?.mixers[0];
  const ffn = model.stacks[0]?.layers[0]?.ffns[0];
  if (mixer?.kind !== "attention" || ffn?.kind !== "dense") throw new Error("expected a Llama-like decoder");
  const path = join(folder, "random.gguf");
  writeRandomGguf(path, {
    layers: model.stacks[0]?.layers.length ?? 1,
    hidden: model.hiddenSize,
    heads: mixer.heads,
    kvHeads: mixer.kvHeads,
    headDim: mixer.keyDim,
    ffn: ffn.width,
    vocabulary: model.vocabularySize,
    context: longest,
    type: "f32",
  });
  const runner = await openLlamaRunner({
    path,
    contextLength: longest + 1,
    sequences: 1,
    threads,
    attention: "fused",
    seed: 1,
  });
  const context = { clock, signal: new AbortController().signal };
  return {
    name: "node-llama-cpp",
    run: async (ids) => {
      const cell = /** @type {const} */ ({ phase: "prefill", n: ids.length, depth: 0, batch: 1 });
      await runner.prepare(cell, context);
      const outcome = await runner.run(cell, context);
      if (outcome.status !== "ok") throw new Error(outcome.reason);
      return null;
    },
    close: () => runner.close(),
  };
}

/**
 * Ratio of pairs and its 95 % interval: pseudomedian of the logarithms and the signed-rank interval (Hodges and Lehmann 1963), which
 * a few rounds that the machine spoilt do not move. With fewer than six pairs no such interval exists: then the extremes.
 *
 * @param {number[]} left @param {number[]} right
 */
function paired(left, right) {
  const logs = left.map((seconds, i) => Math.log((right[i] ?? 0) / seconds));
  const count = logs.length;
  const averages = logs.flatMap((log, i) => logs.slice(i).map((other) => (log + other) / 2)).sort((a, b) => a - b);
  const spread = Math.sqrt((count * (count + 1) * (2 * count + 1)) / 24);
  const cut = Math.max(0, Math.floor((count * (count + 1)) / 4 - normalQuantile(0.975) * spread));
  const ends = [averages[cut] ?? 0, averages[averages.length - 1 - cut] ?? 0];
  return [quantile(averages, 0.5), ...ends].map((log) => Math.exp(log).toFixed(3));
}

/** @type {Contender[]} */
const contenders = [];
try {
  for (const open of [own, transformers, ...(llamaRounds > 0 ? [llama] : [])]) contenders.push(await open());
  const [ours, theirs, slower] = contenders;
  if (ours === undefined || theirs === undefined) throw new Error("nothing to compare");
  const random = seededRandom(1);
  const text = Array.from({ length: longest }, () => BigInt(Math.floor(random() * model.vocabularySize)));
  console.log(`${model.name}, ${model.stacks[0]?.layers.length} layers, float32, ${threads} threads, ${rounds} rounds`);
  for (const n of lengths) {
    const ids = text.slice(0, n);
    /** @type {Map<string, number[]>} */
    const times = new Map(contenders.map(({ name }) => [name, []]));
    /** @type {Map<string, Float32Array>} */
    const logits = new Map();
    for (let round = -1; round < rounds; round += 1) {
      const third = slower !== undefined && round < llamaRounds ? [slower] : [];
      // Pairs stand side by side, so that the machine's moods meet both.
      for (const { name, run } of [...shuffled([ours, theirs], random), ...third]) {
        const start = clock.now();
        const result = await run(ids);
        const seconds = clock.now() - start;
        if (round >= 0) times.get(name)?.push(seconds);
        else if (result !== null) logits.set(name, Float32Array.from(result));
      }
    }
    const [one = new Float32Array(0), other = new Float32Array(0)] = [logits.get(ours.name), logits.get(theirs.name)];
    const largest = one.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const apart = one.reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] ?? 0))), 0);
    const mine = times.get(ours.name) ?? [];
    const row = contenders.map(({ name }) => {
      const seconds = times.get(name) ?? [];
      const rate = `${name} ${(n / quantile(seconds, 0.5)).toFixed(0)} tokens/s (fastest ${(n / Math.min(...seconds)).toFixed(0)})`;
      if (name === ours.name) return rate;
      const [ratio, low, high] = paired(mine.slice(0, seconds.length), seconds);
      return `${rate}, nsquared is ${ratio} (${low} – ${high}) times as fast`;
    });
    console.log(`n = ${n}: ${row.join("; ")}; logits differ by ${(apart / largest).toExponential(1)} of the largest`);
  }
} finally {
  for (const { close } of contenders) await close();
  rmSync(folder, { recursive: true });
}
