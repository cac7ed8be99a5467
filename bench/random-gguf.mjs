/**
 * Writes a GGUF file of a Llama-like decoder with random weights (src/model/gguf/random-gguf.ts).
 *
 *   npm run build && node bench/random-gguf.mjs model.gguf [--layers 30 --hidden 576 --heads 9 --kv-heads 3 --head-dim 64]
 *     [--ffn 1536 --vocabulary 49152 --context 8192] [--type f32|f16] [--untied] [--rope-base 100000] [--seed 1]
 *
 * Left out, the shapes are those of SmolLM2-135M.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writePieces } from "../dist/files/node-write.js";
import { randomGguf } from "../dist/model/gguf/random-gguf.js";

/**
 * Writes the file; its data is made as it is written, so that large models need no memory.
 *
 * @param {string} path
 * @param {Partial<import("../dist/model/gguf/random-gguf.js").GgufShapes>} [wanted] SmolLM2-135M where left out
 * @param {number} [seed]
 */
export function writeRandomGguf(path, wanted = {}, seed = 1) {
  writePieces(path, randomGguf(wanted, { seed }));
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      layers: { type: "string" },
      hidden: { type: "string" },
      heads: { type: "string" },
      "kv-heads": { type: "string" },
      "head-dim": { type: "string" },
      ffn: { type: "string" },
      vocabulary: { type: "string" },
      context: { type: "string" },
      type: { type: "string", default: "f32" },
      untied: { type: "boolean", default: false },
      "rope-base": { type: "string" },
      seed: { type: "string", default: "1" },
    },
  });
  const [path] = positionals;
  if (path === undefined || (values.type !== "f32" && values.type !== "f16")) {
    console.error("usage: node bench/random-gguf.mjs model.gguf [--layers 30 …] [--type f32|f16]");
    process.exitCode = 2;
    return;
  }
  const names = ["layers", "hidden", "heads", "kvHeads", "headDim", "ffn", "vocabulary", "context", "ropeBase"];
  const dashed = (/** @type {string} */ name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const given = new Map(Object.entries(values));
  const numbers = names.flatMap((name) => {
    const value = given.get(dashed(name));
    return value === undefined ? [] : [[name, Number(value)]];
  });
  const { type, untied, seed } = values;
  writeRandomGguf(path, { ...Object.fromEntries(numbers), type, untied }, Number(seed));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
