import { gguf } from "@huggingface/gguf";
import { describe, expect, test } from "vitest";
import {
  type GgufSizes,
  type GgufTensorContent,
  decoderMetadata,
  decoderTensors,
  ggufHeader,
  sparseSource,
} from "../../../test/support/gguf.js";
import { memorySource } from "../../files/byte-source.js";
import { countParameters } from "../../cost/parameters.js";
import { buildGraph } from "../../graph/build.js";
import { readHeader } from "./header.js";
import { readGguf } from "./read-gguf.js";

const hundredGigabytes = 100_000_000_000;
const small: GgufSizes = { layers: 2, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 128, vocabulary: 320 };
const smallHeader = ggufHeader({ metadata: decoderMetadata("llama", small), tensors: decoderTensors(small) });

async function parametersOf(header: Uint8Array): Promise<{ described: number; stored: number }> {
  const model = await readGguf(sparseSource(header, hundredGigabytes), "m");
  const { tensors } = await readHeader(sparseSource(header, hundredGigabytes));
  const stored = tensors.reduce((sum, { elements }) => sum + elements, 0);
  return { described: countParameters(buildGraph(model)).total, stored };
}

const vector = (name: string, ...shape: number[]): GgufTensorContent => ({ name, shape });

/** Published: n_params of the files, as llama-bench prints them. */
const published: {
  name: string;
  arch: string;
  sizes: GgufSizes;
  options: Parameters<typeof decoderTensors>[1];
  more?: Record<string, number>;
  besides?: readonly GgufTensorContent[];
  parameters: number;
}[] = [
  {
    name: "Llama-2-7B",
    arch: "llama",
    sizes: { layers: 32, hidden: 4096, heads: 32, kvHeads: 32, headDim: 128, ffn: 11_008, vocabulary: 32_000 },
    options: { untied: true },
    parameters: 6_738_415_616,
  },
  {
    name: "Llama-3.2-1B",
    arch: "llama",
    sizes: { layers: 16, hidden: 2048, heads: 32, kvHeads: 8, headDim: 64, ffn: 8192, vocabulary: 128_256 },
    options: {},
    besides: [vector("rope_freqs.weight", 32)],
    parameters: 1_235_814_432,
  },
  {
    name: "Qwen3-4B",
    arch: "qwen3",
    sizes: { layers: 36, hidden: 2560, heads: 32, kvHeads: 8, headDim: 128, ffn: 9728, vocabulary: 151_936 },
    options: { perLayer: [vector("attn_q_norm.weight", 128), vector("attn_k_norm.weight", 128)] },
    parameters: 4_022_468_096,
  },
  {
    name: "Qwen2.5-7B",
    arch: "qwen2",
    sizes: { layers: 28, hidden: 3584, heads: 28, kvHeads: 4, headDim: 128, ffn: 18_944, vocabulary: 152_064 },
    options: {
      untied: true,
      perLayer: [vector("attn_q.bias", 3584), vector("attn_k.bias", 512), vector("attn_v.bias", 512)],
    },
    parameters: 7_615_616_512,
  },
  {
    name: "gpt-oss-20b",
    arch: "gpt-oss",
    sizes: { layers: 24, hidden: 2880, heads: 64, kvHeads: 8, headDim: 64, ffn: 2880, vocabulary: 201_088 },
    options: {
      untied: true,
      ffn: [
        vector("ffn_gate_inp.weight", 2880, 32),
        vector("ffn_gate_inp.bias", 32),
        ...["gate", "up", "down"].flatMap((part) => [
          vector(`ffn_${part}_exps.weight`, 2880, 2880, 32),
          vector(`ffn_${part}_exps.bias`, 2880, 32),
        ]),
      ],
      perLayer: [
        vector("attn_q.bias", 4096),
        vector("attn_k.bias", 512),
        vector("attn_v.bias", 512),
        vector("attn_output.bias", 2880),
        vector("attn_sinks.weight", 64),
      ],
    },
    more: { expert_count: 32, expert_used_count: 4, expert_feed_forward_length: 2880, "attention.sliding_window": 128 },
    parameters: 20_914_757_184,
  },
];

