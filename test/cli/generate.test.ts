import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { nodeAccess } from "../../src/files/node.js";
import { openEngine } from "../../src/measure/onnx-node-engine.js";
import { beside } from "../../src/files/beside.js";
import { loadModel } from "../../src/model/load.js";
import { openSafetensors } from "../../src/model/safetensors/stored.js";
import { lowerGraph } from "../../src/onnx/lower.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { safetensorsWeights } from "../../src/onnx/safetensors-weights.js";
import { generateDocument } from "../../src/study/documents/generate.js";
import { inPieces, relativeError } from "../cross/execute.js";
import { referenceLogits } from "../reference/forward.js";
import { writeHubFolder } from "../support/hub-folder.js";
import { command, temporaryFolder } from "./harness.js";

const folder = temporaryFolder();
afterAll(folder.remove);

const prompt = "the square of a number grows";
const promptIds = [2, 3, 4, 5, 6, 7];

describe.each([
  ["llama", { modelType: "llama", stored: "BF16", tied: true, sharded: false }],
  ["qwen2", { modelType: "qwen2", stored: "F16", tied: false, sharded: true }],
  ["qwen3", { modelType: "qwen3", stored: "F32", tied: true, sharded: true }],
  ["mistral", { modelType: "mistral", stored: "BF16", tied: false, sharded: false }],
  [
    "llama-3.1",
    {
      modelType: "llama",
      stored: "BF16",
      tied: true,
      sharded: false,
      ropeScaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 16,
      },
    },
  ],
  [
    "yarn",
    {
      modelType: "qwen3",
      stored: "F32",
      tied: true,
      sharded: false,
      ropeScaling: { rope_type: "yarn", factor: 4, beta_fast: 4, original_max_position_embeddings: 64 },
    },
  ],
  [
    "linear",
    {
      modelType: "llama",
      stored: "F32",
      tied: true,
      sharded: false,
      ropeScaling: { type: "linear", factor: 2 },
    },
  ],
] as const)("a %s folder as on the hub", (name, options) => {
  const path = join(folder.path, name);
  const hub = writeHubFolder(path, options);

  test("gives the logits of the reference", async () => {
    const model = await loadModel(path, nodeAccess());
    const files = await openSafetensors(beside(model.source, nodeAccess()), path);
    const lowered = lowerGraph(runnableGraph(model, "fused", "all"), { positions: 16 });
    const parameters = await lowered.parameters(await safetensorsWeights(model, files));
    const engine = await openEngine(lowered, parameters, { threads: 1, profilePrefix: null });
    const [logits = []] = await inPieces(engine, [promptIds], [4, 1, 1]);
    await engine.close();
    const expected = (await referenceLogits(model, hub.source, promptIds)).flatMap((position) => [...position]);
    expect(relativeError(logits, expected)).toBeLessThan(1e-4);
  });

  test("continues greedily as the reference does, and says how long it took", async () => {
    const words = ["generate", path, "--prompt", prompt, "--max-tokens", "6"];
    const { code, out } = await command([...words, "--json"]);
    expect(code).toBe(0);
    const document = generateDocument.parse(JSON.parse(out));
    expect(document.prompt.tokens).toBe(promptIds.length);
    const model = await loadModel(path, nodeAccess());
    const ids = [...promptIds];
    const expected: number[] = [];
    while (expected.length < 6 && expected.at(-1) !== 1) {
      const last = (await referenceLogits(model, hub.source, ids)).at(-1) ?? new Float64Array(0);
      const next = last.indexOf(Math.max(...last));
      expected.push(next);
      ids.push(next);
    }
    expect(document.tokens).toEqual(expected);
    expect(document.finish).toBe(expected.at(-1) === 1 ? "end" : "length");
    expect(document.firstTokenSeconds).toBeGreaterThan(0);
    const streamed = await command(words);
    expect(streamed.out.trim()).toBe(document.text.trim());
    expect(streamed.err).toContain("TTFT");
  });
});

