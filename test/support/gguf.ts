import { memorySource } from "../../src/files/byte-source.js";
import type { ByteSource } from "../../src/files/byte-source.js";

export type GgufValue = string | number | boolean | bigint | readonly string[] | readonly number[] | readonly boolean[];

export interface GgufContent {
  readonly metadata: Readonly<Record<string, GgufValue>>;
  readonly tensors: readonly GgufTensorContent[];
  readonly version?: number;
  readonly littleEndian?: boolean;
}

export interface GgufTensorContent {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of the type; F32 where absent. */
  readonly type?: number;
  readonly offset?: number | bigint;
}

/** Header of a GGUF file as llama.cpp writes it. Whole numbers become u32, other numbers f32. */
export function ggufHeader({ metadata, tensors, version = 3, littleEndian = true }: GgufContent): Uint8Array {
  const pieces: Uint8Array[] = [];
  const number = (bytes: number, write: (view: DataView) => void): void => {
    const view = new DataView(new ArrayBuffer(bytes));
    write(view);
    pieces.push(new Uint8Array(view.buffer));
  };
  const u32 = (value: number): void => number(4, (view) => view.setUint32(0, value, littleEndian));
  const u64 = (value: number | bigint): void => number(8, (view) => view.setBigUint64(0, BigInt(value), littleEndian));
  const text = (value: string): void => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.length);
    pieces.push(bytes);
  };
  const typeOf = (value: unknown): number => {
    if (typeof value === "string") return 8;
    if (typeof value === "boolean") return 7;
    if (typeof value === "bigint") return 10;
    return Number.isInteger(value) ? 4 : 6;
  };
  const scalar = (value: string | number | boolean | bigint): void => {
    if (typeof value === "string") text(value);
    else if (typeof value === "boolean") pieces.push(new Uint8Array([value ? 1 : 0]));
    else if (typeof value === "bigint") u64(value);
    else if (Number.isInteger(value)) u32(value);
    else number(4, (view) => view.setFloat32(0, value, littleEndian));
  };
  pieces.push(new TextEncoder().encode("GGUF"));
  u32(version);
  u64(tensors.length);
  u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    text(key);
    if (typeof value !== "object") {
      u32(typeOf(value));
      scalar(value);
      continue;
    }
    u32(9);
    u32(typeOf(value[0]));
    u64(value.length);
    for (const item of value) scalar(item);
  }
  for (const { name, shape, type = 0, offset = 0 } of tensors) {
    text(name);
    u32(shape.length);
    for (const size of shape) u64(size);
    u32(type);
    u64(offset);
  }
  return Buffer.concat(pieces);
}

/** A source of `size` bytes that has only a header; what lies behind it reads as zeros. Counts what is read. */
export function sparseSource(
  header: Uint8Array,
  size: number,
  name = "model.gguf",
): ByteSource & { bytesRead(): number } {
  const inner = memorySource(name, header);
  let bytesRead = 0;
  return {
    name,
    size,
    bytesRead: () => bytesRead,
    async read(from, to) {
      const bytes = new Uint8Array(Math.max(0, Math.min(to, size) - from));
      bytes.set((await inner.read(from, to)).subarray(0, bytes.length));
      bytesRead += bytes.length;
      return bytes;
    },
  };
}

export interface GgufSizes {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocabulary: number;
}

/** Entries that every decoder's header has. */
export function decoderMetadata(architecture: string, sizes: GgufSizes): Record<string, GgufValue> {
  return {
    "general.architecture": architecture,
    [`${architecture}.block_count`]: sizes.layers,
    [`${architecture}.context_length`]: 4096,
    [`${architecture}.embedding_length`]: sizes.hidden,
    [`${architecture}.feed_forward_length`]: sizes.ffn,
    [`${architecture}.attention.head_count`]: sizes.heads,
    [`${architecture}.attention.head_count_kv`]: sizes.kvHeads,
    [`${architecture}.attention.key_length`]: sizes.headDim,
    [`${architecture}.attention.value_length`]: sizes.headDim,
    [`${architecture}.attention.layer_norm_rms_epsilon`]: 1e-5,
    [`${architecture}.rope.freq_base`]: 10_000.5,
  };
}

/** Tensors of a Llama-like decoder under llama.cpp's names; `perLayer` adds some to each layer. */
export function decoderTensors(
  sizes: GgufSizes,
  options: {
    readonly type?: number;
    readonly untied?: boolean;
    readonly perLayer?: readonly GgufTensorContent[];
    readonly ffn?: readonly GgufTensorContent[];
  } = {},
): GgufTensorContent[] {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocabulary } = sizes;
  const type = options.type ?? 0;
  const network = options.ffn ?? [
    { name: "ffn_gate.weight", shape: [hidden, ffn], type },
    { name: "ffn_up.weight", shape: [hidden, ffn], type },
    { name: "ffn_down.weight", shape: [ffn, hidden], type },
  ];
  const layer: GgufTensorContent[] = [
    { name: "attn_norm.weight", shape: [hidden] },
    { name: "attn_q.weight", shape: [hidden, heads * headDim], type },
    { name: "attn_k.weight", shape: [hidden, kvHeads * headDim], type },
    { name: "attn_v.weight", shape: [hidden, kvHeads * headDim], type },
    { name: "attn_output.weight", shape: [heads * headDim, hidden], type },
    { name: "ffn_norm.weight", shape: [hidden] },
    ...network,
    ...(options.perLayer ?? []),
  ];
  return [
    { name: "token_embd.weight", shape: [hidden, vocabulary], type },
    ...Array.from({ length: layers }, (_, index) =>
      layer.map((tensor) => ({ ...tensor, name: `blk.${index}.${tensor.name}` })),
    ).flat(),
    { name: "output_norm.weight", shape: [hidden] },
    ...(options.untied === true ? [{ name: "output.weight", shape: [hidden, vocabulary], type }] : []),
  ];
}
