import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import { readConfigFile } from "./data.js";

/** Sums of the weights that the published classes allocate, written out tensor by tensor. */
const sums: Readonly<Record<string, () => number>> = {
  "IEITYuan__Yuan2-2B.json": () => {
    const [hidden, width, vocabulary, layers] = [2048, 8192, 135_040, 24];
    const filters = 2 * hidden * (hidden / 2) + hidden / 2 + 2 * (hidden / 2) * hidden + hidden + hidden;
    return vocabulary * hidden + layers * (4 * hidden ** 2 + 3 * hidden * width + filters + 2 * hidden) + hidden;
  },
  "fla-hub__gla-1B.json": () => {
    const [hidden, keys, heads, width, vocabulary, layers] = [2048, 1024, 4, 5632, 32_000, 24];
    const mixer = 2 * hidden * keys + 3 * hidden ** 2 + (hidden * 16 + 16 * keys + keys) + hidden / heads;
    return 2 * vocabulary * hidden + layers * (mixer + 3 * hidden * width + 2 * hidden) + hidden;
  },
  "RWKV__rwkv-5-world-3b.json": () => {
    const [hidden, width, vocabulary, layers] = [2560, 8960, 65_536, 32];
    const time = 5 * hidden ** 2 + 4 * hidden + 2 * hidden + 2 * hidden;
    const channel = 2 * hidden * width + hidden ** 2 + 2 * hidden;
    return vocabulary * hidden + layers * (time + channel + 4 * hidden) + 4 * hidden;
  },
  "jet-ai__Jet-Nemotron-2B.json": () => {
    const [hidden, width, vocabulary, heads] = [1536, 8960, 151_936, 12];
    const [keys, values, kv] = [heads * 96, heads * 256, 2 * 128];
    const kernels = hidden * (values / 8) + (values / 8) * values * 4 + values * 4;
    const jet = 2 * hidden * keys + 3 * hidden * values + 2 * hidden * heads + 2 * heads + 256 + kernels;
    const attention = 2 * hidden ** 2 + hidden + 2 * (hidden * kv + kv);
    return vocabulary * hidden + 24 * jet + 4 * attention + 28 * (3 * hidden * width + 2 * hidden) + hidden;
  },
  // Total of the checkpoint's safetensors.
  "microsoft__Phi-3-small-8k-instruct.json": () => 7_392_272_384,
};

describe("models whose classes come with the checkpoint have the parameters of their tensors", () => {
  test.each(Object.keys(sums))("%s", (file) => {
    const model = readConfig(readConfigFile("configs", file), file, file);
    expect(countParameters(buildGraph(model)).total).toBe(sums[file]?.());
  });
});

test("a whole ProphetNet has the parameters of its published checkpoint", () => {
  const config = { model_type: "prophetnet", architectures: ["ProphetNetForConditionalGeneration"] };
  expect(countParameters(buildGraph(readConfig(config, "a.json", "a"))).total).toBe(391_321_600);
});

test("a file older than model_type is of the longest type in its name, which is reported", () => {
  const config = readConfigFile("configs", "FacebookAI__roberta-base.json");
  const model = readConfig(config, "config.json", "FacebookAI__roberta-base");
  expect(model.modelType).toBe("roberta");
  expect(model.filled).toContainEqual(expect.objectContaining({ key: "model_type", value: "roberta" }));
  expect(() => readConfig(config, "config.json", "mine")).toThrow(/model_type is missing/);
});

test("every second layer of Phi-3-small attends to blocks, and takes the FLOPs of a loop over its 32 heads", () => {
  const file = "microsoft__Phi-3-small-8k-instruct.json";
  const model = readConfig(readConfigFile("configs", file), file, file);
  const spans = model.stacks.flatMap(({ layers }) =>
    layers.flatMap(({ mixers }) => mixers.map((mixer) => (mixer.kind === "attention" ? mixer.span.kind : ""))),
  );
  expect(spans.slice(0, 4)).toEqual(["strided", "full", "strided", "full"]);
  const [size, local, stride, heads, length] = [64, 16, 8, 32, 3000];
  let pairs = 0;
  for (let query = 0; query < length; query += 1) {
    pairs += heads * (query + 1);
    for (let block = 0; Math.floor(query / size) - block >= local; block += 1) {
      for (let head = 0; head < heads; head += 1) if ((block + head + 1) % stride !== 0) pairs -= size;
    }
  }
  const priced = priceGraph(buildGraph(model)).find(
    ({ operator }) => operator.kind === "attention" && operator.span.kind === "strided",
  );
  expect(priced?.times).toBe(16);
  expect(priced?.cost.matmulFlops.at({ n: length })).toBeCloseTo(pairs * 2 * 2 * 128, 0);
});