describe("generate", () => {
  const path = join(folder.path, "sampled");
  writeHubFolder(path, { modelType: "llama", stored: "F32", tied: true, sharded: true });

  test("draws by its seed, and holds few bits where asked to", async () => {
    const tokens = async (...words: string[]): Promise<number[]> => {
      const { code, out } = await command([
        "generate",
        path,
        "--prompt",
        prompt,
        "--max-tokens",
        "12",
        "--json",
        ...words,
      ]);
      expect(code).toBe(0);
      return generateDocument.parse(JSON.parse(out)).tokens;
    };
    const hot = ["--temperature", "5"];
    expect(await tokens(...hot, "--seed", "3")).toEqual(await tokens(...hot, "--seed", "3"));
    expect(await tokens(...hot, "--seed", "3")).not.toEqual(await tokens(...hot, "--seed", "4"));
    expect(await tokens(...hot, "--top-p", "0.000001")).toEqual(await tokens());
    expect((await tokens("--weights", "q8")).length).toBeGreaterThan(0);
  });

  test("says the same on a GPU, or in one line that there is none", async () => {
    const words = ["generate", path, "--prompt", prompt, "--max-tokens", "3", "--json"];
    const onCpu = generateDocument.parse(JSON.parse((await command(words)).out));
    const { code, out, err } = await command([...words, "--provider", "webgpu"]);
    if (code === 0) {
      const onGpu = generateDocument.parse(JSON.parse(out));
      expect([onCpu.provider, onGpu.provider]).toEqual(["cpu", "webgpu"]);
      expect(onGpu.tokens).toEqual(onCpu.tokens);
    } else {
      expect(code).toBe(2);
      expect(err.trim().split("\n").at(-1)).toMatch(/^nsquared: ONNX Runtime: provider is "webgpu"; it found no GPU/);
    }
  });

  test("puts a user's turn into the model's own chat template", async () => {
    const chat = join(folder.path, "chat");
    writeHubFolder(chat, {
      modelType: "llama",
      stored: "F32",
      tied: true,
      sharded: false,
      chatTemplate:
        "{% for message in messages %}{{ message.role == 'system' and 'so' or 'the' }} {{ message.content }} {{ eos_token }} {% endfor %}{% if add_generation_prompt %}we{% endif %}",
    });
    const tell = async (...words: string[]) => {
      const { code, out, err } = await command(["generate", chat, "--max-tokens", "3", "--json", ...words]);
      return { code, err, document: code === 0 ? generateDocument.parse(JSON.parse(out)) : null };
    };
    const plain = await tell("--prompt", "so wait <end> the square <end> we");
    const chatted = await tell("--chat", "--system", "wait", "--prompt", "square");
    expect(chatted.document?.prompt.tokens).toBe(7);
    expect(chatted.document?.tokens).toEqual(plain.document?.tokens);
    expect((await tell("--system", "wait", "--prompt", "square")).err).toContain("goes with --chat");
    const none = await command(["generate", path, "--chat", "--prompt", "square"]);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining("chat_template")]);
  });

  test("scalings of positions that are not computed are refused by name", async () => {
    const scaled = join(folder.path, "scaled");
    const ropeScaling = { rope_type: "dynamic", factor: 2 };
    writeHubFolder(scaled, { modelType: "llama", stored: "F32", tied: true, sharded: false, ropeScaling });
    const { code, err } = await command(["generate", scaled, "--prompt", "the"]);
    expect([code, err]).toEqual([2, expect.stringContaining('rope_scaling is "dynamic"')]);
  });

  test("says in one line what is wrong with a folder", async () => {
    const broken = join(folder.path, "broken");
    const fails = async (change: () => void, expected: string): Promise<void> => {
      rmSync(broken, { recursive: true, force: true });
      writeHubFolder(broken, { modelType: "llama", stored: "F32", tied: false, sharded: false });
      change();
      const { code, err } = await command(["generate", broken, "--prompt", "the"]);
      expect(err).toContain(expected);
      expect(code).toBe(2);
    };
    const file = (name: string): string => join(broken, name);
    await fails(() => {
      rmSync(file("tokenizer.json"));
    }, "tokenizer.json");
    await fails(() => {
      rmSync(file("model.safetensors"));
    }, "model.safetensors");
    await fails(() => {
      truncateSync(file("model.safetensors"), 4000);
    }, "model.safetensors");
    await fails(() => {
      writeFileSync(file("tokenizer.json"), "{}");
    }, "tokenizer.json cannot be used");
    const built = await command(["generate", "SmolLM2-135M", "--prompt", "the"]);
    expect(built.code).toBe(2);
    expect(built.err).toContain("a folder on this machine");
  });
});
