import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { type ConfigFolder, readConfigFile } from "./data.js";

/** Where the reference's number is not the model's, and why. */
export const otherParameters: Readonly<Record<string, string>> = {
  "stepfun-ai__Step-3.7-Flash.json": "the reference's class ignores keys on the top level and counts its defaults",
  "stepfun-ai__Step-3.7-Flash-FP8.json": "the reference's class ignores keys on the top level and counts its defaults",
  "longcat_flash.json": "the reference allocates gate and up projections for the idle experts too",
};

export const otherFlops: Readonly<Record<string, string>> = {
  "google__recurrentgemma-2b.json decode": "the reference keeps no keys and values from step to step here",
  "recurrent_gemma.json decode": "the reference keeps no keys and values from step to step here",
  "MiniMaxAI__MiniMax-M3.json prefill": "the reference's class ignores keys on the top level and takes its defaults",
  "pegasus_x.json prefill": "the reference pads every second encoder layer by half a block on either side",
  "zaya.json prefill": "the reference projects one position more for the values of the token before",
};

export const folders: readonly (readonly [ConfigFolder, string, string])[] = [
  ["configs", "parameters.csv", "flops.csv"],
  ["class-defaults", "class-defaults-parameters.csv", "class-defaults-flops.csv"],
];

/** The model as the class that was counted reads it: a file that names no class, or no type, gets the row's. */
export function readAsCounted(folder: ConfigFolder, row: Readonly<Record<string, string>>): ModelDescription {
  const file = row["file"] ?? "";
  const config = readConfigFile(folder, file);
  const type = config["model_type"] ?? (file.startsWith("FacebookAI__roberta") ? "roberta" : undefined);
  return readConfig({ ...config, model_type: type, architectures: [row["class"]] }, file, file);
}
