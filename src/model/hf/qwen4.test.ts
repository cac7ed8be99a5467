import { expect, test } from "vitest";
import { readConfigFile } from "../../../test/reference/data.js";
import { isObject } from "./json.js";
import { readConfig } from "./read-config.js";

/** The mixers of a small Qwen 4 whose attending layers are called `name`. */
function mixersOf(name: string) {
  const file = readConfigFile("counted", "qwen4_exp-small.json");
  const text = file["text_config"];
  if (!isObject(text)) throw new Error("qwen4_exp-small.json has a text_config");
  const layer_types = ["linear_attention", "linear_attention", "linear_attention", name];
  const model = readConfig({ ...file, text_config: { ...text, layer_types } }, "q", "q");
  return model.stacks.at(-1)?.layers.map(({ mixers }) => mixers[0]);
}

/* transformers, models/qwen4_exp: the published file says full_attention of layers that have an indexer. */
test.each(["full_attention", "qwen_sparse_attention", "deepseek_sparse_attention", "hybrid_indexed"])(
  "%s is attention to chosen tokens, as indexed_attention is",
  (name) => {
    expect(mixersOf(name)).toEqual(mixersOf("indexed_attention"));
    expect(mixersOf(name)?.at(-1)).toMatchObject({ kind: "attention", span: { kind: "chosen", size: 64 } });
  },
);

test("another kind of layer is refused", () => {
  expect(() => mixersOf("sliding_attention")).toThrow("layer_types");
});
