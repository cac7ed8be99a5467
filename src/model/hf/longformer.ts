import type { ExtraWeight } from "../types.js";
import { tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";

/** attention_window: one number, or one per layer. */
export function attentionWindows(config: ConfigReader, layers: number): number[] {
  const raw = config.raw("attention_window");
  if (!Array.isArray(raw)) {
    const window = config.read("attention_window", tokenCount);
    return Array.from({ length: layers }, () => window);
  }
  return config.perLayer("attention_window", tokenCount, layers) ?? [];
}

/** Projections that global tokens have of their own. */
export const globalProjections = (hidden: number): ExtraWeight[] => [
  { name: "global_projections", shape: [3, hidden, hidden] },
  { name: "global_biases", shape: [3, hidden] },
];
