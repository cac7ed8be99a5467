import { describe, expect, test } from "vitest";
import { lowerGraph } from "../../src/onnx/lower.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { expectAgreement, inPieces, open, tokenIds } from "./execute.js";
import {
  attentionModels,
  chosenModels,
  compressedModels,
  expertsModels,
  latentModels,
  stateModels,
} from "./mixer-models.js";
import { smallModel, smallModels } from "./shapes.js";

const isStrided = ({ name }: { readonly name: string }): boolean => name.startsWith("strided");
const strided = attentionModels.filter(isStrided);
const attending = [
  ...smallModels,
  ...attentionModels.filter((model) => !isStrided(model)),
  ...latentModels,
  ...chosenModels,
];

/** The operators that WebGPU has the processor has too, so that what is lowered for one can be checked on the other. */
describe.each([
  ...attending.flatMap((model) => [[model.name, "fused", model] as const, [model.name, "naive", model] as const]),
  ...[...stateModels, ...expertsModels].map((model) => [model.name, "fused", model] as const),
])("%s as it is lowered for WebGPU, with %s attention", (_, attention, model) => {
  test("equals the float64 reference", async () => {
    const engine = await open(model, attention, "all", { loweredFor: "webgpu" });
    const ids = tokenIds(model, 2, 9);
    try {
      await expectAgreement(await inPieces(engine, ids, [7, 1, 1]), model, ids);
    } finally {
      await engine.close();
    }
  });
});

test.each([...strided, ...compressedModels.slice(1, 2)].map((model) => [model.name, model] as const))(
  "%s, which ONNX Runtime fails at on WebGPU, is refused in one line",
  (_, model) => {
    const graph = runnableGraph(model, "fused");
    const lower = (provider: "cpu" | "webgpu") => () => lowerGraph(graph, { positions: 8, provider });
    expect(lower("webgpu")).toThrow(/WebGPU provider fails on empty values, as .* are at first; take cpu$/);
    expect(lower("cpu")).not.toThrow();
  },
);

test("a tied table is in memory once, for whatever it is lowered", () => {
  const shape = { hidden: 32, heads: 4, kvHeads: 2, headDim: 8, ffn: 48, layers: 2, vocabulary: 50 };
  const bytes = (tied: boolean, provider: "cpu" | "webgpu"): number =>
    lowerGraph(runnableGraph(smallModel({ ...shape, name: "tied" }, { tied }), "fused"), { positions: 1, provider })
      .parameterBytes;
  const table = shape.vocabulary * shape.hidden * 4;
  for (const provider of ["cpu", "webgpu"] as const) {
    expect(bytes(false, provider) - bytes(true, provider)).toBe(table);
  }
  expect(bytes(true, "webgpu")).toBe(bytes(true, "cpu"));
});
