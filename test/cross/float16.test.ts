import { describe, expect, test } from "vitest";
import { float16Refusal } from "../../src/measure/onnx-node-float16.js";
import { lowerGraph } from "../../src/onnx/lower.js";
import { parameterBytesOf } from "../../src/onnx/memory.js";
import type { Provider } from "../../src/onnx/provider.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { syntheticWeights } from "../../src/onnx/weights.js";
import { compareModels } from "../../src/study/compare.js";
import { measureModel } from "../../src/study/measure.js";
import { referenceLogits } from "../reference/forward.js";
import { preferFloat16 } from "../support/vulkan.js";
import { generateDocument } from "../../src/study/documents/generate.js";
import { command } from "../cli/harness.js";
import { writeHubFolder } from "../support/hub-folder.js";
import { type Opening, inPieces, open, relativeError, tokenIds } from "./execute.js";
import { attentionModels, expertsModels, latentModels, stateModels } from "./mixer-models.js";
import { placementOf } from "./placement.js";
import { folderOfTest, storedAs } from "./runs.js";
import { smallModel } from "./shapes.js";

preferFloat16();

const refusal = await float16Refusal("webgpu").catch((error: unknown) => error);

/**
 * A float16 keeps 11 bits, so that rounding to one is off by 2⁻¹² on average and 2⁻¹¹ at most. In two layers a number goes through
 * some twenty roundings: weights, what they are multiplied by, and sums of tens of products that are rounded as they grow.
 * Independent of each other they add up to √20 · 2⁻¹¹ = 0.2 %; four times that leaves room for logits that cancel.
 */
const tolerance = 1e-2;
/** Less than this is float32's own error: what comes closer was not computed in float16. */
const float32 = 1e-4;

const shape = { hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 96, layers: 2, vocabulary: 50 };
const biases = { query: true, key: true, value: true, output: true };
const names = new Set("window-3-and-full deepseek-v3 qwen3-next".split(" "));
const models = [
  smallModel({ ...shape, name: "full" }),
  smallModel({ ...shape, name: "full-tied" }, { tied: true }),
  smallModel({ ...shape, name: "biased" }, { attention: { bias: biases }, ffnBias: true, gated: false }),
  ...[...attentionModels, ...latentModels, ...stateModels].filter((model) => names.has(model.name)),
  ...expertsModels.slice(0, 1),
];

async function errorOf(
  model: (typeof models)[number],
  attention: "fused" | "naive",
  opening: Opening,
): Promise<number> {
  const engine = await open(model, attention, "all", { weightFormat: "f16", ...opening });
  const [ids = []] = tokenIds(model, 1, 7);
  try {
    const [logits = []] = await inPieces(engine, [ids], [5, 1, 1]);
    const reference = await referenceLogits(model, syntheticWeights(7), ids);
    return relativeError(
      logits,
      reference.flatMap((position) => [...position]),
    );
  } finally {
    await engine.close();
  }
}

describe.each(models.map((model) => [model.name, model] as const))("%s with float16 weights", (_, model) => {
  // The processor turns the weights into float32 and multiplies in that: what is left is how they are stored and read.
  test("as it is lowered for WebGPU equals the reference within float16 on the processor", async () => {
    const error = await errorOf(model, "fused", { loweredFor: "webgpu" });
    expect(error).toBeGreaterThan(float32);
    expect(error).toBeLessThan(tolerance);
  });

  test.skipIf(refusal !== null)("equals the reference within float16 on WebGPU", { timeout: 120_000 }, async () => {
    const error = await errorOf(model, "fused", { provider: "webgpu" });
    expect(error).toBeGreaterThan(float32);
    expect(error).toBeLessThan(tolerance);
  });
});

describe.skipIf(refusal !== null)("on a GPU with float16", () => {
  const model = smallModel({ ...shape, name: "full" });

  test("products are made there", { timeout: 120_000 }, async () => {
    const placement = await placementOf(
      (profilePrefix) => open(model, "fused", "last", { provider: "webgpu", weightFormat: "f16", profilePrefix }),
      async (engine) => {
        await inPieces(engine, tokenIds(model, 1, 7), [5, 1, 1]);
      },
    );
    expect(placement.onGpu).toEqual(expect.arrayContaining(["Cast", "MatMul"]));
    expect(placement.onProcessor).toEqual([]);
  });

  test("blocks of 4 bits are what they are elsewhere", { timeout: 120_000 }, async () => {
    const ids = tokenIds(model, 1, 7);
    const logitsOn = async (provider: Provider): Promise<number[]> => {
      const engine = await open(model, "fused", "all", { provider, weightFormat: "q4" });
      try {
        return (await inPieces(engine, ids, [5, 1, 1])).flat();
      } finally {
        await engine.close();
      }
    };
    expect(relativeError(await logitsOn("webgpu"), await logitsOn("cpu"))).toBeLessThan(float32);
  });

  test("runs are measured, and say how weights are stored", { timeout: 120_000 }, async () => {
    const { run } = await measureModel(
      model,
      { weights: "f16", provider: "webgpu", lengths: [8], repeat: 1, output: { folder: folderOfTest() } },
      { created: new Date(0) },
    );
    expect(run.status).toBe("complete");
    expect(run.runtime).toMatchObject({ provider: "webgpu", options: { format: "f16" } });
  });

  test("a folder's own weights are held in them", { timeout: 120_000 }, async () => {
    const folder = folderOfTest();
    writeHubFolder(folder, { modelType: "llama", stored: "BF16", tied: true, sharded: false });
    const words = ["generate", folder, "--prompt", "the square of a number", "--max-tokens", "3", "--json"];
    const { code, out } = await command([...words, "--weights", "f16", "--provider", "webgpu"]);
    expect(code).toBe(0);
    const { weights, provider, tokens } = generateDocument.parse(JSON.parse(out));
    expect({ weights, provider, tokens: tokens.length }).toEqual({ weights: "f16", provider: "webgpu", tokens: 3 });
    // A processor has no use for them.
    const refused = await command([...words, "--weights", "f16"]);
    expect(refused.code).toBe(2);
    expect(refused.err.trim().split("\n").at(-1)).toContain("turns float16 weights into float32");
  });

  test("they are compared with float32", { timeout: 120_000 }, async () => {
    const compared = await compareModels(
      storedAs(model, ["f32", "f16"]),
      { provider: "webgpu", phases: ["prefill"], lengths: [8], repeat: 1, output: { folder: folderOfTest() } },
      { created: new Date(0) },
    );
    expect(compared.skipped).toEqual([]);
    expect(compared.contenders.map(({ name }) => name)).toEqual(["f32", "f16"]);
  });
});

test("takes half of the bytes for matrices, and the rest as float32 does", () => {
  for (const tied of [false, true]) {
    const graph = runnableGraph(smallModel({ ...shape, name: "bytes" }, { tied }), "fused");
    const bytes = (weights: "f32" | "f16", provider: Provider): number =>
      parameterBytesOf(graph, { weights, provider });
    const { hidden, heads, kvHeads, headDim, ffn, layers, vocabulary } = shape;
    const layer = hidden * headDim * (2 * heads + 2 * kvHeads) + 3 * hidden * ffn;
    const matrices = layers * layer + vocabulary * hidden;
    expect(bytes("f32", "webgpu") - bytes("f16", "webgpu")).toBe(2 * matrices);
    expect(bytes("f32", "webgpu")).toBe(bytes("f32", "cpu"));
    expect(() => lowerGraph(graph, { positions: 1, weights: "f16" })).toThrow("CPU provider turns float16");
  }
});
