import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { builtInModel } from "../../model/builtin/models.js";
import { findDevice } from "../../hardware/catalog/devices.js";
import { costOfModel } from "../cost.js";
import { describeModel } from "../describe.js";
import { predictModel } from "../predict.js";
import { costDocument } from "./cost.js";
import { describeDocument } from "./describe.js";
import { documents, jsonSchema, schemaFile } from "./index.js";
import { predictDocument } from "./predict.js";

const names = Object.keys(documents).filter((name): name is keyof typeof documents => name in documents);

describe("published schemas", () => {
  test.each(names)("%s is current (npm run schemas)", (name) => {
    const published = readFileSync(new URL(`../../../schemas/${schemaFile(name)}`, import.meta.url), "utf8");
    expect(published).toBe(jsonSchema(name));
  });
});

describe("documents", () => {
  const model = builtInModel("SmolLM2-135M");
  if (model === null) throw new Error("SmolLM2-135M is built in");

  test("satisfy their own schemas and survive JSON", () => {
    const through = (document: unknown): unknown => JSON.parse(JSON.stringify(document));
    expect(describeDocument.parse(through(describeModel(model)))).toEqual(describeModel(model));
    expect(costDocument.parse(through(costOfModel(model)))).toEqual(costOfModel(model));
    const predicted = predictModel(model, findDevice("h100"));
    expect(predictDocument.parse(through(predicted))).toEqual(predicted);
  });

  test("say what SmolLM2-135M costs", () => {
    const cost = costOfModel(model, { lengths: [1024] });
    expect(cost.flops.expression).toBe("2.12e8·n + 3.46e4·n² + 5.66e7");
    expect(cost.flops.pieces[0]?.coefficients).toEqual([56_623_104, 212_336_640 + 34_560, 34_560]);
    expect(cost.crossover?.n).toBeCloseTo(6145.2, 0);
    expect(describeModel(model).parameters).toEqual({ total: 134_515_008, active: 134_515_008, embedding: 28_311_552 });
  });
});
