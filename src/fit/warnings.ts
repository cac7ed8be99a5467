import { percent, significant, tokens } from "../base/format.js";
import type { HoldOut } from "./hold-out.js";
import { type JudgedLaw, misfitLevel } from "./judge.js";
import type { LawKind } from "./law.js";
import type { Bimodality } from "./bimodality.js";
import type { Pooled } from "./noise.js";
import type { Coefficients } from "./polynomial.js";
import { disagreement, disagreementReach, type WeakGround } from "./weak-ground.js";

export const fitWarningCodes = [
  "no-repeats",
  "few-lengths",
  "not-identifiable",
  "lack-of-fit",
  "hold-out-missed",
  "bend",
  "two-regimes",
  "laws-disagree",
  "drift",
  "outliers",
  "bimodal",
] as const;
export type FitWarningCode = (typeof fitWarningCodes)[number];

/** A reason to doubt, or to measure more. */
export interface FitWarning {
  readonly code: FitWarningCode;
  readonly message: string;
}

export interface WarningInput {
  readonly pooled: Pooled;
  readonly modes: Bimodality | null;
  readonly selected: JudgedLaw;
  readonly judged: readonly JudgedLaw[];
  readonly held: ReadonlyMap<LawKind, HoldOut>;
  readonly coefficients: Coefficients | null;
  /** Length that would settle whether there is a quadratic term. */
  readonly settles: number | null;
  /** Where and why the law stops being reliable although its interval is narrow. */
  readonly weak: WeakGround | null;
  readonly residuals: readonly { readonly n: number; readonly ratio: number }[];
  readonly to: number;
}

/** Share of outliers beyond which they are worth a word. */
const manyOutliers = 0.1;
/** Akaike weight from which another law's different answer is worth a word. */
const leastWeight = 0.1;

function repeats({ pooled }: WarningInput): FitWarning[] {
  if (!pooled.noise.assumed) return [];
  const noise = percent(pooled.noise.relative);
  return [{ code: "no-repeats", message: `too few repeats to measure the noise: ${noise} is assumed` }];
}

/** Further than this many times the longest length nobody asks for. */
const furthestAsked = 256;

function identifiability({ coefficients, settles, pooled, judged, weak, to }: WarningInput): FitWarning[] {
  const result: FitWarning[] = [];
  const from = pooled.centres[0]?.n ?? to;
  if (pooled.centres.length < 4) {
    const count = pooled.centres.length;
    result.push({
      code: "few-lengths",
      message: `only ${count} lengths: no law can be checked against them, measure at least 4`,
    });
  }
  // A line that was asked for leaves no square open.
  const asked = judged.some(({ law }) => law.kind === "quadratic");
  if (asked && coefficients !== null && coefficients.quadratic.low <= 0) {
    const advice =
      settles === null ? "no length within reach would settle it" : `measure up to about ${tokens(settles)}`;
    const range = `${tokens(from)} … ${tokens(to)}`;
    const hidden =
      weak?.code === "hidden-square" && weak.reliable < furthestAsked * to
        ? `; beyond ${tokens(Number(weak.reliable.toPrecision(2)))} a square that the samples do not rule out may make most of the time, so there they cannot tell`
        : "";
    result.push({
      code: "not-identifiable",
      message: `the quadratic term is not identifiable in ${range}; ${advice}${hidden}`,
    });
  }
  return result;
}

function misfit({ selected, residuals, held, to }: WarningInput): FitWarning[] {
  const result: FitWarning[] = [];
  if (selected.lackOfFit !== null && selected.lackOfFit < misfitLevel) {
    const worst = [...residuals].sort(
      (left, right) => Math.abs(Math.log(right.ratio)) - Math.abs(Math.log(left.ratio)),
    )[0];
    const where = worst === undefined ? "" : `, most at ${tokens(worst.n)} (${percent(worst.ratio - 1)})`;
    result.push({
      code: "lack-of-fit",
      message: `the ${selected.law.kind} law misses the measured lengths by ${percent(selected.discrepancy)} beyond the noise${where}: something bends that the law does not know; intervals are widened for it`,
    });
  }
  const hold = held.get(selected.law.kind);
  if (hold !== undefined && (hold.measured < hold.low || hold.measured > hold.high)) {
    result.push({
      code: "hold-out-missed",
      message: `fitted up to ${tokens(hold.from)} the ${selected.law.kind} law misses ${tokens(hold.n)} by ${percent(hold.error)}: it may miss lengths beyond ${tokens(to)} as well`,
    });
  }
  return result;
}

