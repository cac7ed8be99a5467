import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { NsquaredError } from "../../src/base/errors.js";
import { openMicro } from "../../src/measure/onnx-node-micro.js";
import { expectAgreement, inPieces, open, tokenIds } from "./execute.js";
import { attentionModels, expertsModels, latentModels, stateModels } from "./mixer-models.js";

// Chromium brings a GPU in software, which is slow and good enough to compute with.
const software = "/usr/lib/chromium/vk_swiftshader_icd.json";
if (existsSync(software)) process.env["VK_ICD_FILENAMES"] ??= software;

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

/** One of each kind: kernels are compiled for each model, which takes a second in software. */
const names = new Set("window-3-and-full streaming-4 gpt-oss deepseek-v3 retnet lstm qwen3-next mamba2".split(" "));
const models = [...attentionModels, ...latentModels, ...stateModels, ...expertsModels.slice(0, 1)].filter(
  (model, index, all) => names.has(model.name) || index === all.length - 1,
);

describe.skipIf(refusal !== null).each(models.map((model) => [model.name, model] as const))(
  "%s on WebGPU",
  (_, model) => {
    test("a prefill and tokens after it equal the float64 reference", { timeout: 120_000 }, async () => {
      const engine = await open(model, "fused", "all", { provider: "webgpu" });
      const ids = tokenIds(model, 1, 7);
      try {
        await expectAgreement(await inPieces(engine, ids, [5, 1, 1]), model, ids);
      } finally {
        await engine.close();
      }
    });
  },
);
