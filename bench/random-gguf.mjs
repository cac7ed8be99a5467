/**
 * Writes a GGUF file of a Llama-like decoder with random weights: llama.cpp runs it at the speed of a trained model of
 * its shapes. The vocabulary is byte-level: three control tokens, the space, the 256 bytes,
 * and fillers that no text produces.
 *
 *   node bench/random-gguf.mjs model.gguf [--layers 30 --hidden 576 --heads 9 --kv-heads 3 --head-dim 64 --ffn 1536]
 *     [--vocabulary 49152] [--context 8192] [--type f32|f16] [--untied] [--rope-base 10000] [--seed 1]
 *
 * Left out, the shapes are those of SmolLM2-135M.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/**
 * @typedef {object} Shapes
 * @property {number} layers
 * @property {number} hidden
 * @property {number} heads
 * @property {number} kvHeads
 * @property {number} headDim
 * @property {number} ffn
 * @property {number} vocabulary at least 260
 * @property {number} context longest context that the header names
 * @property {"f32" | "f16"} type of the matrices; norms are f32
 * @property {boolean} untied whether the head has a matrix of its own
 * @property {number} ropeBase
 */

/** @type {Shapes} */
export const defaultShapes = {
  layers: 30,
  hidden: 576,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  ffn: 1536,
  vocabulary: 49_152,
  context: 8192,
  type: "f32",
  untied: false,
  ropeBase: 100_000,
};

/** Types of tokens as llama.cpp numbers them. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, byte: 6 };
/** Unknown, beginning and end of text, and how this kind of tokenizer writes a space. @type {[string, number][]} */
const words = [
  ["<unk>", tokenTypes.unknown],
  ["<s>", tokenTypes.control],
  ["</s>", tokenTypes.control],
  ["\u2581", tokenTypes.normal],
];
export const smallestVocabulary = words.length + 256;
const alignment = 32;
const elementsPerWrite = 1 << 20;

/** @param {number} size @param {(view: DataView) => void} write */
function bytes(size, write) {
  const view = new DataView(new ArrayBuffer(size));
  write(view);
  return Buffer.from(view.buffer);
}
/** @param {number} value */
const u32 = (value) => bytes(4, (view) => view.setUint32(0, value, true));
/** @param {number} value */
const u64 = (value) => bytes(8, (view) => view.setBigUint64(0, BigInt(value), true));
/** @param {number} value */
const f32 = (value) => bytes(4, (view) => view.setFloat32(0, value, true));
/** @param {string} value */
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
/** @param {string} key @param {number} type @param {Buffer} value */
const entry = (key, type, value) => Buffer.concat([text(key), u32(type), value]);
/** @param {string} key @param {number} type @param {Buffer[]} items */
const list = (key, type, items) => entry(key, 9, Buffer.concat([u32(type), u64(items.length), ...items]));

