import { describe, expect, test } from "vitest";
import { readConfigFile } from "../reference/data.js";
import { seededRandom } from "../../src/base/random.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { scaled } from "../../src/variants/scale.js";
import { expectAgreement, inPieces, open, tokenIds } from "./execute.js";

const sizes = {
  hidden_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 40,
  image_size: 12,
  patch_size: 4,
};
const tiny = (name: string, keys: object = {}): ModelDescription =>
  readConfig({ ...readConfigFile("class-defaults", `${name}.json`), ...sizes, ...keys }, name, name);

/** Registers behind the class token, as DINOv2 has with them. */
function withRegisters(model: ModelDescription): ModelDescription {
  const stacks = model.stacks.map((stack) => ({
    ...stack,
    length: { kind: "constant", tokens: 12 } as const,
    extras: { ...stack.extras, weights: [...(stack.extras?.weights ?? []), { name: "registers", shape: [2, 24] }] },
  }));
  return { ...model, stacks };
}

describe.each([
  ["ViT: a class token, a pooler", tiny("vit")],
  ["DINOv2: scales of what leaves a branch", tiny("dinov2")],
  ["DINOv2 with registers", withRegisters(tiny("dinov2"))],
  ["SigLIP: a learned token that asks all others", tiny("siglip_vision_model")],
  ["CLIP: a norm in front", tiny("clip_vision_model")],
])("%s", (_, model) => {
  test.each(["fused", "naive"] as const)("equals the reference with %s attention", async (attention) => {
    const random = seededRandom(5);
    const pixels = (12 / 4) ** 2 * 4 ** 2;
    const features = [0, 1].map(() =>
      Array.from({ length: 3 }, () => Float64Array.from({ length: pixels }, () => Math.fround(random() - 0.5))),
    );
    const engine = await open(model, attention, "all");
    for (const batch of [1, 2]) {
      const flat = Float32Array.from(features.slice(0, batch).flatMap((one) => one.flatMap((channel) => [...channel])));
      const ids = tokenIds(model, batch, 1);
      await expectAgreement(await inPieces(engine, ids, [1], ids, flat), model, ids, ids, features);
    }
    await engine.close();
  });
});

test("a vocabulary that is asked for changes nothing where there is none", () => {
  expect(scaled(tiny("vit"), { vocabulary: 1000 })).toEqual(tiny("vit"));
});
