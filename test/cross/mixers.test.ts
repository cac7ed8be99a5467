import { describe, expect, test } from "vitest";
import { cacheBytes } from "../../src/cost/cache.js";
import { buildGraph } from "../../src/graph/build.js";
import type { ModelDescription } from "../../src/model/types.js";
import { expectAgreement, expectPiecesAgree, inPieces, longest, open, opened, tokenIds } from "./execute.js";
import {
  attentionModels,
  bothWaysModels,
  compressedModels,
  expertsModels,
  latentModels,
  stateModels,
  patternModels,
  chosenModels,
  sharedChoiceModel,
} from "./mixer-models.js";

/** GroupQueryAttention continues one sequence at a time. */
function continuesOneOnly({ stacks }: ModelDescription): boolean {
  const mixers = stacks.flatMap(({ layers }) => layers.flatMap((layer) => layer.mixers));
  return mixers.some(
    (mixer) =>
      mixer.kind === "latent" ||
      (mixer.kind === "attention" && mixer.span.kind === "full" && mixer.keyDim === mixer.valueDim),
  );
}

const cases: readonly (readonly [string, "fused" | "naive", ModelDescription])[] = [
  ...[...attentionModels, ...latentModels].flatMap((model) =>
    (["fused", "naive"] as const).map((way) => [model.name, way, model] as const),
  ),
  ...[...chosenModels, sharedChoiceModel].map((model) => [model.name, "fused", model] as const),
  ...expertsModels.map((model) => [model.name, "fused", model] as const),
  ...compressedModels.map((model) => [model.name, "fused", model] as const),
  ...stateModels.map((model) => [model.name, "fused", model] as const),
];

describe.each(cases)("%s with %s attention", (_, attention, model) => {
  const engine = opened(model, attention);

  test.each([
    [1, 1],
    [1, 2],
    [1, 7],
    [2, 8],
    [3, longest],
  ])("a prefill of batch %i and length %i equals the float64 reference", async (batch, n) => {
    await expectPiecesAgree(engine(), model, batch, [n]);
  });

  test("prefills and single tokens after what is remembered equal the whole at once", async () => {
    await expectPiecesAgree(engine(), model, 1, [5, 1, 1, 7, 1, 1, 3]);
  });

  test("two sequences, token by token, equal the whole at once", async () => {
    await expectPiecesAgree(engine(), model, 2, Array<number>(longest).fill(1));
  });

  if (attention === "fused" && continuesOneOnly(model)) return;
  test("two sequences continue after a prefill", async () => {
    await expectPiecesAgree(engine(), model, 2, [6, 9, 4]);
  });
});

describe.each(bothWaysModels.map((model) => [model.name, model] as const))("%s", (_, model) => {
  const engine = opened(model, "fused");

  test.each([
    [1, 1],
    [1, 2],
    [1, 5],
    [2, 7],
    [1, 12],
    [3, longest],
  ])("a pass of batch %i and length %i equals the float64 reference", async (batch, n) => {
    await expectPiecesAgree(engine(), model, batch, [n]);
  });
});

describe.each(latentModels.map((model) => [model.name, model] as const))("the cache of %s", (_, model) => {
  test("holds one latent and one rotated key per token, as many bytes as are priced", async () => {
    const engine = await open(model, "fused", "last");
    const n = 11;
    const ids = BigInt64Array.from(tokenIds(model, 1, n).flat(), BigInt);
    const empty = { key: new Float32Array(0), value: new Float32Array(0) };
    const past = engine.caches.map(() => empty);
    const { caches } = await engine.logitsAndCaches(engine.prepare({ batch: 1, n, depth: 0, ids, past }));
    await engine.close();
    // Beside what is kept there may be room for more.
    const kept = caches.reduce(
      (sum, { key, value, room = n }) => sum + ((key.byteLength + value.byteLength) * n) / room,
      0,
    );
    expect(kept).toBe(cacheBytes(buildGraph(model)).at({ b: 1, n, c: 0 }));
  });
});

describe.each(patternModels.map(([model, lengths]) => [model.name, model, lengths] as const))(
  "%s",
  (_, model, lengths) => {
    test.each(["fused", "naive"] as const)("with %s attention equals masked full attention in float64", async (way) => {
      const engine = await open(model, way, "all", { positions: Math.max(...lengths) });
      for (const n of lengths) {
        const ids = tokenIds(model, n % 2 === 0 ? 2 : 1, n);
        await expectAgreement(await inPieces(engine, ids, [n]), model, ids);
      }
      await engine.close();
    });
  },
);
