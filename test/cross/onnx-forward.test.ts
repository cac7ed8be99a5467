import { describe, expect, test } from "vitest";
import { expectPiecesAgree, inPieces, longest, open, opened, relativeError, tokenIds } from "./execute.js";
import { smallModels } from "./shapes.js";

describe.each(smallModels.map((model) => [model.name, model] as const))("%s", (_, model) => {
  describe.each(["fused", "naive"] as const)("with %s attention", (attention) => {
    const engine = opened(model, attention);

    test.each([
      [1, 1],
      [1, 2],
      [1, 7],
      [1, longest],
      [2, 1],
      [2, 8],
      [3, longest],
    ])("a prefill of batch %i and length %i equals the float64 reference", async (batch, n) => {
      await expectPiecesAgree(engine(), model, batch, [n]);
    });

    test("a prefill and then single tokens from the cache equal the whole at once", async () => {
      await expectPiecesAgree(engine(), model, 2, [7, 1, 1, 1, 1, 1]);
    });

    test("tokens one by one from an empty cache equal the whole at once", async () => {
      await expectPiecesAgree(engine(), model, 1, [1, 1, 1, 1, 1, 1, 1, 1, 1]);
    });

    test("a prefill that continues after cached tokens equals the whole at once", async () => {
      await expectPiecesAgree(engine(), model, 1, [5, 11, 3]);
    });
  });

  test("a cache that outgrows the room it was given goes on as before, token by token and in pieces", async () => {
    const positions = 71;
    const engine = await open(model, "fused", "last", { positions });
    const ids = tokenIds(model, 1, positions);
    const pieces = await inPieces(engine, ids, [61, 1, 1, 1, 1, 4, 1, 1]);
    const whole = await inPieces(engine, ids, [positions]);
    expect(relativeError((pieces[0] ?? []).slice(-model.vocabularySize), whole[0] ?? [])).toBeLessThan(1e-5);
    await engine.close();
  });

  // GroupQueryAttention continues one sequence at a time; the runner refuses more.
  test("a continued prefill of two sequences with naive attention equals the whole at once", async () => {
    const engine = await open(model, "naive", "all");
    await expectPiecesAgree(engine, model, 2, [5, 11, 3]);
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
