import type { Span } from "../mixers.js";
import { SpecProblem } from "./problem.js";

/** One layer of a pattern. */
export interface PatternLayer {
  /** Mixers one after the other. */
  readonly mixers: readonly string[];
  /** What `(…)` says about the span of their attention; null where the mixer decides. */
  readonly span: Span | null;
  /** Names after `+`; null where the section decides. */
  readonly ffns: readonly string[] | null;
}

const mostLayers = 10_000;
const name = "[A-Za-z][A-Za-z0-9_-]*";
const names = `${name}(?:\\s*&\\s*${name})*`;
const itemPattern = new RegExp(
  `^(?:(\\d{1,5})\\s*[×*x]\\s*)?(${names})(?:\\s*\\(\\s*(full|window|chunk)\\s*(\\d{1,10})?\\s*\\))?(?:\\s*\\+\\s*(${names}))?$`,
);

/**
 * The layers of a pattern such as `3×local(window 1024), 1×global + moe`: items by comma, each a number of layers, the
 * names of mixers joined by `&`, a span in brackets, the names of FFNs after `+` (`none` for no FFN).
 *
 * @throws SpecProblem naming the item that cannot be read
 */
export function parsePattern(pattern: string): PatternLayer[] {
  const layers: PatternLayer[] = [];
  for (const item of pattern.split(",")) {
    const text = item.trim();
    const match = itemPattern.exec(text);
    if (match === null) {
      throw new SpecProblem("pattern", text, "expected 3×mixer(window 1024) + ffn, or parts of it, between commas");
    }
    const [, count = "1", mixers = "", kind, size, ffns] = match;
    const times = Number(count);
    if (times < 1 || layers.length + times > mostLayers) {
      throw new SpecProblem("pattern", text, `expected 1 to ${mostLayers} layers in all`);
    }
    const layer: PatternLayer = {
      mixers: listed(mixers),
      span: kind === undefined ? null : spanOf(kind, size, text),
      ffns: ffns === undefined ? null : listed(ffns).filter((ffn) => ffn !== "none"),
    };
    for (let time = 0; time < times; time += 1) layers.push(layer);
  }
  return layers;
}

function spanOf(kind: string, size: string | undefined, item: string): Span {
  if (kind === "full" && size === undefined) return { kind: "full" };
  const tokens = Number(size ?? 0);
  if ((kind !== "window" && kind !== "chunk") || tokens < 1 || tokens > 2 ** 31) {
    throw new SpecProblem("pattern", item, "expected (full), (window TOKENS) or (chunk TOKENS)");
  }
  return { kind, size: tokens };
}

function listed(text: string): string[] {
  return text.split("&").map((part) => part.trim());
}
