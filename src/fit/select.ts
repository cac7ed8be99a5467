import { percent, tokens } from "../base/format.js";
import type { HoldOut } from "./hold-out.js";
import type { JudgedLaw } from "./judge.js";
import { lawKinds } from "./law.js";

/**
 * AICc that a law must win by before it replaces a simpler one. AICc alone takes a straight line for a quadratic in 4 to
 * 8 % of data sets.
 */
const selectionMargin = 3;

/** Why a law was not selected. */
export function reasonAgainst(one: JudgedLaw, selected: JudgedLaw, held: HoldOut | undefined): string {
  const delta = one.aicc - selected.aicc;
  const parts: string[] = [];
  if (delta > selectionMargin) parts.push(`AICc is ${delta.toFixed(1)} above ${selected.law.kind}`);
  else if (delta >= -selectionMargin) parts.push(`explains no more than ${selected.law.kind}, which is simpler`);
  if (held !== undefined && (held.measured < held.low || held.measured > held.high)) {
    parts.push(
      `fitted up to ${tokens(Math.round(held.from))} it misses ${tokens(Math.round(held.n))} by ${percent(held.error)}`,
    );
  }
  return parts.join("; ") || "less plausible";
}

/** The simplest law whose AICc is within the margin of the least. */
export function selectLaw(judged: readonly JudgedLaw[]): JudgedLaw | undefined {
  const least = Math.min(...judged.map((one) => one.aicc));
  const order = (one: JudgedLaw) => lawKinds.indexOf(one.law.kind);
  const plausible = judged.filter((one) => one.aicc <= least + selectionMargin || !Number.isFinite(least));
  return [...plausible].sort((left, right) => order(left) - order(right))[0];
}
