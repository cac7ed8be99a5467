import type { ByteSource } from "../files/byte-source.js";
import { readText } from "../files/byte-source.js";
import type { Access } from "../files/access.js";
import { locate } from "../files/locate.js";
import { builtInNames, builtInModel } from "./builtin/models.js";
import { parseJsonObject } from "./hf/json.js";
import { readConfig } from "./hf/read-config.js";
import type { ModelDescription } from "./types.js";

/** Longest configuration file that is read; the largest real one, with lists of quantised modules, has 0.4 MB. */
const longestConfig = 16 * 1024 * 1024;

/**
 * A model by name or place. In this order: a built-in name; an address; a file; a folder with a config.json; a model
 * of the Hugging Face hub (`organisation/name`). A built-in name always means the built-in model, whatever lies in the
 * working folder: write `./SmolLM2-135M` for a folder of that name.
 *
 * @throws bad input in one line when there is nothing there or what is there cannot be right
 */
export async function loadModel(location: string, access: Access): Promise<ModelDescription> {
  const builtIn = builtInModel(location);
  if (builtIn !== null) return builtIn;
  const { source, name } = await locate(location, access, `a built-in model (${builtInNames().join(", ")})`);
  return readModel(source, name);
}

/** The description in a file: a Hugging Face config.json. */
export async function readModel(source: ByteSource, name: string): Promise<ModelDescription> {
  const text = await readText(source, longestConfig);
  return readConfig(parseJsonObject(text, source.name), source.name, name);
}
