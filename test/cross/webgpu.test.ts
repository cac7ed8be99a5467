import { describe, expect, test } from "vitest";
import { NsquaredError } from "../../src/base/errors.js";
import { cacheFiller } from "../../src/measure/onnx-node-cache.js";
import { float16Refusal } from "../../src/measure/onnx-node-float16.js";
import { openMicro } from "../../src/measure/onnx-node-micro.js";
import type { Micro } from "../../src/onnx/micro.js";
import { compareModels } from "../../src/study/compare.js";
import { measureModel } from "../../src/study/measure.js";
import { swiftShader } from "../support/vulkan.js";
import { expectAgreement, inPieces, open, relativeError, tokenIds } from "./execute.js";
import { attentionModels, expertsModels, latentModels, stateModels } from "./mixer-models.js";
import { placementOf } from "./placement.js";
import { smallModel } from "./shapes.js";
import { folderOfTest, storedAs } from "./runs.js";

const probe = { kind: "matmul", m: 4, k: 4, n: 4, length: 1 } as const;
const refusal = await openMicro(probe, 1, "webgpu").then(
  async (session) => {
    await session.close();
    return null;
  },
  (error: unknown) => error,
);

test.skipIf(refusal === null)("without a GPU WebGPU is refused in one line that says what would be right", () => {
  expect(refusal).toBeInstanceOf(NsquaredError);
  expect(refusal).toMatchObject({ code: "provider-missing", message: expect.stringContaining("no GPU here") });
});

const shape = { hidden: 32, heads: 4, kvHeads: 2, headDim: 16, ffn: 48, layers: 2, vocabulary: 50 };

/** One of each kind: kernels are compiled for each model, which takes a second in software. */
const names = new Set(
  "linear retnet lstm mamba2 qwen3-next deepseek-v3 softcap-full window-3-and-full streaming-4 gpt-oss".split(" "),
);
/** A prompt goes through a window block by block, in ONNX's Loop, which WebGPU lacks: blocks are computed there, and joined here. */
const windowed = new Set("softcap-full window-3-and-full streaming-4 gpt-oss".split(" "));
const models = [
  smallModel({ ...shape, name: "full" }),
  smallModel({ ...shape, name: "full-tied" }, { tied: true }),
  ...[...attentionModels, ...latentModels, ...stateModels].filter((model) => names.has(model.name)),
];
const [full] = models;

describe.skipIf(refusal !== null)("on WebGPU", () => {
  test.each([
    ...models.map((model) => [model.name, model, "fused"] as const),
    ...models.slice(0, 1).map((model) => [`${model.name}, naive`, model, "naive"] as const),
  ])(
    "a prefill of %s and tokens after it equal the float64 reference, and are computed there",
    { timeout: 120_000 },
    async (_name, model, attention) => {
      const ids = tokenIds(model, 1, 7);
      const placement = await placementOf(
        (profilePrefix) => open(model, attention, "all", { provider: "webgpu", profilePrefix }),
        async (engine) => {
          await expectAgreement(await inPieces(engine, ids, [5, 1, 1]), model, ids);
          // From the first token on: nothing is cached before it.
          await expectAgreement(await inPieces(engine, ids, [1, 1, 5]), model, ids);
        },
      );
      expect(placement.onGpu).toContain("MatMul");
      expect(placement.onProcessor).toEqual(windowed.has(model.name) ? ["Loop"] : []);
    },
  );

  test("experts, whose choice is made on the processor, equal the reference", { timeout: 120_000 }, async () => {
    for (const model of expertsModels.slice(0, 1)) {
      const engine = await open(model, "fused", "all", { provider: "webgpu" });
      const ids = tokenIds(model, 1, 7);
      await expectAgreement(await inPieces(engine, ids, [5, 1, 1]), model, ids);
      await engine.close();
    }
  });

  test("matrices in blocks of 4 bits are multiplied by there", { timeout: 120_000 }, async () => {
    const model = full ?? smallModel({ ...shape, name: "full" });
    const placement = await placementOf(
      (profilePrefix) => open(model, "fused", "last", { provider: "webgpu", weightFormat: "q4", profilePrefix }),
      async (engine) => {
        await inPieces(engine, tokenIds(model, 1, 7), [5, 1, 1]);
      },
    );
    expect(placement.onGpu).toContain("MatMulNBits");
    expect(placement.onProcessor).toEqual([]);
  });

  test("a decode step reads its cache in the GPU's memory, and gives what it gives from the processor's", async () => {
    const model = smallModel({ ...shape, name: "full" });
    const engine = await open(model, "fused", "last", { provider: "webgpu" });
    const past = cacheFiller()(engine.caches, 1, 9);
    const step = engine.prepare({ batch: 1, n: 1, depth: 9, ids: BigInt64Array.of(3n), past });
    const expected = [...(await engine.logits(step))];
    const placed = await engine.place(step);
    const held = Object.entries(placed).filter(([, tensor]) => tensor.location === "gpu-buffer");
    expect(held.map(([name]) => name).sort()).toEqual(
      engine.caches.flatMap(({ past: sides }) => [sides.key, sides.value]).sort(),
    );
    for (let pass = 0; pass < 2; pass += 1) {
      expect(relativeError([...(await engine.logits(placed))], expected)).toBeLessThan(1e-6);
    }
    engine.discard(placed);
    await engine.close();
  });

  test.each([
    { kind: "matmul", m: 4, k: 8, n: 12, length: 3 },
    { kind: "product", batch: 2, rows: 3, inner: 4, columns: 5 },
    { kind: "attention", heads: 4, kvHeads: 2, headDim: 16, n: 1, depth: 5, batch: 1 },
  ] satisfies Micro[])("what calibration times of a $kind runs there", async (micro) => {
    const session = await openMicro(micro, 1, "webgpu");
    await session.run();
    await session.close();
  });

  test.skipIf(process.env["VK_ICD_FILENAMES"] !== swiftShader)(
    "a GPU without float16 is compared without it, and measured not at all in it",
    { timeout: 120_000 },
    async () => {
      const instead = "f32, q8 or q4: this GPU does not compute in float16 (WebGPU's shader-f16)";
      expect(await float16Refusal("webgpu")).toMatchObject({
        code: "float16-missing",
        exitCode: 2,
        message: `--weights: format is "f16"; ${instead}`,
      });
      const model = smallModel({ ...shape, name: "full" });
      const wanted = { provider: "webgpu", lengths: [8], repeat: 1, output: { folder: folderOfTest() } } as const;
      const world = { created: new Date(0) };
      const contenders = storedAs(model, ["f32", "f16"]);
      const compared = await compareModels(contenders, { ...wanted, phases: ["prefill"] }, world);
      expect(compared.contenders.map(({ name }) => name)).toEqual(["f32"]);
      expect(compared.skipped).toEqual([{ name: "f16", reason: expect.stringContaining(instead) }]);
      await expect(measureModel(model, { ...wanted, weights: "f16" }, world)).rejects.toThrow(instead);
    },
  );
});
