import type { RotaryScaling } from "../types.js";
import type { ConfigReader } from "./config-reader.js";
import { type JsonObject, isObject } from "./json.js";

/** Kinds that say that nothing is scaled; sections of three axes are one axis in text. */
const plainKinds = new Set(["default", "mrope"]);

/** The object that says how rotary frequencies are scaled, and its kind; null where nothing does. */
export function scalingOf(
  sources: readonly unknown[],
): { readonly kind: string; readonly content: Readonly<Record<string, unknown>> } | null {
  for (const content of sources) {
    if (!isObject(content)) continue;
    const kind = content["rope_type"] ?? content["type"];
    if (typeof kind === "string" && !plainKinds.has(kind)) return { kind, content };
  }
  return null;
}

/** A scaling that depends on nothing but the config; null for others, and where a number is missing. */
export function readScaling(config: ConfigReader, parameters: JsonObject | null): RotaryScaling | null {
  const found = scalingOf([config.raw("rope_scaling"), parameters]);
  if (found === null) return null;
  const { kind, content } = found;
  const shown = kind.slice(0, 40);
  const scaling = scalingFrom(kind, content, config.raw("max_position_embeddings"));
  config.note(
    `rope scaling (${shown}) stretches the context and costs nothing${scaling === null ? "; it is left out" : ""}`,
  );
  return scaling;
}

function scalingFrom(kind: string, content: Readonly<Record<string, unknown>>, context: unknown): RotaryScaling | null {
  const number = (key: string, otherwise: number | null = null): number | null => {
    const value = content[key] ?? otherwise;
    return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : null;
  };
  const factor = number("factor");
  if (factor === null) return null;
  if (kind === "linear") return { kind, factor };
  const original = number("original_max_position_embeddings", typeof context === "number" ? context : null);
  if (original === null) return null;
  if (kind === "llama3") {
    const [low, high] = [number("low_freq_factor"), number("high_freq_factor")];
    return low === null || high === null || high <= low ? null : { kind, factor, low, high, original };
  }
  const [fast, slow] = [number("beta_fast", 32), number("beta_slow", 1)];
  if (kind !== "yarn" || fast === null || slow === null) return null;
  // The attention's own factor of DeepSeek's latent attention is part of its scale, and not read here.
  if (content["mscale"] !== undefined && content["mscale_all_dim"] !== content["mscale"]) return null;
  const plain = content["mscale"] === undefined ? 0.1 * Math.log(Math.max(1, factor)) + 1 : 1;
  const amplitude = number("attention_factor", plain);
  if (amplitude === null) return null;
  return { kind, factor, fast, slow, original, amplitude, whole: content["truncate"] !== false };
}
