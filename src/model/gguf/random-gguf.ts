import { badInput } from "../../base/errors.js";

/** The shapes of a Llama-like decoder, its format, and what its header says besides. */
export interface GgufShapes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  /** At least `smallestVocabulary`. */
  readonly vocabulary: number;
  /** Longest context that the header names. */
  readonly context: number;
  /** Of the matrices; norms are f32. */
  readonly type: "f32" | "f16";
  /** Whether the head has a matrix of its own. */
  readonly untied: boolean;
  readonly ropeBase: number;
}

/** SmolLM2-135M's. */
const defaultGgufShapes: GgufShapes = {
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
const tokenTypes = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;
type Token = readonly [word: string, type: number];
/** Unknown, beginning and end of text, and how this kind of tokenizer writes a space. */
const words: readonly Token[] = [
  ["<unk>", tokenTypes.unknown],
  ["<s>", tokenTypes.control],
  ["</s>", tokenTypes.control],
  ["\u2581", tokenTypes.normal],
];
const smallestVocabulary = words.length + 256;
/** Beyond every model; the file of one tensor more than this is a mistake. */
const mostOfAny = 2 ** 24;
const mostElements = 2 ** 40;
const alignment = 32;
const elementsPerChunk = 1 << 20;
/** What is written again and again where the numbers do not matter. */
const repeatedElements = 1 << 16;

function bytes(size: number, write: (view: DataView) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(size));
  write(view);
  return new Uint8Array(view.buffer);
}
const u32 = (value: number): Uint8Array => bytes(4, (view) => view.setUint32(0, value, true));
const u64 = (value: number): Uint8Array => bytes(8, (view) => view.setBigUint64(0, BigInt(value), true));
const f32 = (value: number): Uint8Array => bytes(4, (view) => view.setFloat32(0, value, true));
const utf8 = new TextEncoder();

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function text(value: string): Uint8Array {
  const encoded = utf8.encode(value);
  return joined([u64(encoded.length), encoded]);
}
const entry = (key: string, type: number, value: Uint8Array): Uint8Array => joined([text(key), u32(type), value]);
const list = (key: string, type: number, items: readonly Uint8Array[]): Uint8Array =>
  entry(key, 9, joined([u32(type), u64(items.length), ...items]));

/** A byte-level vocabulary: the control tokens, the space, the 256 bytes, and fillers that no text produces. */
function vocabularyOf(size: number): Token[] {
  const hexadecimal = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, "0");
  return [
    ...words,
    ...Array.from({ length: 256 }, (_, byte): Token => [`<0x${hexadecimal(byte)}>`, tokenTypes.byte]),
    ...Array.from({ length: size - smallestVocabulary }, (_, at): Token => [`<filler_${at}>`, tokenTypes.normal]),
  ];
}

/** The entries of the header. */
function metadata(shapes: GgufShapes): Uint8Array[] {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocabulary, context, ropeBase } = shapes;
  const whole = (key: string, value: number): Uint8Array => entry(`llama.${key}`, 4, u32(value));
  const tokens = vocabularyOf(vocabulary);
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
    entry("tokenizer.ggml.add_bos_token", 7, new Uint8Array(1)),
    entry("tokenizer.ggml.add_space_prefix", 7, new Uint8Array(1)),
  ];
}

type Tensor = readonly [name: string, shape: readonly [number, ...number[]]];

/** Names and sizes of the tensors, the contiguous dimension first. */
function tensorsOf({ layers, hidden, heads, kvHeads, headDim, ffn, vocabulary, untied }: GgufShapes): Tensor[] {
  const ofLayer = (layer: number): Tensor[] => [
    [`blk.${layer}.attn_norm.weight`, [hidden]],
    [`blk.${layer}.attn_q.weight`, [hidden, heads * headDim]],
    [`blk.${layer}.attn_k.weight`, [hidden, kvHeads * headDim]],
    [`blk.${layer}.attn_v.weight`, [hidden, kvHeads * headDim]],
    [`blk.${layer}.attn_output.weight`, [heads * headDim, hidden]],
    [`blk.${layer}.ffn_norm.weight`, [hidden]],
    [`blk.${layer}.ffn_gate.weight`, [hidden, ffn]],
    [`blk.${layer}.ffn_up.weight`, [hidden, ffn]],
    [`blk.${layer}.ffn_down.weight`, [ffn, hidden]],
  ];
  return [
    ["token_embd.weight", [hidden, vocabulary]],
    ...Array.from({ length: layers }, (_, layer) => ofLayer(layer)).flat(),
    ["output_norm.weight", [hidden]],
    ...(untied ? [["output.weight", [hidden, vocabulary]] satisfies Tensor] : []),
  ];
}

