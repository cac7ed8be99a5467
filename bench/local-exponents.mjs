/**
 * Local exponents of prefill at the longest lengths, of the whole and of the attention part alone, and how much faster
 * the attention part of each variant is than that of the first. Variants take turns in rounds; each keeps its fastest
 * profile at each length, since noise only adds. The attention part is what ONNX Runtime's own profile gives it.
 *
 *   npm run build && node bench/local-exponents.mjs [--like SmolLM2-135M] [--layers 2] [--lengths 8k,16k] [--rounds 3]
 *     [--variants full,naive,window:1024,linear,mamba2,lstm] [--threads 2]
 */
import { parseArgs } from "node:util";
import { parseLengths } from "../dist/base/lengths.js";
import { readMachine } from "../dist/measure/environment.js";
import { profileOnnxNode } from "../dist/measure/onnx-node-profile.js";
import { availableMemory } from "../dist/measure/onnx-node.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { scaled } from "../dist/variants/scale.js";
import { parseVariant } from "../dist/variants/variant.js";

const { values: options } = parseArgs({
  options: {
    like: { type: "string", default: "SmolLM2-135M" },
    layers: { type: "string", default: "2" },
    vocabulary: { type: "string", default: "2048" },
    lengths: { type: "string", default: "8k,16k" },
    rounds: { type: "string", default: "3" },
    variants: { type: "string", default: "full,window:1024,linear,mamba2,lstm" },
    threads: { type: "string" },
  },
});
const base = scaled(builtInModel(options.like), {
  layers: Number(options.layers),
  vocabulary: Number(options.vocabulary),
});
const lengths = parseLengths(options.lengths);
const threads = options.threads === undefined ? (await readMachine()).cores : Number(options.threads);
const variants = options.variants.split(",").map(parseVariant);

/** Fastest whole and fastest attention part, by variant and length. */
const best = new Map(variants.map(({ name }) => [name, new Map()]));
for (let round = 0; round < Number(options.rounds); round += 1) {
  for (const { name, apply, run } of variants) {
    for (const n of lengths) {
      const cell = { phase: "prefill", n, depth: 0, batch: 1 };
      const settings = {
        attention: run.attention ?? "fused",
        threads,
        seed: 1,
        maxLength: n,
        availableBytes: availableMemory,
      };
      const profile = await profileOnnxNode(apply(base), cell, settings);
      const attention = profile.nodes
        .filter(({ part }) => part === "attention")
        .reduce((sum, { seconds }) => sum + seconds, 0);
      const known = best.get(name).get(n) ?? { whole: Infinity, attention: Infinity };
      best.get(name).set(n, {
        whole: Math.min(known.whole, profile.seconds),
        attention: Math.min(known.attention, attention),
      });
    }
  }
}

console.log(`${options.like}, ${options.layers} layers, ${threads} threads, fastest of ${options.rounds}`);
const [first] = variants;
for (const { name } of variants) {
  const rows = best.get(name);
  for (const [index, n] of lengths.entries()) {
    const { whole, attention } = rows.get(n);
    const before = rows.get(lengths[index - 1]);
    const slope = (now, then) => (Math.log(now / then) / Math.log(n / lengths[index - 1])).toFixed(2);
    const exponents =
      before === undefined
        ? ""
        : `, exponent ${slope(whole, before.whole)}, of attention ${slope(attention, before.attention)}`;
    const against = best.get(first.name).get(n).attention / attention;
    console.log(
      `${name} n = ${n}: ${(whole * 1e3).toFixed(0)} ms, attention ${(attention * 1e3).toFixed(0)} ms${exponents}; ${against.toFixed(2)} × as fast as ${first.name} in attention`,
    );
  }
}