describe("a header becomes a description", () => {
  test.each(published)("$name has the published number of parameters", async (model) => {
    const { arch, sizes, options = {}, more = {}, besides = [], parameters } = model;
    const entries = Object.entries(more).map(([key, value]) => [`${arch}.${key}`, value]);
    const metadata = { ...decoderMetadata(arch, sizes), ...Object.fromEntries(entries) };
    const header = ggufHeader({ metadata, tensors: [...decoderTensors(sizes, options), ...besides] });
    const { described, stored } = await parametersOf(header);
    expect(stored).toBe(parameters);
    expect(described + besides.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0)).toBe(parameters);
  });

  test("sizes, tied head and context come from the header", async () => {
    const model = await readGguf(sparseSource(smallHeader, hundredGigabytes), "m");
    expect(model).toMatchObject({
      modelType: "llama",
      hiddenSize: 64,
      vocabularySize: 320,
      contextLength: 4096,
      head: { tied: true },
      dtypes: { weights: "float32", kv: "float16" },
    });
    expect(model.stacks[0]?.layers).toHaveLength(2);
  });

  test("gemma2 slides every other layer, gpt-oss too; a list in the header decides otherwise", async () => {
    const spans = async (arch: string, more: Record<string, number | boolean[]>): Promise<string> => {
      const sizes = { ...small, layers: 4 };
      const header = ggufHeader({
        metadata: { ...decoderMetadata(arch, sizes), ...more },
        tensors: decoderTensors(sizes),
      });
      const model = await readGguf(sparseSource(header, hundredGigabytes), "m");
      return (model.stacks[0]?.layers ?? [])
        .flatMap((layer) => layer.mixers.map((mixer) => (mixer.kind === "attention" ? mixer.span.kind : mixer.kind)))
        .join(" ");
    };
    expect(await spans("gemma2", {})).toBe("window full window full");
    expect(await spans("gemma3", { "gemma3.attention.sliding_window": 512 })).toBe("window window window window");
    const listed = {
      "gemma3.attention.sliding_window": 512,
      "gemma3.attention.sliding_window_pattern": [true, false, false, true],
    };
    expect(await spans("gemma3", listed)).toBe("window full full window");
  });

  test("DeepSeek's compressed form gives the sizes of the heads, and its predicting layer is no layer", async () => {
    const arch = "deepseek2";
    const more: Record<string, number> = {
      block_count: 3,
      nextn_predict_layers: 1,
      "attention.q_lora_rank": 32,
      "attention.kv_lora_rank": 16,
      "attention.key_length": 24,
      "attention.value_length": 16,
      "attention.key_length_mla": 20,
      "attention.value_length_mla": 12,
      "attention.head_count_kv": 1,
      "rope.dimension_count": 8,
      expert_count: 8,
      expert_used_count: 2,
      expert_shared_count: 1,
      expert_feed_forward_length: 32,
      leading_dense_block_count: 1,
    };
    const entries = Object.entries(more).map(([key, value]) => [`${arch}.${key}`, value]);
    const header = ggufHeader({
      metadata: { ...decoderMetadata(arch, small), ...Object.fromEntries(entries) },
      tensors: decoderTensors(small),
    });
    const model = await readGguf(sparseSource(header, hundredGigabytes), "m");
    const layers = model.stacks[0]?.layers ?? [];
    expect(layers.map(({ ffns }) => ffns[0]?.kind)).toEqual(["dense", "moe"]);
    expect(layers[0]?.mixers[0]).toMatchObject({ kind: "latent", nopeDim: 12, ropeDim: 8, valueDim: 12, kvRank: 16 });
    expect(model.notes.join()).toContain("layers for multi-token prediction: 1 in");
  });

  test("bytes are those of the tensors' types", async () => {
    const tensors = [
      { name: "a", shape: [256, 2], type: 12 },
      { name: "b", shape: [256, 1], type: 14, offset: 288 },
      { name: "c", shape: [32], type: 8, offset: 498 },
    ];
    const header = ggufHeader({ metadata: { "general.architecture": "x" }, tensors });
    const read = await readHeader(sparseSource(header, hundredGigabytes));
    expect(read.tensors.map(({ type, bytes }) => [type, bytes])).toEqual([
      ["Q4_K", 288],
      ["Q6_K", 210],
      ["Q8_0", 34],
    ]);
  });
});

