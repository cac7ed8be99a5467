import { expect, test } from "vitest";
import { readConfigFile } from "../../../test/reference/data.js";
import type { Ffn } from "../types.js";
import { readConfig } from "./read-config.js";

function networks(name: string, keys: object = {}): readonly Ffn[] {
  const { stacks } = readConfig({ ...readConfigFile("class-defaults", `${name}.json`), ...keys }, name, name);
  return stacks.at(-1)?.layers.flatMap(({ ffns }) => ffns) ?? [];
}

const bounded = { limit: 10, slope: 1, shift: 0 };

test("gpt-oss's experts have the limit of its file, or of its code", () => {
  expect(networks("gpt_oss")[0]).toMatchObject({ clamp: { limit: 7, slope: 1.702, shift: 1 } });
  expect(networks("gpt_oss", { swiglu_limit: 5 })[0]).toMatchObject({ clamp: { limit: 5, slope: 1.702, shift: 1 } });
});

test("DeepSeek-V4 bounds the shared expert too, HY 4 does not, and a limit of 0 is none", () => {
  expect(networks("deepseek_v4")[0]).toMatchObject({ clamp: bounded, shared: { clamp: bounded } });
  const sparse = networks("hy_v4").at(-1);
  expect(sparse).toMatchObject({ kind: "moe", clamp: bounded });
  expect(sparse?.kind === "moe" ? sparse.shared?.clamp : null).toBeUndefined();
  expect(networks("deepseek_v4", { swiglu_limit: 0 })[0]).not.toHaveProperty("clamp");
});
