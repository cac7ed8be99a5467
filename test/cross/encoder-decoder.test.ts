import { afterAll, beforeAll, describe, test } from "vitest";
import type { Engine } from "../../src/measure/onnx-node-engine.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { scaled } from "../../src/variants/scale.js";
import { readConfigFile } from "../reference/data.js";
import { expectAgreement, inPieces, longest, open, tokenIds } from "./execute.js";

const real = (name: string, sizes: { hidden?: number; layers: number }): ModelDescription =>
  scaled(readConfig(readConfigFile("class-defaults", `${name}.json`), name, name), { ...sizes, vocabulary: 50 });

const models: readonly (readonly [string, ModelDescription])[] = [
  ["T5: relative positions of the first layer, scores without a factor", real("t5", { hidden: 128, layers: 2 })],
  ["UMT5: a table for every layer, gated networks", real("umt5", { hidden: 128, layers: 2 })],
  ["LongT5: local attention in the encoder", real("longt5", { hidden: 128, layers: 2 })],
  ["BART: learned positions, a norm behind them, norms after the residual", real("bart", { hidden: 128, layers: 2 })],
  ["mBART: norms before, one more at the end", real("mbart", { hidden: 128, layers: 2 })],
  ["Pegasus: no norm behind the positions", real("pegasus", { hidden: 128, layers: 2 })],
];

describe.each(models)("%s", (_name, model) => {
  describe.each(["fused", "naive"] as const)("with %s attention", (attention) => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open(model, attention, "all");
    });
    afterAll(() => engine.close());

    const sizes = [
      [1, 1, 1],
      [1, 2, 9],
      [1, 13, 5],
      [2, longest, longest],
    ] as const;
    test.each(attention === "fused" ? sizes : sizes.slice(2, 3))(
      "a batch of %i, %i tokens after an encoder's %i equal the reference",
      async (batch, n, m) => {
        const ids = tokenIds(model, batch, n);
        const encoder = tokenIds(model, batch, m);
        await expectAgreement(await inPieces(engine, ids, [n], encoder), model, ids, encoder);
      },
    );

    test("a prefill and decode steps with cached keys equal the whole at once", async () => {
      const ids = tokenIds(model, 1, longest);
      const encoder = tokenIds(model, 1, 11);
      await expectAgreement(await inPieces(engine, ids, [5, 1, 1, 7, 1, 1, 3], encoder), model, ids, encoder);
    });

    test("two sequences, token by token, equal the whole at once", async () => {
      const ids = tokenIds(model, 2, longest);
      const encoder = tokenIds(model, 2, 6);
      const steps = Array<number>(longest).fill(1);
      await expectAgreement(await inPieces(engine, ids, steps, encoder), model, ids, encoder);
    });
  });
});

test("relative positions in several blocks of queries, whole and after what is cached, equal the reference", async () => {
  const [, model] = models[0] ?? [];
  if (model === undefined) throw new Error("no T5");
  const engine = await open(scaled(model, { layers: 1 }), "fused", "all");
  const one = scaled(model, { layers: 1 });
  const ids = tokenIds(one, 1, 291);
  const encoder = tokenIds(one, 1, 300);
  await expectAgreement(await inPieces(engine, ids, [291], encoder), one, ids, encoder);
  await expectAgreement(await inPieces(engine, ids, [131, 1, 159], encoder), one, ids, encoder);
  await engine.close();
});