/** The local exponents between neighbouring lengths. */
function localExponents(pooled: Pooled): { from: number; to: number; exponent: number }[] {
  const { centres } = pooled;
  return centres.slice(1).map((right, i) => {
    const left = centres[i] ?? right;
    return { from: left.n, to: right.n, exponent: (right.logSeconds - left.logSeconds) / Math.log(right.n / left.n) };
  });
}

/** A quadratic that never leads inside the data rests on a bend that a cache or a kernel can make as well. */
function bend({ weak, coefficients, selected, pooled, to }: WarningInput): FitWarning[] {
  if (weak?.code !== "bend" || coefficients === null) return [];
  const share = (coefficients.quadratic.value * to * to) / selected.law.seconds(to);
  const exponents = localExponents(pooled);
  const [first] = exponents;
  const last = exponents.at(-1);
  const rise =
    first === undefined || last === undefined
      ? ""
      : ` (exponent ${significant(first.exponent)} at ${tokens(first.from)} … ${tokens(first.to)}, ${significant(last.exponent)} at ${tokens(last.from)} … ${tokens(last.to)})`;
  return [
    {
      code: "bend",
      message: `the time bends upward within the data${rise} but n² makes only ${percent(share)} of it at ${tokens(to)}: a cache left behind bends the same way, so beyond ${tokens(weak.reliable)} the samples cannot tell`,
    },
  ];
}

function regimes({ selected, weak, to }: WarningInput): FitWarning[] {
  if (selected.law.kind !== "two-regimes") return [];
  const place = tokens(Math.round(selected.law.parameters.switch ?? to));
  const limit = weak?.code === "two-regimes" ? `, and beyond ${tokens(weak.reliable)} the samples cannot tell` : "";
  return [
    {
      code: "two-regimes",
      message: `the law changes at about ${place}: only the lengths beyond it say what longer ones cost${limit}`,
    },
  ];
}

function rivals({ selected, judged, weak, to }: WarningInput): FitWarning[] {
  const n = to * disagreementReach;
  const own = selected.law.seconds(n);
  const doubted = weak?.code === "laws-disagree";
  const others = judged.filter(
    (one) => one !== selected && (one.weight >= leastWeight || (doubted && one.law.kind === "quadratic")),
  );
  const furthest = others.sort(
    (left, right) => Math.abs(Math.log(right.law.seconds(n) / own)) - Math.abs(Math.log(left.law.seconds(n) / own)),
  )[0];
  if (furthest === undefined) return [];
  const ratio = furthest.law.seconds(n) / own;
  if (Math.max(ratio, 1 / ratio) < disagreement) return [];
  const limit = doubted ? `, so beyond ${tokens(weak.reliable)} the samples cannot tell` : "";
  return [
    {
      code: "laws-disagree",
      message: `the ${furthest.law.kind} law explains the samples nearly as well and says ${significant(ratio)} times as much at ${tokens(n)}${limit}`,
    },
  ];
}

function drift({ pooled }: WarningInput): FitWarning[] {
  if (pooled.drift === null) return [];
  const { relative, blocks } = pooled.drift;
  const message = `the ${blocks} blocks differ by ${percent(relative)} as a whole: the machine's speed drifted, intervals are widened for it`;
  return [{ code: "drift", message }];
}

function scatter({ pooled, modes }: WarningInput): FitWarning[] {
  if (modes !== null) {
    return [
      {
        code: "bimodal",
        message: `the samples fall into two modes: ${percent(modes.share)} take ${significant(modes.ratio)} times as long as the rest; the law describes neither alone`,
      },
    ];
  }
  const samples = pooled.centres.reduce((sum, centre) => sum + centre.count, 0);
  const share = pooled.outliers.length / samples;
  if (pooled.outliers.length === 0 || share < manyOutliers) return [];
  const counts = `${pooled.outliers.length} of ${samples}`;
  return [
    { code: "outliers", message: `${percent(share)} of the samples are outliers (${counts}): the machine was busy` },
  ];
}

export function warningsOf(input: WarningInput): FitWarning[] {
  return [repeats, identifiability, misfit, bend, regimes, rivals, drift, scatter].flatMap((rule) => rule(input));
}
