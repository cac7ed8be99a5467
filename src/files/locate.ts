import { badInput } from "../base/errors.js";
import type { Access } from "./access.js";
import type { ByteSource } from "./byte-source.js";
import { hubFile, isHubId } from "./hub.js";
import { isAddress, urlSource } from "./url-source.js";

/** A model file that was found, and what to call the model. */
export interface Located {
  readonly source: ByteSource;
  /** Name of the folder, the file or the hub model. */
  readonly name: string;
}

const configFile = "config.json";

/**
 * Finds the file that describes a model: an address; a file; a folder with a config.json; a Hugging Face hub model
 * `organisation/name`. A path that exists is preferred to a hub model of the same name.
 *
 * @param alternatives said in the error when nothing is found, e.g. the built-in names
 * @throws bad input when there is no such file, or a folder has no config.json
 */
export async function locate(location: string, access: Access, alternatives = ""): Promise<Located> {
  if (isAddress(location)) return { source: urlSource(location, access), name: nameOf(location) };
  const files = access.fileSystem;
  const kind = files === null ? null : await files.kindOf(location);
  if (files !== null && kind === "file") return { source: await files.open(location), name: nameOf(location) };
  if (files !== null && kind === "folder") {
    const path = `${location.replace(/[\\/]+$/, "")}/${configFile}`;
    if ((await files.kindOf(path)) !== "file") {
      throw badInput("no-config", { where: location, key: configFile, expected: "a model folder holds one" });
    }
    return { source: await files.open(path), name: nameOf(path) };
  }
  if (kind === "other") {
    throw badInput("not-a-file", { where: location, expected: "expected a file or a folder" });
  }
  if (isHubId(location)) return { source: urlSource(hubFile(location, configFile), access), name: location };
  throw badInput("not-found", {
    where: location,
    expected: `no such file or folder${alternatives === "" ? "" : `, nor ${alternatives}`}`,
  });
}

/** `SmolLM2-135M` of `/models/SmolLM2-135M/config.json` and of `SmolLM2-135M.json`. */
export function nameOf(location: string): string {
  const parts = (isAddress(location) ? location.replace(/[?#].*$/, "") : location)
    .split(/[\\/]/)
    .filter((part) => part !== "" && part !== ".");
  const last = parts.at(-1) ?? location;
  const folder = parts.at(-2);
  if (last === configFile && folder !== undefined && folder !== "..") return folder;
  return last.replace(/\.(json|gguf|ya?ml|safetensors)$/i, "");
}