/** The entries of the header. @param {Shapes} shapes */
function metadata({ layers, hidden, heads, kvHeads, headDim, ffn, vocabulary, context, ropeBase }) {
  /** @param {string} key @param {number} value */
  const whole = (key, value) => entry(`llama.${key}`, 4, u32(value));
  /** @type {[string, number][]} */
  const tokens = [
    ...words,
    ...Array.from(
      { length: 256 },
      (_, byte) =>
        /** @type {[string, number]} */ ([`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, tokenTypes.byte]),
    ),
    ...Array.from(
      { length: vocabulary - smallestVocabulary },
      (_, index) => /** @type {[string, number]} */ ([`<filler_${index}>`, tokenTypes.normal]),
    ),
  ];
  return [
    entry("general.architecture", 8, text("llama")),
    entry("general.name", 8, text("random")),
    whole("block_count", layers),
    whole("context_length", context),
    whole("embedding_length", hidden),
    whole("feed_forward_length", ffn),
    whole("attention.head_count", heads),
    whole("attention.head_count_kv", kvHeads),
    whole("attention.key_length", headDim),
    whole("attention.value_length", headDim),
    whole("rope.dimension_count", headDim),
    whole("vocab_size", vocabulary),
    entry("llama.attention.layer_norm_rms_epsilon", 6, f32(1e-5)),
    entry("llama.rope.freq_base", 6, f32(ropeBase)),
    entry("tokenizer.ggml.model", 8, text("llama")),
    list(
      "tokenizer.ggml.tokens",
      8,
      tokens.map(([token]) => text(token)),
    ),
    list(
      "tokenizer.ggml.scores",
      6,
      tokens.map(() => f32(0)),
    ),
    list(
      "tokenizer.ggml.token_type",
      5,
      tokens.map(([, type]) => u32(type)),
    ),
    entry("tokenizer.ggml.unknown_token_id", 4, u32(0)),
    entry("tokenizer.ggml.bos_token_id", 4, u32(1)),
    entry("tokenizer.ggml.eos_token_id", 4, u32(2)),
    entry("tokenizer.ggml.add_bos_token", 7, Buffer.from([0])),
    entry("tokenizer.ggml.add_space_prefix", 7, Buffer.from([0])),
  ];
}

/** Names and sizes of the tensors, the contiguous dimension first. @param {Shapes} shapes @returns {[string, number[]][]} */
function tensorShapes({ layers, hidden, heads, kvHeads, headDim, ffn, vocabulary, untied }) {
  return [
    ["token_embd.weight", [hidden, vocabulary]],
    ...Array.from({ length: layers }, (_, layer) =>
      /** @type {[string, number[]][]} */ ([
        ["attn_norm.weight", [hidden]],
        ["attn_q.weight", [hidden, heads * headDim]],
        ["attn_k.weight", [hidden, kvHeads * headDim]],
        ["attn_v.weight", [hidden, kvHeads * headDim]],
        ["attn_output.weight", [heads * headDim, hidden]],
        ["ffn_norm.weight", [hidden]],
        ["ffn_gate.weight", [hidden, ffn]],
        ["ffn_up.weight", [hidden, ffn]],
        ["ffn_down.weight", [ffn, hidden]],
      ]).map(([name, shape]) => /** @type {[string, number[]]} */ ([`blk.${layer}.${name}`, shape])),
    ).flat(),
    ["output_norm.weight", [hidden]],
    ...(untied ? [/** @type {[string, number[]]} */ (["output.weight", [hidden, vocabulary]])] : []),
  ];
}

/** Bits of a float16 near a number of ordinary size: what is below its last bit is cut off. @param {number} bits of the float32 */
function halfBits(bits) {
  const exponent = ((bits >>> 23) & 0xff) - 112;
  if (exponent <= 0) return 0;
  return ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}

/**
 * Writes the file; its data is made as it is written, so that large models need no memory.
 *
 * @param {string} path
 * @param {Partial<Shapes>} [wanted] SmolLM2-135M where left out
 * @param {number} [seed]
 */
export function writeRandomGguf(path, wanted = {}, seed = 1) {
  const shapes = { ...defaultShapes, ...wanted };
  if (shapes.vocabulary < smallestVocabulary) throw new Error(`a vocabulary has at least ${smallestVocabulary} tokens`);
  const entries = metadata(shapes);
  let offset = 0;
  const tensors = tensorShapes(shapes).map(([name, shape]) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const half = shape.length > 1 && shapes.type === "f16";
    const info = Buffer.concat([text(name), u32(shape.length), ...shape.map(u64), u32(half ? 1 : 0), u64(offset)]);
    const size = elements * (half ? 2 : 4);
    const padding = (alignment - (size % alignment)) % alignment;
    offset += size + padding;
    return { info, elements, half, padding, fanIn: shape[0] ?? 1, norm: shape.length === 1 };
  });
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries,
    ...tensors.map(({ info }) => info),
  ]);
  const file = openSync(path, "w");
  try {
    writeSync(file, header);
    writeSync(file, Buffer.alloc((alignment - (header.length % alignment)) % alignment));
    const random = xorshift(seed);
    const values = new Float32Array(elementsPerWrite);
    const bits = new Uint32Array(values.buffer);
    const halves = new Uint16Array(elementsPerWrite);
    for (const { elements, half, padding, fanIn, norm } of tensors) {
      // A uniform deviate on [−a, a) has the variance a²/3: matrices keep the size of what they multiply.
      const amplitude = norm ? 0.1 : Math.sqrt(3 / fanIn);
      const centre = norm ? 1 : 0;
      for (let from = 0; from < elements; from += elementsPerWrite) {
        const count = Math.min(elementsPerWrite, elements - from);
        for (let i = 0; i < count; i += 1) values[i] = centre + (2 * random() - 1) * amplitude;
        if (half) for (let i = 0; i < count; i += 1) halves[i] = halfBits(bits[i] ?? 0);
        writeAll(file, new Uint8Array(half ? halves.buffer : values.buffer, 0, count * (half ? 2 : 4)));
      }
      writeSync(file, Buffer.alloc(padding));
    }
  } finally {
    closeSync(file);
  }
}

/** @param {number} file @param {Uint8Array} data */
function writeAll(file, data) {
  for (let done = 0; done < data.length; ) done += writeSync(file, data, done);
}

/** Numbers in [0, 1) (G. Marsaglia's xorshift, 32 bits). @param {number} seed */
function xorshift(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  };
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
  /** @param {string | undefined} value @param {number} otherwise */
  const whole = (value, otherwise) => (value === undefined ? otherwise : Number(value));
  writeRandomGguf(
    path,
    {
      layers: whole(values.layers, defaultShapes.layers),
      hidden: whole(values.hidden, defaultShapes.hidden),
      heads: whole(values.heads, defaultShapes.heads),
      kvHeads: whole(values["kv-heads"], defaultShapes.kvHeads),
      headDim: whole(values["head-dim"], defaultShapes.headDim),
      ffn: whole(values.ffn, defaultShapes.ffn),
      vocabulary: whole(values.vocabulary, defaultShapes.vocabulary),
      context: whole(values.context, defaultShapes.context),
      ropeBase: whole(values["rope-base"], defaultShapes.ropeBase),
      type: values.type,
      untied: values.untied,
    },
    Number(values.seed),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
