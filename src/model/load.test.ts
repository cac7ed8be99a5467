import { expect, test } from "vitest";
import { webAccess } from "../files/access.js";
import { builtInModel, builtInNames } from "./builtin/models.js";
import { loadModel } from "./load.js";

const offline = webAccess(() => Promise.reject(new TypeError("fetch failed")), 1000);

test.each(builtInNames())("built-in %s can be read", (name) => {
  const model = builtInModel(name);
  expect(model?.name).toBe(name);
  expect(model?.notes.filter((note) => note.startsWith("keys that nothing"))).toEqual([]);
});

test("a built-in name needs neither files nor network, nor the right capital letters", async () => {
  expect((await loadModel("smollm2-135m", offline)).name).toBe("SmolLM2-135M");
});

test("a name that is nowhere is refused with the built-in names", async () => {
  await expect(loadModel("SmolLM9", offline)).rejects.toThrow(/SmolLM9: no such file or folder.*SmolLM2-135M/);
});

test("a hub model is read over the network", async () => {
  const config = { model_type: "llama", architectures: ["LlamaForCausalLM"], num_hidden_layers: 2, dtype: "float16" };
  const access = webAccess(() => Promise.resolve(new Response(JSON.stringify(config))), 1000);
  const model = await loadModel("org/name", access);
  expect(model.name).toBe("org/name");
  expect(model.source).toBe("https://huggingface.co/org/name/resolve/main/config.json");
  expect(model.stacks[0]?.layers.length).toBe(2);
});
