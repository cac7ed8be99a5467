import type { JsonObject } from "../json.js";

/** Class defaults by model_type. */
export type ClassDefaults = Readonly<Record<string, JsonObject>>;
