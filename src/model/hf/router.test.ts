import { expect, test } from "vitest";
import { readConfigFile } from "../../../test/reference/data.js";
import type { MoeFfn } from "../types.js";
import { readConfig } from "./read-config.js";

function routerOf(folder: "configs" | "class-defaults", name: string): MoeFfn["router"] {
  const { stacks } = readConfig(readConfigFile(folder, `${name}.json`), name, name);
  const ffns = stacks.at(-1)?.layers.flatMap((layer) => layer.ffns) ?? [];
  return ffns.find((ffn) => ffn.kind === "moe")?.router;
}

test.each([
  ["configs", "deepseek-ai__DeepSeek-V3", { scores: "sigmoid", normalised: true, scale: 2.5 }],
  ["configs", "deepseek-ai__DeepSeek-V4-Flash", { scores: "sqrtsoftplus", normalised: true, scale: 1.5 }],
  ["configs", "zai-org__GLM-4.5", { scores: "sigmoid", normalised: true, scale: 2.5 }],
  ["class-defaults", "deepseek_v2", { scores: "softmax", normalised: false, scale: 1 }],
  ["class-defaults", "mixtral", undefined],
] as const)("%s/%s says how scores become weights", (folder, name, router) => {
  expect(routerOf(folder, name)).toEqual(router);
});
