import { describe, expect, test } from "vitest";
import { sparseSource } from "../../../test/support/gguf.js";
import { families, headerOf } from "../../../test/support/gguf-families.js";
import { experts, preNorms, projections, routed, width } from "../../../test/support/gguf-shapes.js";
import { describeModel } from "../../study/describe.js";
import { weightBytes } from "../../cost/parameters.js";
import { buildGraph } from "../../graph/build.js";
import { knownArchitectures } from "./families.js";
import { readGguf } from "./read-gguf.js";

describe("the description has exactly the parameters of the tensors", () => {
  test("for every architecture that is known", () => {
    expect(Object.keys(families).sort()).toEqual(knownArchitectures());
  });

  test.each(Object.entries(families))("%s", async (arch, example) => {
    const model = await readGguf(sparseSource(headerOf(arch, example), 1e9), "m");
    const { parameters, notes, unrun } = describeModel(model);
    expect(model.modelType).toBe(arch);
    const { beyond = 0 } = example;
    expect(parameters.total + beyond).toBe(model.stored?.parameters);
    expect(notes.some((note) => note.includes("than the description"))).toBe(beyond > 0);
    if (beyond > 0) return;
    if (example.meanBits === true || unrun.prediction + unrun.buffers > 0) return;
    expect(weightBytes(buildGraph(model)) / (model.stored?.bytes ?? 0)).toBeCloseTo(1, 12);
  });

  test("llama with experts, which is Mixtral", async () => {
    const layer = { ...preNorms, ...projections, ...routed };
    const counts = { expert_count: experts, expert_used_count: 2, feed_forward_length: width };
    const model = await readGguf(sparseSource(headerOf("llama", { layer, keys: counts, untied: true }), 1e9), "m");
    expect(model.stacks[0]?.layers[0]?.ffns[0]).toMatchObject({ kind: "moe", experts: 8, chosen: 2, width: 48 });
    expect(describeModel(model).parameters.total).toBe(model.stored?.parameters);
  });
});
