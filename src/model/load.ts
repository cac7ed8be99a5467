import { NsquaredError, badInput } from "../base/errors.js";
import { nearestNames } from "../base/names.js";
import type { Access } from "../files/access.js";
import { type OpenBeside, beside } from "../files/beside.js";
import { type ByteSource, readText } from "../files/byte-source.js";
import { locate } from "../files/locate.js";
import { isAddress } from "../files/url-source.js";
import { builtInModel, builtInNames } from "./builtin/models.js";
import { type JsonObject, isObject, parseJsonObject } from "./hf/json.js";
import { quantisationPlaces } from "./hf/quantisation/read.js";
import { type ReadOptions, readConfig } from "./hf/read-config.js";
import { logicalWeights } from "./safetensors/logical.js";
import { readSafetensors } from "./safetensors/header.js";
import { type FoundWeights, findSafetensors, readIndex } from "./safetensors/stored.js";
import { type LoadedModel, storedWeights } from "./stored.js";

/** Longest configuration file that is read; the largest real one, with lists of quantised modules, has 0.4 MB. */
const longestConfig = 16 * 1024 * 1024;

/**
 * A model by name or place. In this order: a built-in name; an address; a file; a folder with a config.json; a model
 * of the Hugging Face hub (`organisation/name`). A built-in name always means the built-in model, whatever lies in the
 * working folder: write `./SmolLM2-135M` for a folder of that name.
 *
 * The file is a Hugging Face config.json, a GGUF file, a hand-written spec, or safetensors (or their index) with a config.json beside them.
 * Weights beside a config on this machine are counted from their headers.
 *
 * @throws bad input in one line when there is nothing there or what is there cannot be right
 */
export async function loadModel(location: string, access: Access, options: ReadOptions = {}): Promise<LoadedModel> {
  const builtIn = builtInModel(location);
  if (builtIn !== null) return builtIn;
  const { source, name } = await locate(location, access, alternativesTo(location));
  const open = beside(source.name, access);
  const format = await formatOf(source);
  if (format === "safetensors" || format === "safetensors-index") {
    const found =
      format === "safetensors"
        ? { stored: storedWeights(source.name, await readSafetensors(source)), notes: [] }
        : await readIndex(source, open);
    const config = await open("config.json");
    if (config === null) {
      throw badInput("no-config", {
        where: source.name,
        key: "config.json beside it",
        expected: "weights alone do not say how a model attends",
      });
    }
    return withWeights(await readWritten(config, name, options, open), found);
  }
  if (format === "gguf") return (await ggufs()).readGguf(source, name, open, options);
  const model = await readWritten(source, name, options, open);
  const local = !isAddress(source.name) && isConfig(source);
  return local ? withWeights(model, await countedBeside(open)) : model;
}

/** What a place that is nowhere may have been meant for: a built-in model, unless it is plainly a path. */
function alternativesTo(location: string): string {
  if (/[\\/]|\.(?:json|gguf|ya?ml|safetensors)$/i.test(location)) return "";
  const near = nearestNames(location, builtInNames());
  const guess = near.length === 0 ? "" : `: perhaps ${near.join(", ")}?`;
  return `a built-in model${guess} (${builtInNames().join(", ")})`;
}

/** A config says enough by itself: weights beside it that cannot be counted are worth a note only. */
async function countedBeside(open: OpenBeside): Promise<FoundWeights> {
  try {
    return await findSafetensors(open);
  } catch (cause) {
    if (!(cause instanceof NsquaredError)) throw cause;
    return { stored: null, notes: [`the weights beside the config are not counted: ${cause.message}`] };
  }
}

/** The description in a file: a Hugging Face config.json, a GGUF file or a hand-written spec. */
export async function readModel(source: ByteSource, name: string, options: ReadOptions = {}): Promise<LoadedModel> {
  if ((await formatOf(source)) === "gguf") return (await ggufs()).readGguf(source, name, undefined, options);
  return readWritten(source, name, options);
}

