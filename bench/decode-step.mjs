// One decode step after so many cached tokens: what a pass that throws the grown cache away takes (what `measure` times), what it
// takes with the cache handed on (what `generate` does), and the bytes of cache that it must read. SmolLM2's shapes, float32.
//
//   npm run build && node bench/decode-step.mjs [--lengths 1k,4k,8k] [--rounds 9] [--model SmolLM2-135M] [--layers 6]
//     [--against folder/of/another/build]
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { quantile } from "./robust-fit.mjs";

const { values: options } = parseArgs({
  options: {
    lengths: { type: "string", default: "1k,4k,8k" },
    rounds: { type: "string", default: "9" },
    model: { type: "string", default: "SmolLM2-135M" },
    layers: { type: "string", default: "6" },
    against: { type: "string" },
  },
});

/** @param {string} name @param {string} folder a build of this project */
async function contender(name, folder) {
  /** @param {string} file */
  const part = (file) => import(pathToFileURL(join(process.cwd(), folder, file)).href);
  const { parseLengths } = await part("base/lengths.js");
  const lengths = parseLengths(options.lengths);
  const { builtInModel } = await part("model/builtin/models.js");
  const { scaled } = await part("variants/scale.js");
  const model = scaled(builtInModel(options.model), { layers: Number(options.layers) });
  const { lowerGraph } = await part("onnx/lower.js");
  const { runnableGraph } = await part("onnx/runnable.js");
  const positions = Math.max(...lengths) + Number(options.rounds) + 2;
  const lowered = lowerGraph(runnableGraph(model, "fused"), { positions });
  const { syntheticWeights } = await part("onnx/weights.js");
  const { openEngine } = await part("measure/onnx-node-engine.js");
  const session = { threads: null, profilePrefix: null };
  const engine = await openEngine(lowered, await lowered.parameters(syntheticWeights(1)), session);
  const { cacheFiller } = await part("measure/onnx-node-cache.js");
  const fill = cacheFiller();
  /** @param {number} depth */
  const stepper = (depth) => {
    const ids = BigInt64Array.of(1n);
    let past = fill(engine.caches, 1, depth);
    const step = engine.prepare({ batch: 1, n: 1, depth, ids, past });
    const bytes = past.reduce((sum, { key, value }) => sum + key.byteLength + value.byteLength, 0);
    let at = depth;
    return {
      bytes,
      thrown: async () => void (await engine.logits(step)),
      handed: async () => {
        ({ caches: past } = await engine.logitsAndCaches(engine.prepare({ batch: 1, n: 1, depth: at, ids, past })));
        at += 1;
      },
    };
  };
  return { name, lengths, stepper, close: () => engine.close() };
}

const contenders = [await contender("this build", "dist")];
if (options.against !== undefined) contenders.push(await contender(options.against, options.against));
const rounds = Number(options.rounds);
/** @param {number[]} times */
const shown = (times) => `${Math.min(...times).toFixed(1)} ms (median ${quantile(times, 0.5).toFixed(1)})`;
for (const depth of contenders[0]?.lengths ?? []) {
  const steppers = contenders.map(({ name, stepper }) => ({ name, ...stepper(depth) }));
  /** @type {Map<string, number[]>} */
  const times = new Map();
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, thrown, handed } of steppers) {
      for (const [what, run] of /** @type {const} */ ([
        ["thrown away", thrown],
        ["handed on", handed],
      ])) {
        const start = performance.now();
        await run();
        const label = `${name}, ${what}`;
        if (round >= 0) times.set(label, [...(times.get(label) ?? []), performance.now() - start]);
      }
    }
  }
  console.log(`c = ${depth}, ${((steppers[0]?.bytes ?? 0) / 1e6).toFixed(1)} MB of cache`);
  for (const [label, own] of times) console.log(`  ${label}: ${shown(own)}`);
}
for (const { close } of contenders) await close();
