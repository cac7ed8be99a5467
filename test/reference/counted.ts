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
  "qwen4_exp-small.json prefill":
    "the reference scores the whole pools before each token only, and its rotary embedding shows at this size",
  "pegasus_x.json prefill": "the reference pads every second encoder layer by half a block on either side",
  "zaya.json prefill": "the reference projects one position more for the values of the token before",
};

/** Class defaults that the reference itself cannot count, and why. */
export const uncounted: Readonly<Record<string, string>> = {
  "dots1.json": "the class has no number of experts and cannot be built; with one it is counted below",
  "diffusion_gemma.json": "the class has no number of experts and cannot be built; with one it is counted below",
  "qwen4_exp.json": "the class has no sizes of its indexer and cannot be built; with them it is counted below",
  "lfm2_moe.json": "the class has no kinds of its layers and cannot be built",
  "t5gemma2_encoder.json": "the class is only built as a part of t5gemma2, counted below",
  "ministral.json": "the class has no head_dim and cannot be built; with hidden_size over heads it has as many",
  "hunyuan_v1_moe.json": "the class has no head_dim and cannot be built; with hidden_size over heads it has as many",
  "nemotron.json": "the class cannot be built: its configuration leaves the rotary embedding without a share",
  "dbrx.json": "the class does not read the configuration that it writes",
};

export const folders: readonly (readonly [ConfigFolder, string, string])[] = [
  ["configs", "parameters.csv", "flops.csv"],
  ["class-defaults", "class-defaults-parameters.csv", "class-defaults-flops.csv"],
  ["counted", "counted-parameters.csv", "counted-flops.csv"],
];

/** The model as the class that was counted reads it: a file that names no class, or no type, gets the row's. */
export function readAsCounted(folder: ConfigFolder, row: Readonly<Record<string, string>>): ModelDescription {
  const file = row["file"] ?? "";
  const config = readConfigFile(folder, file);
  const type = config["model_type"] ?? (file.startsWith("FacebookAI__roberta") ? "roberta" : undefined);
  return readConfig({ ...config, model_type: type, architectures: [row["class"]] }, file, file);
}
