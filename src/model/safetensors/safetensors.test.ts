import { describe, expect, test } from "vitest";
import { safetensorsFile } from "../../../test/support/safetensors.js";
import type { Access } from "../../files/access.js";
import { memorySource } from "../../files/byte-source.js";
import { describeModel } from "../../study/describe.js";
import { loadModel } from "../load.js";
import { readSafetensors } from "./header.js";

const read = (header: unknown, dataBytes: number) =>
  readSafetensors(memorySource("m.safetensors", safetensorsFile(header, dataBytes)));

const two = {
  __metadata__: { format: "pt" },
  a: { dtype: "BF16", shape: [2, 3], data_offsets: [0, 12] },
  b: { dtype: "F4", shape: [4], data_offsets: [12, 14] },
};

describe("a safetensors header", () => {
  test("gives each tensor's elements and bytes", async () => {
    expect(await read(two, 14)).toEqual([
      { name: "a", type: "BF16", elements: 6, bytes: 12 },
      { name: "b", type: "F4", elements: 4, bytes: 2 },
    ]);
  });

  test("may hold scalars and empty tensors", async () => {
    const header = {
      scalar: { dtype: "F32", shape: [], data_offsets: [0, 4] },
      empty: { dtype: "F32", shape: [0, 7], data_offsets: [4, 4] },
    };
    expect((await read(header, 4)).map(({ elements }) => elements)).toEqual([1, 0]);
  });

  test.each([
    ["a dtype that is not known", { a: { dtype: "Q9", shape: [1], data_offsets: [0, 1] } }, "dtype of tensor a is"],
    ["offsets that do not fit the shape", { a: { dtype: "F32", shape: [2], data_offsets: [0, 4] } }, "takes 8 bytes"],
    [
      "2^60 elements",
      { a: { dtype: "F32", shape: [2 ** 30, 2 ** 30], data_offsets: [0, 4] } },
      "data_offsets of tensor",
    ],
    ["a gap", { a: { dtype: "U8", shape: [1], data_offsets: [1, 2] } }, "first byte of tensor a is 1; the one before"],
    [
      "an overlap",
      { a: { dtype: "U8", shape: [2], data_offsets: [0, 2] }, b: { dtype: "U8", shape: [2], data_offsets: [1, 3] } },
      "first byte of tensor b is 1; the one before ends at 2",
    ],
    ["more than the file holds", { a: { dtype: "U8", shape: [99], data_offsets: [0, 99] } }, "room for 9"],
    ["entries that are none", { a: 7 }, "entry of tensor a is 7"],
    ["no JSON", "{", "expected JSON"],
  ])("with %s is refused", async (_, header, message) => {
    await expect(read(header, 9)).rejects.toThrow(message);
  });

  test("of a length that cannot be is refused before it is read", async () => {
    const bytes = safetensorsFile(two, 14);
    new DataView(bytes.buffer).setBigUint64(0, 2n ** 60n, true);
    await expect(readSafetensors(memorySource("m", bytes))).rejects.toThrow(
      'length of the header is "1152921504606846976"',
    );
    const cut = safetensorsFile(two, 14).subarray(0, 5);
    await expect(readSafetensors(memorySource("m", cut))).rejects.toThrow("length in bytes is 5");
  });

  test("that is not UTF-8 is refused", async () => {
    const bytes = safetensorsFile(two, 14);
    bytes[12] = 0xff;
    await expect(readSafetensors(memorySource("m", bytes))).rejects.toThrow("not UTF-8");
  });
});

const config = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  hidden_size: 8,
  intermediate_size: 16,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  num_hidden_layers: 1,
  vocab_size: 10,
  dtype: "bfloat16",
  tie_word_embeddings: true,
};
/** Embedding, four projections, three FFN matrices, three norms. */
const parametersOfConfig = 80 + 4 * 64 + 3 * 128 + 3 * 8;

function folder(files: Readonly<Record<string, unknown>>): Access {
  const bytesOf = (content: unknown): Uint8Array =>
    content instanceof Uint8Array ? content : new TextEncoder().encode(JSON.stringify(content));
  return {
    fileSystem: {
      kindOf: (path) => Promise.resolve(path === "m" ? "folder" : Object.hasOwn(files, path) ? "file" : null),
      open: (path) => Promise.resolve(memorySource(path, bytesOf(files[path]))),
    },
    fetch: () => Promise.reject(new TypeError("fetch failed")),
    timeoutMilliseconds: 1000,
  };
}

const blob = (name: string, elements: number): Uint8Array =>
  safetensorsFile({ [name]: { dtype: "BF16", shape: [elements], data_offsets: [0, 2 * elements] } }, 2 * elements);

