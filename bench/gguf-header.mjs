/**
 * How long the header of a GGUF file of 100 GB takes to read, and how much of the file that touches: a sparse file with
 * the header of an 80-layer Llama, its tokenizer's 128,256 words and 280,147 merges included.
 *
 *   npm run build && node bench/gguf-header.mjs [--repeat 9]
 */
import { mkdtempSync, openSync, closeSync, ftruncateSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { nodeAccess } from "../dist/files/node.js";
import { loadModel } from "../dist/model/load.js";
import { describeModel } from "../dist/study/describe.js";

const { values } = parseArgs({ options: { repeat: { type: "string", default: "9" } } });
const fileBytes = 100e9;

const bytes = (size, write) => {
  const view = new DataView(new ArrayBuffer(size));
  write(view);
  return Buffer.from(view.buffer);
};
const u32 = (value) => bytes(4, (view) => view.setUint32(0, value, true));
const u64 = (value) => bytes(8, (view) => view.setBigUint64(0, BigInt(value), true));
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const entry = (key, type, value) => Buffer.concat([text(key), u32(type), value]);
const number = (key, value) => entry(`llama.${key}`, 4, u32(value));
const texts = (key, list) => entry(key, 9, Buffer.concat([u32(8), u64(list.length), ...list.map(text)]));

const words = Array.from({ length: 128_256 }, (_, index) => `Ġword${index}`);
const merges = Array.from({ length: 280_147 }, (_, index) => `Ġw${index % 977} ord${index}`);
const entries = [
  entry("general.architecture", 8, text("llama")),
  number("block_count", 80),
  number("context_length", 131_072),
  number("embedding_length", 8192),
  number("feed_forward_length", 28_672),
  number("attention.head_count", 64),
  number("attention.head_count_kv", 8),
  entry(
    "llama.attention.layer_norm_rms_epsilon",
    6,
    bytes(4, (view) => view.setFloat32(0, 1e-5, true)),
  ),
  texts("tokenizer.ggml.tokens", words),
  entry("tokenizer.ggml.token_type", 9, Buffer.concat([u32(5), u64(words.length), Buffer.alloc(4 * words.length)])),
  texts("tokenizer.ggml.merges", merges),
];
const layer = {
  "attn_norm.weight": [8192],
  "attn_q.weight": [8192, 8192],
  "attn_k.weight": [8192, 1024],
  "attn_v.weight": [8192, 1024],
  "attn_output.weight": [8192, 8192],
  "ffn_norm.weight": [8192],
  "ffn_gate.weight": [8192, 28_672],
  "ffn_up.weight": [8192, 28_672],
  "ffn_down.weight": [28_672, 8192],
};
const shapes = [
  ["token_embd.weight", [8192, words.length]],
  ["output_norm.weight", [8192]],
  ["output.weight", [8192, words.length]],
  ...Array.from({ length: 80 }, (_, index) =>
    Object.entries(layer).map(([name, shape]) => [`blk.${index}.${name}`, shape]),
  ).flat(),
];
const q8 = 8;
let offset = 0;
const tensors = shapes.map(([name, shape]) => {
  const type = shape.length > 1 ? q8 : 0;
  const info = Buffer.concat([text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset)]);
  offset += shape.reduce((product, size) => product * size, type === q8 ? 34 / 32 : 4);
  return info;
});
const header = Buffer.concat([
  Buffer.from("GGUF"),
  u32(3),
  u64(tensors.length),
  u64(entries.length),
  ...entries,
  ...tensors,
]);

const folder = mkdtempSync(join(tmpdir(), "nsquared-gguf-"));
try {
  const path = join(folder, "llama-70b-Q8_0.gguf");
  const file = openSync(path, "w");
  writeSync(file, header);
  ftruncateSync(file, fileBytes);
  closeSync(file);
  const times = [];
  for (let round = 0; round < Number(values.repeat); round += 1) {
    const start = performance.now();
    describeModel(await loadModel(path, nodeAccess()));
    times.push(performance.now() - start);
  }
  const [first] = times;
  const sorted = times.toSorted((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  console.log(
    `header of ${(header.length / 1e6).toFixed(1)} MB in a file of ${fileBytes / 1e9} GB, read and described:`,
  );
  console.log(
    `first ${first.toFixed(0)} ms (modules compiled), median ${median.toFixed(0)} ms, fastest ${sorted[0].toFixed(0)} ms`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
