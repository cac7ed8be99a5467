import { percent } from "../base/format.js";
import type { HoldOut } from "./hold-out.js";
import type { JudgedLaw } from "./judge.js";
import { type LawKind, lawKinds } from "./law.js";

/**
 * AICc that a law must win by before it replaces a simpler one. AICc alone takes a straight line for a quadratic in 4 to
 * 8 % of data sets.
 */
const selectionMargin = 3;

export interface Selection {
  readonly selected: JudgedLaw | undefined;
  /** Why each of the others was not selected. */
  readonly reasons: ReadonlyMap<LawKind, string>;
}

function reasonFor(one: JudgedLaw, selected: JudgedLaw, held: HoldOut | undefined): string {
  const delta = one.aicc - selected.aicc;
  const parts: string[] = [];
  if (delta > selectionMargin) parts.push(`AICc is ${delta.toFixed(1)} above ${selected.law.kind}`);
  else if (delta >= -selectionMargin) parts.push(`explains no more than ${selected.law.kind}, which is simpler`);
  if (held !== undefined && (held.measured < held.low || held.measured > held.high)) {
    parts.push(`fitted up to ${held.from} it misses ${held.n} by ${percent(held.error)}`);
  }
  return parts.join("; ") || "less plausible";
}

/** The simplest law whose AICc is within the margin of the least. */
export function selectLaw(judged: readonly JudgedLaw[], held: ReadonlyMap<LawKind, HoldOut>): Selection {
  const least = Math.min(...judged.map((one) => one.aicc));
  const order = (one: JudgedLaw) => lawKinds.indexOf(one.law.kind);
  const plausible = judged.filter((one) => one.aicc <= least + selectionMargin || !Number.isFinite(least));
  const selected = [...plausible].sort((left, right) => order(left) - order(right))[0];
  const reasons = new Map<LawKind, string>();
  if (selected === undefined) return { selected, reasons };
  for (const one of judged) {
    if (one !== selected) reasons.set(one.law.kind, reasonFor(one, selected, held.get(one.law.kind)));
  }
  return { selected, reasons };
}
