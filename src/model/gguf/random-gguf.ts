import { GGMLQuantizationType, type GGUFTypedMetadata, GGUFValueType, serializeGgufMetadata } from "@huggingface/gguf";
import { badInput } from "../../base/errors.js";
import { float16Bits } from "../../math/float16.js";

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

const utf8 = new TextEncoder();
const { UINT32, FLOAT32, BOOL, STRING, ARRAY } = GGUFValueType;

/** A byte-level vocabulary: the control tokens, the space, the 256 bytes, and fillers that no text produces. */
function vocabularyOf(size: number): Token[] {
  const hexadecimal = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, "0");
  return [
    ...words,
    ...Array.from({ length: 256 }, (_, byte): Token => [`<0x${hexadecimal(byte)}>`, tokenTypes.byte]),
    ...Array.from({ length: size - smallestVocabulary }, (_, at): Token => [`<filler_${at}>`, tokenTypes.normal]),
  ];
}

/** Everything in front of the list of tensors. */
function metadata(shapes: GgufShapes, tensors: number): Uint8Array {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocabulary, context, ropeBase } = shapes;
  const tokens = vocabularyOf(vocabulary);
  const whole = (value: number) => ({ value, type: UINT32 });
  const list = (value: (string | number)[], subType: GGUFValueType) => ({ value, type: ARRAY, subType });
  const typed = {
    version: { value: 3, type: UINT32 },
    tensor_count: { value: BigInt(tensors), type: GGUFValueType.UINT64 },
    // The serializer counts them itself.
    kv_count: { value: 0n, type: GGUFValueType.UINT64 },
    "general.architecture": { value: "llama", type: STRING },
    "general.name": { value: "random", type: STRING },
    "llama.block_count": whole(layers),
    "llama.context_length": whole(context),
    "llama.embedding_length": whole(hidden),
    "llama.feed_forward_length": whole(ffn),
    "llama.attention.head_count": whole(heads),
    "llama.attention.head_count_kv": whole(kvHeads),
    "llama.attention.key_length": whole(headDim),
    "llama.attention.value_length": whole(headDim),
    "llama.rope.dimension_count": whole(headDim),
    "llama.vocab_size": whole(vocabulary),
    "llama.attention.layer_norm_rms_epsilon": { value: 1e-5, type: FLOAT32 },
    "llama.rope.freq_base": { value: ropeBase, type: FLOAT32 },
    "tokenizer.ggml.model": { value: "llama", type: STRING },
    "tokenizer.ggml.tokens": list(
      tokens.map(([token]) => token),
      STRING,
    ),
    "tokenizer.ggml.scores": list(
      tokens.map(() => 0),
      FLOAT32,
    ),
    "tokenizer.ggml.token_type": list(
      tokens.map(([, type]) => type),
      GGUFValueType.INT32,
    ),
    "tokenizer.ggml.unknown_token_id": whole(0),
    "tokenizer.ggml.bos_token_id": whole(1),
    "tokenizer.ggml.eos_token_id": whole(2),
    "tokenizer.ggml.add_bos_token": { value: false, type: BOOL },
    "tokenizer.ggml.add_space_prefix": { value: false, type: BOOL },
  } satisfies GGUFTypedMetadata;
  // The list of tensors follows at once.
  return serializeGgufMetadata(typed, { alignment: 1 });
}

/** A tensor in the list: its name, its sizes, its type (float32 or float16), and where its data begins. */
function tensorInfo(name: string, shape: readonly number[], half: boolean, offset: number): Uint8Array {
  const encoded = utf8.encode(name);
  const info = new Uint8Array(8 + encoded.length + 4 + 8 * shape.length + 4 + 8);
  const view = new DataView(info.buffer);
  view.setBigUint64(0, BigInt(encoded.length), true);
  info.set(encoded, 8);
  let at = 8 + encoded.length;
  view.setUint32(at, shape.length, true);
  at += 4;
  for (const size of shape) {
    view.setBigUint64(at, BigInt(size), true);
    at += 8;
  }
  view.setUint32(at, half ? GGMLQuantizationType.F16 : GGMLQuantizationType.F32, true);
  view.setBigUint64(at + 4, BigInt(offset), true);
  return info;
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
  let offset = 0;
  const tensors = tensorsOf(shapes).map(([name, shape]) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const half = shape.length > 1 && shapes.type === "f16";
    const info = tensorInfo(name, shape, half, offset);
    const size = elements * (half ? 2 : 4);
    const padding = (alignment - (size % alignment)) % alignment;
    offset += size + padding;
    return { info, elements, half, padding, fanIn: shape[0], norm: shape.length === 1 };
  });
  const header = [metadata(shapes, tensors.length), ...tensors.map(({ info }) => info)];
  yield* header;
  const headerBytes = header.reduce((sum, { length }) => sum + length, 0);
  yield new Uint8Array((alignment - (headerBytes % alignment)) % alignment);
  const random = xorshift(seed);
  const perChunk = repeated ? repeatedElements : elementsPerChunk;
  const values = new Float32Array(perChunk);
  const halves = new Uint16Array(perChunk);
  for (const { elements, half, padding, fanIn, norm } of tensors) {
    // A uniform deviate on [−a, a) has the variance a²/3: matrices keep the size of what they multiply.
    const amplitude = norm ? 0.1 : Math.sqrt(3 / fanIn);
    const centre = norm ? 1 : 0;
    for (let from = 0; from < elements; from += perChunk) {
      const count = Math.min(perChunk, elements - from);
      if (from === 0 || !repeated) {
        for (let i = 0; i < count; i += 1) values[i] = centre + (2 * random() - 1) * amplitude;
        if (half) for (let i = 0; i < count; i += 1) halves[i] = float16Bits(values[i] ?? 0);
      }
      yield new Uint8Array(half ? halves.buffer : values.buffer, 0, count * (half ? 2 : 4));
    }
    yield new Uint8Array(padding);
  }
}
