import type { Dtype } from "../../../base/units.js";
import type { ConfigReader } from "../config-reader.js";
import { type JsonObject, isObject } from "../json.js";
import type { QuantisedStorage } from "../../storage.js";
import { patternsOf } from "../../module-pattern.js";
import { methods } from "./methods.js";
import { Section } from "./section.js";

/** What a file says of the bits of its weights and of its cache. */
export interface Quantisation {
  readonly storage?: QuantisedStorage;
  readonly cache?: Dtype;
}

/** Where configs have it: at the top, in the language model's part, under its former name, under MLX's. */
export const quantisationPlaces = ["quantization_config", "compression_config", "quantization"] as const;

/**
 * The number formats of a checkpoint that was published quantised. A method or scheme that is not known leaves the
 * weights in the file's plain dtype, with a note.
 *
 * @throws bad input when a value in it cannot be right
 */
export function readQuantisation(whole: JsonObject, text: JsonObject, keys: ConfigReader): Quantisation {
  keys.ignore(...quantisationPlaces);
  const [place, config] =
    [whole, text].flatMap((part) => quantisationPlaces.flatMap((key) => placed(key, part[key])))[0] ?? [];
  if (place === undefined || config === undefined) return {};
  const section = new Section(keys.where, place, config);
  const method = methodOf(section, place);
  const make = Object.hasOwn(methods, method) ? methods[method] : undefined;
  const experts = typeof text["expert_dtype"] === "string" ? text["expert_dtype"] : null;
  const made = make?.(section, experts) ?? null;
  keys.ignore("expert_dtype");
  const cache = cacheOf(section);
  if (made === null) {
    keys.note(`${place} (${method}) is not understood: weights are taken in the dtype that the file names`);
    return cache === null ? {} : { cache };
  }
  const refused = made.rules.flatMap(({ modules }) => patternsOf(modules).refused);
  if (refused.length > 0) {
    keys.note(
      `${place}: patterns of modules that are not understood name none here: ${refused.slice(0, 5).join(", ")}`,
    );
  }
  if (cache !== null) keys.note(`keys and values in ${cache}, as ${place} has them`);
  return { storage: { kind: "quantised", method, ...made }, ...(cache === null ? {} : { cache }) };
}

function placed(key: string, value: unknown): [string, JsonObject][] {
  return isObject(value) ? [[key, value]] : [];
}

/** `quant_method`; files of modelopt and MLX that name none are known by their keys. */
function methodOf(section: Section, place: string): string {
  const named = section.word("quant_method");
  if (named !== null) return named;
  if (section.has("quant_algo") || section.has("quantized_layers")) return "modelopt";
  if (section.has("config_groups")) return "compressed-tensors";
  if (section.has("load_in_4bit") || section.has("load_in_8bit")) return "bitsandbytes";
  return place === "quantization" || (section.has("bits") && section.has("group_size")) ? "mlx" : "unnamed method";
}

/** `kv_cache_scheme` of compressed-tensors and modelopt, or its older `kv_cache_quant_algo`: 8 bits or nothing. */
function cacheOf(section: Section): Dtype | null {
  const scheme = section.raw("kv_cache_scheme") ?? section.raw("kv_cache_quant_algo");
  if (typeof scheme === "string") return scheme.toUpperCase() === "FP8" ? "float8" : null;
  if (!isObject(scheme) || scheme["num_bits"] !== 8) return null;
  return scheme["type"] === "float" ? "float8" : "int8";
}
