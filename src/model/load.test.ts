import { describe, expect, test } from "vitest";
import { decoderMetadata, decoderTensors, ggufHeader } from "../../test/support/gguf.js";
import { webAccess } from "../files/access.js";
import { memorySource } from "../files/byte-source.js";
import { builtInModel, builtInNames } from "./builtin/models.js";
import { loadModel, readModel } from "./load.js";

const offline = webAccess(() => Promise.reject(new TypeError("fetch failed")), 1000);

test.each(builtInNames())("built-in %s can be read", (name) => {
  const model = builtInModel(name);
  expect(model?.name).toBe(name);
  expect(model?.notes.filter((note) => note.startsWith("keys that nothing"))).toEqual([]);
});

test("a built-in name needs neither files nor network, nor the right capital letters", async () => {
  expect((await loadModel("smollm2-135m", offline)).name).toBe("SmolLM2-135M");
});

test("a name that is nowhere is refused with the nearest built-in names before all of them, a path without any", async () => {
  await expect(loadModel("SmolLM3-135M", offline)).rejects.toThrow(
    /^SmolLM3-135M: no such file or folder, nor a built-in model: perhaps SmolLM2-135M, SmolLM3-3B.*\? \(SmolLM2-135M, /,
  );
  await expect(loadModel("./config.json", offline)).rejects.toThrow(/^\.\/config\.json: no such file or folder$/);
  await expect(loadModel("nowhere.gguf", offline)).rejects.toThrow(/^nowhere\.gguf: no such file or folder$/);
});

test("a hub model is read over the network", async () => {
  const config = { model_type: "llama", architectures: ["LlamaForCausalLM"], num_hidden_layers: 2, dtype: "float16" };
  const access = webAccess(() => Promise.resolve(new Response(JSON.stringify(config))), 1000);
  const model = await loadModel("org/name", access);
  expect(model.name).toBe("org/name");
  expect(model.source).toBe("https://huggingface.co/org/name/resolve/main/config.json");
  expect(model.stacks[0]?.layers.length).toBe(2);
});

describe("the format is found out", () => {
  const sizes = { layers: 2, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 128, vocabulary: 320 };
  const header = ggufHeader({ metadata: decoderMetadata("llama", sizes), tensors: decoderTensors(sizes) });
  const gguf = new Uint8Array(2_000_000);
  gguf.set(header);
  const spec = { schema: "nsquared/spec@1", hidden_size: 8, vocabulary: 9, mixers: { f: { kind: "fourier" } } };
  const yaml = new TextEncoder().encode(JSON.stringify({ ...spec, layers: { pattern: "f" } }));
  const typeOf = async (name: string, bytes: Uint8Array): Promise<string> =>
    (await readModel(memorySource(name, bytes), "m")).modelType;

  test("by the ending of the name", async () => {
    expect(await typeOf("m.gguf", gguf)).toBe("llama");
    expect(await typeOf("m.yaml", yaml)).toBe("spec");
    expect(await typeOf("https://h.co/m.YML?download=true", yaml)).toBe("spec");
  });

  test("by what is in the file", async () => {
    expect(await typeOf("blobs/sha256-0123", gguf)).toBe("llama");
    expect(await typeOf("m.json", yaml)).toBe("spec");
  });

  test("a GGUF file behind an address is read by ranges", async () => {
    const access = webAccess((_, options) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(options.headers?.["Range"] ?? "") ?? [];
      return Promise.resolve(new Response(gguf.slice(Number(from), Number(to) + 1), { status: 206 }));
    }, 1000);
    const model = await loadModel("https://h.co/org/m-Q4_0.gguf", access);
    expect([model.name, model.vocabularySize]).toEqual(["m-Q4_0", 320]);
  });
});

describe("number formats that modelopt wrote beside a config", () => {
  const config = { model_type: "llama", torch_dtype: "bfloat16" };
  const said = { producer: { name: "modelopt" }, quantization: { quant_algo: "FP8", exclude_modules: ["lm_head"] } };
  const files = (beside: unknown): ReadonlyMap<string, string> =>
    new Map([
      ["https://somewhere/m/config.json", JSON.stringify(config)],
      ...(beside === null ? [] : ([["https://somewhere/m/hf_quant_config.json", JSON.stringify(beside)]] as const)),
    ]);
  const load = async (beside: unknown) =>
    loadModel(
      "https://somewhere/m/config.json",
      webAccess((address) => {
        const text = files(beside).get(address);
        return Promise.resolve(new Response(text ?? "not there", { status: text === undefined ? 404 : 200 }));
      }, 1000),
    );

  test("are read, and said", async () => {
    const model = await load(said);
    expect(model.storage).toMatchObject({ kind: "quantised", others: { name: "FP8 with a scale per tensor" } });
    expect(model.notes).toContain("number formats from https://somewhere/m/hf_quant_config.json");
  });

  test("are not missed where there are none", async () => {
    expect((await load(null)).storage).toBeUndefined();
  });

  test.each([
    ["refused", 403, "no"],
    ["out of order", 503, "later"],
    ["cut off", 200, '{"quantization": {'],
  ])("are said to be unread where the answer is %s", async (_, status, text) => {
    const model = await loadModel(
      "https://somewhere/m/config.json",
      webAccess(
        (address) =>
          Promise.resolve(
            address.endsWith("/config.json") ? new Response(JSON.stringify(config)) : new Response(text, { status }),
          ),
        1000,
      ),
    );
    expect(model.storage).toBeUndefined();
    expect(model.notes.join("\n")).toMatch(
      /formats are the config's own: those beside it cannot be read .*hf_quant_config/,
    );
  });
});
