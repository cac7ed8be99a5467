import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NsquaredError } from "../../base/errors.js";
import { parseJsonObject } from "./json.js";
import { knownModelTypes, readConfig } from "./read-config.js";

const llama = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 1000,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  torch_dtype: "bfloat16",
};

function errorOf(action: () => unknown): NsquaredError {
  try {
    action();
  } catch (error) {
    if (error instanceof NsquaredError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
const messageOf = (changes: Record<string, unknown>): string =>
  errorOf(() => readConfig({ ...llama, ...changes }, "a.json", "a")).message;

describe("a value that cannot be right is named with its file, key, value and what would be right", () => {
  test.each([
    [{ num_hidden_layers: 0 }, "a.json: num_hidden_layers is 0; expected a whole number from 1 to 10_000"],
    [
      { num_hidden_layers: 1e12 },
      "a.json: num_hidden_layers is 1000000000000; expected a whole number from 1 to 10_000",
    ],
    [{ hidden_size: -64 }, "a.json: hidden_size is -64; expected a whole number from 1 to 16_777_216"],
    [{ hidden_size: 63.5 }, "a.json: hidden_size is 63.5; expected a whole number from 1 to 16_777_216"],
    [{ hidden_size: "64" }, 'a.json: hidden_size is "64"; expected a whole number from 1 to 16_777_216'],
    [{ hidden_size: null }, 'a.json: hidden_size is "null"; expected a whole number from 1 to 16_777_216'],
    [
      { vocab_size: 2 ** 60 },
      "a.json: vocab_size is 1152921504606847000; expected a whole number from 1 to 2_147_483_648",
    ],
    [{ hidden_size: 66 }, "a.json: num_attention_heads is 4; expected a divisor of hidden_size (66), or a head_dim"],
    [{ num_key_value_heads: 3 }, "a.json: num_key_value_heads is 3; expected a divisor of num_attention_heads (4)"],
    [{ tie_word_embeddings: "yes" }, 'a.json: tie_word_embeddings is "yes"; expected true or false'],
    [{ rope_theta: -1 }, "a.json: rope_theta is -1; expected a number above 0"],
  ])("%o", (changes, message) => {
    expect(messageOf(changes)).toBe(message);
  });

  test("a list per layer must have one item per layer", () => {
    expect(messageOf({ model_type: "qwen2", layer_types: ["full_attention"] })).toBe(
      'a.json: layer_types is "a list of 1"; expected 2 items, one per layer',
    );
  });

  test("a window is needed where layer_types names sliding layers", () => {
    expect(messageOf({ model_type: "qwen2", layer_types: ["full_attention", "sliding_attention"] })).toContain(
      "sliding_window",
    );
  });
});

test("an unknown model type is refused with its keys, and with known types that begin alike", () => {
  const refusal = (type: string) => errorOf(() => readConfig({ model_type: type, shells: 7 }, "a.json", "a"));
  const error = refusal("nautilus");
  expect(error.code).toBe("unknown-model-type");
  expect(error.exitCode).toBe(2);
  expect(error.message).toMatch(/model_type is "nautilus".*\(shells\); known: \d+ types .*--allow-partial/);
  expect(refusal("llama9").message).toMatch(/known: llama, llama4, llama4_text and others of \d+ types/);
});

test("a file without a model type is refused", () => {
  expect(errorOf(() => readConfig({ hidden_size: 64 }, "a.json", "a")).message).toContain("model_type is missing");
});

test("every message is one line", () => {
  expect(messageOf({ hidden_act: "line\nbreak" })).not.toContain("\n");
});

describe("what the file leaves out is filled with the class default and recorded", () => {
  test("values of the class", () => {
    const model = readConfig({ ...llama, max_position_embeddings: undefined }, "a.json", "a");
    expect(model.contextLength).toBe(2048);
    expect(model.filled).toContainEqual({
      key: "max_position_embeddings",
      value: 2048,
      from: "class default of llama",
    });
  });

  test("values that follow from others", () => {
    const model = readConfig(llama, "a.json", "a");
    expect(model.filled).toContainEqual({ key: "head_dim", value: 16, from: "hidden_size / num_attention_heads" });
  });

  test("nothing that the file names", () => {
    const keys = readConfig(llama, "a.json", "a").filled.map((entry) => entry.key);
    expect(keys.filter((key) => key in llama)).toEqual([]);
  });
});

describe("what decides cost is read as the reference implementation reads it", () => {
  const layersOf = (config: Record<string, unknown>) => {
    const stack = readConfig({ ...llama, ...config }, "a.json", "a").stacks[0];
    if (stack === undefined) throw new Error("no stack");
    return stack.layers;
  };
  const spans = (config: Record<string, unknown>) =>
    layersOf(config).flatMap((layer) => layer.mixers.map((mixer) => ("span" in mixer ? mixer.span : null)));

  test("Mistral slides in every layer, unless the window is null", () => {
    const window = { kind: "window", size: 4096 };
    expect(spans({ model_type: "mistral", sliding_window: 4096 })).toEqual([window, window]);
    expect(spans({ model_type: "mistral", sliding_window: null })).toEqual([{ kind: "full" }, { kind: "full" }]);
  });

  test("Qwen2's window is asleep without use_sliding_window", () => {
    expect(spans({ model_type: "qwen2", sliding_window: 8, max_window_layers: 1 })).toEqual([
      { kind: "full" },
      { kind: "full" },
    ]);
    expect(spans({ model_type: "qwen2", use_sliding_window: true, sliding_window: 8, max_window_layers: 1 })).toEqual([
      { kind: "full" },
      { kind: "window", size: 8 },
    ]);
  });

  test("SmolLM3 rotates three layers of four", () => {
    const layers = layersOf({ model_type: "smollm3", num_hidden_layers: 4 });
    expect(layers.map((layer) => layer.mixers.map((mixer) => "rotary" in mixer && mixer.rotary !== null))).toEqual([
      [true],
      [true],
      [true],
      [false],
    ]);
  });

  test("equal layers are one object", () => {
    const layers = layersOf({});
    expect(layers[0]).toBe(layers[1]);
  });

  test("a class whose name ends in Model has no head", () => {
    expect(readConfig({ ...llama, architectures: ["LlamaModel"] }, "a.json", "a").head.kind).toBe("none");
  });

  test("a nested text_config is read with the dtype of the whole", () => {
    const model = readConfig(
      { model_type: "wrapper", torch_dtype: "float16", text_config: { ...llama, torch_dtype: undefined } },
      "a.json",
      "a",
    );
    expect(model.modelType).toBe("llama");
    expect(model.dtypes.weights).toBe("float16");
  });

  test("keys that nobody knows are listed", () => {
    const model = readConfig({ ...llama, secret_experts: 8 }, "a.json", "a");
    expect(model.notes.join()).toContain("secret_experts");
  });
});

describe("text that is not a JSON object", () => {
  test("is refused with the reason", () => {
    expect(errorOf(() => parseJsonObject("{", "a.json")).message).toMatch(/^a\.json: expected JSON/);
    expect(errorOf(() => parseJsonObject("[1]", "a.json")).message).toBe(
      "a.json: found [1]; expected a JSON object: {…}",
    );
  });

  test("nesting is bounded", () => {
    const deep = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect(errorOf(() => parseJsonObject(deep, "a.json")).message).toContain("64 levels of nesting");
    const cycle: Record<string, unknown> = { ...llama };
    cycle["self"] = cycle;
    expect(errorOf(() => readConfig(cycle, "a.json", "a")).code).toBe("nested-too-deeply");
  });

  test("Python's Infinity and NaN are read as null, in texts they stay", () => {
    expect(parseJsonObject('{"a": [0.0, Infinity], "b": -Infinity, "c": NaN, "d": "NaN"}', "a.json")).toEqual({
      a: [0, null],
      b: null,
      c: null,
      d: "NaN",
    });
  });
});

test("whatever values the keys have, the answer is a description or an error of one line", () => {
  const value = fc.oneof(
    fc.integer({ min: -5, max: 300 }),
    fc.double(),
    fc.constantFrom(null, true, false, "silu", "full_attention", 2 ** 53, 1e300),
    fc.array(fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom("full_attention", "sliding_attention"))),
    fc.dictionary(fc.string(), fc.integer()),
  );
  const keys = [
    ...Object.keys(llama),
    "head_dim",
    "layer_types",
    "sliding_window",
    "rope_parameters",
    "no_rope_layers",
  ];
  const mutation = fc.record({
    type: fc.constantFrom(...knownModelTypes()),
    changes: fc.dictionary(fc.constantFrom(...keys.filter((key) => key !== "model_type")), value, { maxKeys: 3 }),
  });
  fc.assert(
    fc.property(mutation, ({ type, changes }) => {
      try {
        readConfig({ ...llama, model_type: type, ...changes }, "a.json", "a");
      } catch (error) {
        expect(error).toBeInstanceOf(NsquaredError);
        expect(String(error)).not.toContain("\n");
      }
    }),
    { seed: 20261123, numRuns: 2000 },
  );
});