describe("weights of a checkpoint that was published quantised", () => {
  /** The seven matrices of the config's layer packed, norms and table in BF16. */
  const matrices: readonly (readonly [string, number, number])[] = [
    ...["q", "k", "v", "o"].map((name) => [`self_attn.${name}_proj`, 8, 8] as const),
    ["mlp.gate_proj", 16, 8],
    ["mlp.up_proj", 16, 8],
    ["mlp.down_proj", 8, 16],
  ];
  const quantised = (config_: object, of: (rows: number, columns: number) => [string, string, number][]): Access => {
    const tensors: [string, string, number][] = [
      ["model.embed_tokens.weight", "BF16", 80],
      ["model.norm.weight", "BF16", 24],
      ...matrices.flatMap(([name, rows, columns]) =>
        of(rows, columns).map(([part, type, elements]): [string, string, number] => [
          `${name}.${part}`,
          type,
          elements,
        ]),
      ),
    ];
    const sizes: Readonly<Record<string, number>> = { BF16: 2, F16: 2, F32: 4, I32: 4, U32: 4, U8: 1, F8_E4M3: 1 };
    let at = 0;
    const header = Object.fromEntries(
      tensors.map(([name, dtype, elements]) => {
        const from = at;
        at += elements * (sizes[dtype] ?? 1);
        return [name, { dtype, shape: [elements], data_offsets: [from, at] }];
      }),
    );
    return folder({
      "m/config.json": { ...config, ...config_ },
      "m/model.safetensors": safetensorsFile(header, at),
    });
  };

  test.each([
    [
      "GPTQ",
      { quantization_config: { quant_method: "gptq", bits: 4, group_size: 8 } },
      (rows: number, columns: number): [string, string, number][] => [
        ["qweight", "I32", (rows * columns) / 8],
        ["qzeros", "I32", rows / 8],
        ["scales", "F16", rows],
        ["g_idx", "I32", columns],
      ],
    ],
    [
      "NVFP4",
      { quantization_config: { quant_method: "modelopt", quant_algo: "NVFP4" } },
      (rows: number, columns: number): [string, string, number][] => [
        ["weight", "U8", (rows * columns) / 2],
        ["weight_scale", "F8_E4M3", rows],
        ["weight_scale_2", "F32", 1],
        ["input_scale", "F32", 1],
      ],
    ],
    [
      "FP8",
      { quantization_config: { quant_method: "fp8", weight_block_size: [128, 128] } },
      (rows: number, columns: number): [string, string, number][] => [
        ["weight", "F8_E4M3", rows * columns],
        ["weight_scale_inv", "F32", 1],
      ],
    ],
    [
      "MLX",
      { quantization: { bits: 4, group_size: 8 } },
      (rows: number, columns: number): [string, string, number][] => [
        ["weight", "U32", (rows * columns) / 8],
        ["scales", "F16", rows],
        ["biases", "F16", rows],
      ],
    ],
  ])("%s: parameters are the model's, not the file's integers", async (_, changes, tensors) => {
    const model = await loadModel("m", quantised(changes, tensors));
    expect(model.stored?.parameters).toBe(parametersOfConfig);
    const notes = describeModel(model).notes.join("\n");
    expect(notes).toContain("in the weights' files are no parameters");
    expect(notes).not.toContain("the file holds");
  });
});

describe("weights beside a config", () => {
  test("are counted, and agree", async () => {
    const access = folder({ "m/config.json": config, "m/model.safetensors": blob("w", parametersOfConfig) });
    const document = describeModel(await loadModel("m", access));
    expect(document.notes).toEqual([
      "weights in m/model.safetensors: 744 parameters in 1488 bytes, 16.0000 bits each: 1 BF16 (16.0000 bits)",
    ]);
    expect(document.weightBytes).toBe(1488);
    expect((await loadModel("m/model.safetensors", access)).stored?.parameters).toBe(744);
  });

  test("are counted over the files of an index; what differs from the config is said", async () => {
    const files = {
      "m/config.json": config,
      "m/model.safetensors.index.json": {
        metadata: {},
        weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" },
      },
      "m/model-1.safetensors": blob("a", 700),
      "m/model-2.safetensors": blob("b", 50),
    };
    const document = describeModel(await loadModel("m", folder(files)));
    expect(document.notes).toContain("the file holds 6 parameters more than the description");
    const { "m/model-2.safetensors": _, ...some } = files;
    const model = await loadModel("m", folder(some));
    expect(model.stored).toBeUndefined();
    expect(model.notes).toContain("1 of 2 weight files are not there (model-2.safetensors): tensors are not counted");
  });

  test("that contradict their index, or lead out of the folder, are refused when asked for", async () => {
    const index = (file: string) => ({
      "m/config.json": config,
      "m/model.safetensors.index.json": { weight_map: { a: file } },
      "m/x.safetensors": blob("b", 4),
    });
    const load = (file: string) => loadModel("m/model.safetensors.index.json", folder(index(file)));
    await expect(load("x.safetensors")).rejects.toThrow('weight_map.a is "x.safetensors"; that file lacks it');
    await expect(load("../x.safetensors")).rejects.toThrow("expected the name of a safetensors file");
  });

  test("that cannot be read leave the config usable", async () => {
    const pointer = new TextEncoder().encode("version https://git-lfs.github.com/spec/v1");
    const model = await loadModel("m", folder({ "m/config.json": config, "m/model.safetensors": pointer }));
    expect(model.notes.at(-1)).toMatch(/^the weights beside the config are not counted: m\/model\.safetensors: length/);
  });

  test("without a config are refused", async () => {
    const access = folder({ "m/model.safetensors": blob("w", 4) });
    await expect(loadModel("m/model.safetensors", access)).rejects.toThrow("config.json beside it is missing");
  });
});