/** Bits of a float16 near a number of ordinary size, given those of the float32: what is below its last bit is cut off. */
function halfBits(bits: number): number {
  const exponent = ((bits >>> 23) & 0xff) - 112;
  if (exponent <= 0) return 0;
  return ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}

/** Numbers in [0, 1) (G. Marsaglia's xorshift, 32 bits): files of a gigabyte are made of it. */
function xorshift(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296;
  };
}

function assertShapes(shapes: GgufShapes): void {
  const wrong = (key: string, found: number, expected: string): Error =>
    badInput("bad-shapes", { where: "random GGUF", key, found, expected });
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocabulary, context } = shapes;
  for (const [key, value] of Object.entries({ layers, hidden, heads, kvHeads, headDim, ffn, vocabulary, context })) {
    if (!Number.isInteger(value) || value < 1 || value > mostOfAny) {
      throw wrong(key, value, `a whole number from 1 to ${mostOfAny}`);
    }
  }
  if (vocabulary < smallestVocabulary) throw wrong("vocabulary", vocabulary, `at least ${smallestVocabulary} tokens`);
  const elements = layers * (hidden * headDim * 2 * (heads + kvHeads) + 3 * hidden * ffn) + 2 * vocabulary * hidden;
  if (elements > mostElements) throw wrong("weights", elements, `at most ${mostElements}`);
}

export interface RandomGgufOptions {
  /** Decides the weights; 1 where it is left out. */
  readonly seed?: number;
  /** The weights of a tensor are a few thousand, again and again: quicker to write, and no other speed in a runtime. */
  readonly repeated?: boolean;
}

/**
 * A GGUF file of a Llama-like decoder with random weights, piece by piece, so that large models need no memory: llama.cpp
 * runs it at the speed of a trained model of its shapes. A piece is good until the next one is asked for.
 *
 * @throws NsquaredError `bad-shapes`
 */
export function* randomGguf(
  wanted: Partial<GgufShapes> = {},
  { seed = 1, repeated = false }: RandomGgufOptions = {},
): Generator<Uint8Array> {
  const shapes = { ...defaultGgufShapes, ...wanted };
  assertShapes(shapes);
  const entries = metadata(shapes);
  let offset = 0;
  const tensors = tensorsOf(shapes).map(([name, shape]) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const half = shape.length > 1 && shapes.type === "f16";
    const info = joined([text(name), u32(shape.length), ...shape.map(u64), u32(half ? 1 : 0), u64(offset)]);
    const size = elements * (half ? 2 : 4);
    const padding = (alignment - (size % alignment)) % alignment;
    offset += size + padding;
    return { info, elements, half, padding, fanIn: shape[0], norm: shape.length === 1 };
  });
  const header = joined([
    utf8.encode("GGUF"),
    u32(3),
    u64(tensors.length),
    u64(entries.length),
    ...entries,
    ...tensors.map(({ info }) => info),
  ]);
  yield header;
  yield new Uint8Array((alignment - (header.length % alignment)) % alignment);
  const random = xorshift(seed);
  const perChunk = repeated ? repeatedElements : elementsPerChunk;
  const values = new Float32Array(perChunk);
  const bits = new Uint32Array(values.buffer);
  const halves = new Uint16Array(perChunk);
  for (const { elements, half, padding, fanIn, norm } of tensors) {
    // A uniform deviate on [−a, a) has the variance a²/3: matrices keep the size of what they multiply.
    const amplitude = norm ? 0.1 : Math.sqrt(3 / fanIn);
    const centre = norm ? 1 : 0;
    for (let from = 0; from < elements; from += perChunk) {
      const count = Math.min(perChunk, elements - from);
      if (from === 0 || !repeated) {
        for (let i = 0; i < count; i += 1) values[i] = centre + (2 * random() - 1) * amplitude;
        if (half) for (let i = 0; i < count; i += 1) halves[i] = halfBits(bits[i] ?? 0);
      }
      yield new Uint8Array(half ? halves.buffer : values.buffer, 0, count * (half ? 2 : 4));
    }
    yield new Uint8Array(padding);
  }
}