/** The description in a file of text. */
async function readWritten(
  source: ByteSource,
  name: string,
  options: ReadOptions,
  open?: OpenBeside,
): Promise<LoadedModel> {
  const text = await readText(source, longestConfig);
  if (/\.ya?ml$/i.test(pathOf(source))) {
    const { parseSpecText, readSpec } = await specs();
    return readSpec(parseSpecText(text, source.name), source.name, name);
  }
  const value = parseJsonObject(text, source.name);
  if (isSpec(value)) {
    const { readSpec } = await specs();
    return readSpec(value, source.name, name);
  }
  const formats = isConfig(source) ? await quantisedBeside(value, source.name, open) : null;
  const section = formats?.section ?? null;
  const config = section === null ? value : { ...value, quantization_config: section };
  const model = readConfig(config, source.name, name, options);
  return formats === null ? model : { ...model, notes: [...model.notes, formats.note] };
}

function isConfig(source: ByteSource): boolean {
  return /(^|[\\/])config\.json$/.test(pathOf(source));
}

/** What modelopt writes beside a config that says nothing of number formats itself (hf_quant_config.json). */
async function quantisedBeside(
  config: JsonObject,
  place: string,
  open: OpenBeside | undefined,
): Promise<{ readonly section: JsonObject | null; readonly note: string } | null> {
  const parts = [config, config["text_config"]].filter(isObject);
  if (open === undefined || parts.some((part) => quantisationPlaces.some((key) => part[key] !== undefined)))
    return null;
  try {
    const source = await open("hf_quant_config.json");
    if (source === null) return null;
    const said = parseJsonObject(await readText(source, longestConfig), source.name)["quantization"];
    const section = isObject(said) ? { quant_method: "modelopt", ...said } : null;
    return section === null ? null : { section, note: `number formats from ${source.name}` };
  } catch (cause) {
    if (!(cause instanceof NsquaredError) || !isAddress(place)) throw cause;
    if (cause.code === "not-found") return null;
    // A server that fails is no word on the formats; the config says all else.
    return {
      section: null,
      note: `number formats are the config's own: those beside it cannot be read (${cause.message})`,
    };
  }
}

/** What reads one kind of file is loaded where there is one: all other models start faster. */
const ggufs = () => import("./gguf/read-gguf.js");
const specs = () => import("./spec/read-spec.js");

/** Whether a parsed file says that it is a hand-written spec. */
function isSpec(value: object): boolean {
  return "schema" in value && typeof value.schema === "string" && value.schema.startsWith("nsquared/spec");
}

function withWeights(model: LoadedModel, { stored, notes }: FoundWeights): LoadedModel {
  const { storage } = model;
  if (stored === null || storage?.kind !== "quantised") {
    return { ...model, notes: [...model.notes, ...notes], ...(stored === null ? {} : { stored }) };
  }
  const logical = logicalWeights(stored, storage);
  return { ...model, notes: [...model.notes, ...notes, logical.note], stored: logical.stored };
}

type Format = "gguf" | "safetensors" | "safetensors-index" | "text";

/** By the ending of the name; a file of another name on this machine is GGUF if it begins so. */
async function formatOf(source: ByteSource): Promise<Format> {
  const path = pathOf(source);
  if (/\.gguf$/i.test(path)) return "gguf";
  if (/\.safetensors$/i.test(path)) return "safetensors";
  if (/\.safetensors\.index\.json$/i.test(path)) return "safetensors-index";
  if (isAddress(source.name) || /\.(json|ya?ml)$/i.test(path)) return "text";
  return String.fromCharCode(...(await source.read(0, 4))) === "GGUF" ? "gguf" : "text";
}

/** The name without what an address asks of its server. */
function pathOf({ name }: ByteSource): string {
  return isAddress(name) ? name.replace(/[?#].*$/, "") : name;
}
