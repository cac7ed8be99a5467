import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../../src/base/random.js";
import { type CacheContent, type Engine, openEngine } from "../../src/measure/onnx-node-engine.js";
import type { ModelDescription } from "../../src/model/types.js";
import { lowerGraph } from "../../src/onnx/lower.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { syntheticWeights } from "../../src/onnx/weights.js";
import { referenceLogits } from "../reference/forward.js";
import { smallModels } from "./shapes.js";

/** Float32 against float64: the relative error that may remain. */
const tolerance = 1e-4;
const longest = 19;
const weights = syntheticWeights(7);

function tokenIds(model: ModelDescription, batch: number, n: number): number[][] {
  const random = seededRandom(batch * 1000 + n);
  return Array.from({ length: batch }, () =>
    Array.from({ length: n }, () => Math.floor(random() * model.vocabularySize)),
  );
}

async function open(model: ModelDescription, attention: "fused" | "naive", head: "all" | "last"): Promise<Engine> {
  const lowered = lowerGraph(runnableGraph(model, attention, head), { positions: longest });
  return openEngine(lowered, await lowered.parameters(weights), { threads: 2, profilePrefix: null });
}

function empty(engine: Engine): CacheContent[] {
  return engine.caches.map(() => ({ key: new Float32Array(0), value: new Float32Array(0) }));
}

/** Runs the tokens piece by piece, handing the cache on, and gives the logits of all positions, [batch][n·vocabulary]. */
async function inPieces(engine: Engine, ids: number[][], pieces: readonly number[]): Promise<number[][]> {
  const batch = ids.length;
  const logits: number[][] = ids.map(() => []);
  let past: readonly CacheContent[] = empty(engine);
  let depth = 0;
  for (const n of pieces) {
    const start = depth;
    const part = BigInt64Array.from(ids.flatMap((sequence) => sequence.slice(start, start + n)).map(BigInt));
    const result = await engine.logitsAndCaches(engine.prepare({ batch, n, depth, ids: part, past }));
    const share = result.logits.length / batch;
    logits.forEach((own, index) => own.push(...result.logits.subarray(index * share, (index + 1) * share)));
    past = result.caches;
    depth += n;
  }
  return logits;
}

/** ‖a − b‖ / ‖b‖. */
function relativeError(actual: readonly number[], expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  const difference = Math.hypot(...actual.map((value, i) => value - (expected[i] ?? Number.NaN)));
  return difference / Math.hypot(...expected);
}

async function expectAgreement(actual: readonly number[][], model: ModelDescription, ids: number[][]): Promise<void> {
  for (const [index, sequence] of ids.entries()) {
    const expected = (await referenceLogits(model, weights, sequence)).flatMap((position) => [...position]);
    expect(relativeError(actual[index] ?? [], expected)).toBeLessThan(tolerance);
  }
}

describe.each(smallModels.map((model) => [model.name, model] as const))("%s", (_, model) => {
  describe.each(["fused", "naive"] as const)("with %s attention", (attention) => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open(model, attention, "all");
    });
    afterAll(() => engine.close());

    test.each([
      [1, 1],
      [1, 2],
      [1, 7],
      [1, longest],
      [2, 1],
      [2, 8],
      [3, longest],
    ])("a prefill of batch %i and length %i equals the float64 reference", async (batch, n) => {
      const ids = tokenIds(model, batch, n);
      await expectAgreement(await inPieces(engine, ids, [n]), model, ids);
    });

    test("a prefill and then single tokens from the cache equal the whole at once", async () => {
      const ids = tokenIds(model, 2, 12);
      await expectAgreement(await inPieces(engine, ids, [7, 1, 1, 1, 1, 1]), model, ids);
    });

    test("tokens one by one from an empty cache equal the whole at once", async () => {
      const ids = tokenIds(model, 1, 9);
      await expectAgreement(await inPieces(engine, ids, [1, 1, 1, 1, 1, 1, 1, 1, 1]), model, ids);
    });

    test("a prefill that continues after cached tokens equals the whole at once", async () => {
      const ids = tokenIds(model, 1, longest);
      await expectAgreement(await inPieces(engine, ids, [5, 11, 3]), model, ids);
    });
  });

  // GroupQueryAttention continues one sequence at a time; the runner refuses more.
  test("a continued prefill of two sequences with naive attention equals the whole at once", async () => {
    const engine = await open(model, "naive", "all");
    const ids = tokenIds(model, 2, longest);
    await expectAgreement(await inPieces(engine, ids, [5, 11, 3]), model, ids);
    await engine.close();
  });

  test("logits of the last position alone equal the last of all", async () => {
    const [all, last] = await Promise.all([open(model, "fused", "all"), open(model, "fused", "last")]);
    const ids = tokenIds(model, 2, 11);
    const whole = await inPieces(all, ids, [11]);
    const ends = await inPieces(last, ids, [11]);
    whole.forEach((sequence, index) =>
      expect(relativeError(ends[index] ?? [], sequence.slice(-model.vocabularySize))).toBeLessThan(1e-6),
    );
    await Promise.all([all.close(), last.close()]);
  });
});