describe("a model that is split over files", () => {
  const tensors = decoderTensors(small);
  const first = ggufHeader({
    metadata: { ...decoderMetadata("llama", small), "split.count": 2 },
    tensors: tensors.slice(0, 9),
  });
  const second = ggufHeader({ metadata: { "split.count": 2 }, tensors: tensors.slice(9) });
  const source = sparseSource(first, hundredGigabytes, "folder/m-00001-of-00002.gguf");

  test("is counted over all of them", async () => {
    const opened: string[] = [];
    const model = await readGguf(source, "m", (file) => {
      opened.push(file);
      return Promise.resolve(sparseSource(second, hundredGigabytes, file));
    });
    expect(opened).toEqual(["m-00002-of-00002.gguf"]);
    expect(model.stored?.parameters).toBe(countParameters(buildGraph(model)).total);
    expect(model.notes).toEqual([]);
  });

  test("is the same whichever file is given, and asks for the first", async () => {
    const given = sparseSource(second, hundredGigabytes, "folder/m-00002-of-00002.gguf");
    const model = await readGguf(given, "m", (file) => Promise.resolve(sparseSource(first, hundredGigabytes, file)));
    expect(model.stored?.parameters).toBe(countParameters(buildGraph(model)).total);
    await expect(readGguf(given, "m", () => Promise.resolve(null))).rejects.toThrow(
      "m-00001-of-00002.gguf beside it is missing; the first file says what the model is",
    );
  });

  test("says so when the others are not there", async () => {
    for (const open of [undefined, () => Promise.resolve(null)]) {
      expect((await readGguf(source, "m", open)).notes[0]).toMatch(/^this is one of 2 files/);
    }
  });
});

describe("a file that holds no language model", () => {
  const read = (metadata: Parameters<typeof ggufHeader>[0]["metadata"], tensors = decoderTensors(small)) =>
    readGguf(sparseSource(ggufHeader({ metadata, tensors }), hundredGigabytes), "m");

  test.each([
    ["an adapter", { ...decoderMetadata("llama", small), "general.type": "adapter" }, 'general.type is "adapter"'],
    ["a tower", { "general.architecture": "clip" }, "a tower for images or sound: give the language model's file"],
  ])("%s is refused by name", async (_, metadata, message) => {
    await expect(read(metadata)).rejects.toThrow(message);
  });

  test("a vocabulary is refused", async () => {
    await expect(read(decoderMetadata("llama", small), [])).rejects.toThrow("the file may hold a vocabulary alone");
  });
});

test("an architecture that is not known is priced as a plain decoder when asked for", async () => {
  const header = ggufHeader({ metadata: decoderMetadata("later", small), tensors: decoderTensors(small) });
  const source = sparseSource(header, hundredGigabytes);
  await expect(readGguf(source, "m")).rejects.toThrow("--allow-partial prices it as a plain decoder");
  const model = await readGguf(source, "m", undefined, { allowPartial: true });
  expect(model.notes.join("\n")).toContain("architecture later is not understood");
  expect(model.stored?.parameters).toBe(countParameters(buildGraph(model)).total);
});

describe("only the header is read", () => {
  test("of a file of 100 GB with 400,000 words", async () => {
    const words = Array.from({ length: 400_000 }, (_, index) => `word${index}`);
    const metadata = { ...decoderMetadata("llama", small), "tokenizer.ggml.tokens": words };
    const header = ggufHeader({ metadata, tensors: decoderTensors(small) });
    const source = sparseSource(header, hundredGigabytes);
    expect((await readGguf(source, "m")).vocabularySize).toBe(320);
    expect(source.bytesRead()).toBeLessThan(header.length + 20e6);
  });

  test("without the tokenizer the parser still sees every other entry and tensor as in the whole file", async () => {
    const metadata = {
      ...decoderMetadata("llama", small),
      "tokenizer.ggml.tokens": ["a", "b"],
      "tokenizer.ggml.scores": [0.5, 1.5],
      "general.alignment": 64,
      "general.size": 7n,
      flag: true,
    };
    for (const littleEndian of [true, false]) {
      const header = ggufHeader({ metadata, tensors: decoderTensors(small), littleEndian });
      const whole = await gguf("http://x.invalid/", {
        fetch: () => Promise.resolve(new Response(new Uint8Array(header), { status: 206 })),
      });
      const { metadata: ours, tensors } = await readHeader(sparseSource(header, hundredGigabytes));
      const theirs: Record<string, unknown> = { ...whole.metadata };
      delete theirs["tokenizer.ggml.tokens"];
      expect({ ...ours, kv_count: 0 }).toEqual({ ...theirs, kv_count: 0 });
      expect(tensors.map(({ name, shape }) => [name, shape])).toEqual(
        whole.tensorInfos.map(({ name, shape }) => [name, shape.map(Number)]),
      );
    }
  });
});

/** The header with the number at `at` replaced by one of eight bytes. */
function patched(at: number, value: bigint): Uint8Array {
  const bytes = Uint8Array.from(smallHeader);
  new DataView(bytes.buffer).setBigUint64(at, value, true);
  return bytes;
}

