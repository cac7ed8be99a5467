import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openEngine } from "../../src/measure/onnx-node-engine.js";
import { lowerGraph } from "../../src/onnx/lower.js";
import { dequantised, quantisedBlock } from "../../src/onnx/quantise.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { openingBytes, parameterBytesOf } from "../../src/onnx/memory.js";
import { type WeightSource, syntheticWeights } from "../../src/onnx/weights.js";
import { longestThatFits, measureModel } from "../../src/study/measure.js";
import { referenceLogits } from "../reference/forward.js";
import { inPieces, longest, relativeError, tokenIds } from "./execute.js";
import { smallModel } from "./shapes.js";

const plain = syntheticWeights(7);
const shape = { hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 96, layers: 2, vocabulary: 50 };
const biases = { query: true, key: true, value: true, output: true };
const models = [
  smallModel({ ...shape, name: "whole blocks" }),
  smallModel(
    { ...shape, name: "a part of a block", hidden: 40, ffn: 70 },
    { attention: { bias: biases }, ffnBias: true, gated: false },
  ),
];

/** What the model computes with once its matrices were quantised; the table that tokens are looked up in is not. */
function through(bits: 4 | 8): WeightSource {
  return {
    read: async (name, weight, target) => {
      await plain.read(name, weight, target);
      const columns = weight.shape[1] ?? 0;
      if (weight.shape.length === 2 && columns >= quantisedBlock && name !== "embedding.table") {
        target.set(dequantised(target, columns, bits));
      }
    },
  };
}

test.each(models.flatMap((model) => ([4, 8] as const).map((bits) => [model.name, bits, model] as const)))(
  "%s in %i bits equals the reference with dequantised weights",
  async (_name, bits, model) => {
    const lowered = lowerGraph(runnableGraph(model, "fused", "all"), {
      positions: longest,
      weights: bits === 4 ? "q4" : "q8",
    });
    const engine = await openEngine(lowered, await lowered.parameters(plain), { threads: 2, profilePrefix: null });
    const ids = tokenIds(model, 2, 11);
    const logits = await inPieces(engine, ids, [7, 1, 1, 1, 1]);
    await engine.close();
    for (const [index, sequence] of ids.entries()) {
      const flat = async (source: WeightSource): Promise<number[]> =>
        (await referenceLogits(model, source, sequence)).flatMap((position) => [...position]);
      expect(relativeError(logits[index] ?? [], await flat(through(bits)))).toBeLessThan(1e-4);
      // And it is quantised: the plain weights give something else.
      expect(relativeError(logits[index] ?? [], await flat(plain))).toBeGreaterThan(1e-3);
    }
  },
);

test("takes a quarter and less of the bytes", () => {
  const graph = runnableGraph(models[0] ?? smallModel({ ...shape, name: "one" }), "fused");
  const bytes = (weights: "f32" | "q8" | "q4"): number => lowerGraph(graph, { positions: 1, weights }).parameterBytes;
  const table = 50 * 64 * 4;
  expect((bytes("q8") - table) / (bytes("f32") - table)).toBeLessThan(0.3);
  expect((bytes("q4") - table) / (bytes("f32") - table)).toBeLessThan(0.18);
  expect(() => lowerGraph(graph, { positions: 1, weights: "f16" })).toThrow("float16");
});

test("is measured where it fits as it is stored, not as float32 would", async () => {
  const model = smallModel({ ...shape, name: "wide", hidden: 512, ffn: 2048 });
  const graph = runnableGraph(model, "fused");
  const available = openingBytes({ parameterBytes: parameterBytesOf(graph) / 2 });
  const folder = mkdtempSync(join(tmpdir(), "nsquared-test-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const measured = (weights: "f32" | "q4") =>
    measureModel(
      model,
      { weights, lengths: [8], repeat: 1, output: { folder } },
      { created: new Date(0), availableBytes: () => available },
    );
  await expect(measured("f32")).rejects.toThrow(/memory needed.*--weights q4/);
  expect((await measured("q4")).run.status).toBe("complete");
  const options = { attention: "fused", batch: 1, depths: [0], provider: "cpu" } as const;
  expect(longestThatFits(model, "prefill", 64, { ...options, weights: "f32" }, available)).toBeLessThan(
    longestThatFits(model, "prefill", 64, { ...options, weights: "q4" }, available),
  );
});
