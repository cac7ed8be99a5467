import { readConfig } from "../hf/read-config.js";
import type { ModelDescription } from "../types.js";
import { denseConfigs } from "./dense.js";
import { mixedConfigs } from "./mixed.js";

const builtInConfigs = { ...denseConfigs, ...mixedConfigs };

/** Names of the models that work without a file. */
export function builtInNames(): string[] {
  return Object.keys(builtInConfigs);
}

/** A built-in model by name, capital letters aside; null where there is none. */
export function builtInModel(name: string): ModelDescription | null {
  const wanted = name.toLowerCase();
  const found = builtInNames().find((known) => known.toLowerCase() === wanted);
  return found === undefined ? null : readConfig(builtInConfigs[found], `built-in ${found}`, found);
}