describe("what cannot be right is refused in one line", () => {
  const read = (bytes: Uint8Array, size = hundredGigabytes) => readGguf(sparseSource(bytes, size), "m");

  test("a file that is cut off anywhere", async () => {
    for (let length = 0; length < smallHeader.length; length += 37) {
      await expect(readGguf(memorySource("cut.gguf", smallHeader.subarray(0, length)), "m")).rejects.toThrow(
        /^cut\.gguf: length in bytes is \d+; the header goes on to byte \d+ at least/,
      );
    }
  });

  test("a file that is cut off, whose length the server does not tell", async () => {
    const cut = memorySource("cut.gguf", smallHeader.subarray(0, 700));
    await expect(readGguf({ ...cut, size: null }, "m")).rejects.toThrow(/is 700; the header/);
  });

  test.each([
    ["tensors", 8, /number of tensors is 1152921504606847000; expected at most/],
    ["entries", 16, /number of entries is 1152921504606847000; expected at most/],
    ["bytes of a key", 24, /the header goes on to byte|bytes are read/],
  ])("2^60 %s", async (_, at, message) => {
    await expect(read(patched(at, 2n ** 60n))).rejects.toThrow(message);
  });

  test("2^60 words, or lists of lists without end", async () => {
    const base = ggufHeader({ metadata: { words: ["a"] }, tensors: [] });
    const countAt = base.length - 9 - 8 + 8;
    const bytes = Uint8Array.from(base);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(countAt - 8, 2n ** 60n, true);
    await expect(read(bytes)).rejects.toThrow(/goes on to byte 9223372036854776000 at least/);
    const nested = new Uint8Array(400);
    nested.set(bytes.subarray(0, 24 + 8 + 5 + 4));
    const nestedView = new DataView(nested.buffer);
    for (let at = 41; at + 12 <= 400; at += 12) {
      nestedView.setUint32(at, 9, true);
      nestedView.setBigUint64(at + 4, 1n, true);
    }
    await expect(read(nested)).rejects.toThrow(/nesting of lists is/);
  });

  test("tensors that cannot be in the file", async () => {
    await expect(read(smallHeader, smallHeader.length + 1000)).rejects.toThrow(
      /last byte of tensor 0 \(token_embd\.weight\) is \d+; the file has \d+ bytes, so the tensor cannot be in it/,
    );
    const huge = ggufHeader({
      metadata: { "general.architecture": "llama" },
      tensors: [{ name: "t", shape: [2 ** 31, 2 ** 31, 2 ** 31] }],
    });
    await expect(read(huge)).rejects.toThrow("shape of tensor 0 (t) is [2147483648,2147483648,2147483648]");
  });

  test("unknown tensor types, broken blocks and tensors of the same name", async () => {
    const withTensors = (...tensors: GgufTensorContent[]) =>
      read(ggufHeader({ metadata: { "general.architecture": "llama" }, tensors }));
    await expect(withTensors({ name: "t", shape: [32], type: 99 })).rejects.toThrow("type of tensor 0 (t) is 99");
    await expect(withTensors({ name: "t", shape: [100], type: 12 })).rejects.toThrow("expected a multiple of 256");
    await expect(withTensors({ name: "t", shape: [0] })).rejects.toThrow("expected sizes of 1 or more");
    const one = { name: "t", shape: [32] };
    await expect(withTensors(one, one)).rejects.toThrow("another tensor has the same name");
  });

  test("names that are not UTF-8, other files and old versions", async () => {
    const key = patched(32, 0xffff_ffff_ffff_ffffn);
    await expect(read(key)).rejects.toThrow("name of entry 0 is not UTF-8");
    await expect(read(new TextEncoder().encode("PK\u0003\u0004 more"))).rejects.toThrow("50 4b 03 04");
    await expect(read(ggufHeader({ metadata: {}, tensors: [], version: 1 }))).rejects.toThrow("version of GGUF is 1");
  });

  test("an architecture that is not known, with its keys", async () => {
    const header = ggufHeader({ metadata: decoderMetadata("newformer", small), tensors: decoderTensors(small) });
    await expect(read(header)).rejects.toThrow(/"newformer"; not understood, nor its keys \(newformer\.block_count, /);
  });

  test("values that do not fit together, under the name that the file gives them", async () => {
    const metadata = { ...decoderMetadata("llama", small), "llama.attention.head_count_kv": 3 };
    const header = ggufHeader({ metadata, tensors: decoderTensors(small) });
    await expect(read(header)).rejects.toThrow("model.gguf: llama.attention.head_count_kv is 3; expected a divisor");
  });

  test("layers that differ where the family knows no difference", async () => {
    const metadata = { ...decoderMetadata("llama", small), "llama.feed_forward_length": [128, 64] };
    const header = ggufHeader({ metadata, tensors: decoderTensors(small) });
    await expect(read(header)).rejects.toThrow("layers that differ here are not understood for llama");
  });
});
