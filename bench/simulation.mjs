/**
 * Data sets with known laws, and how often the intervals of a fit contain the truth. Seeded; used by `npm run simulate`,
 * which makes the whole table of docs/statistics.md, and in thinned form by the tests.
 */

const reach = 8;

/**
 * @typedef {{lengths: number, repeats: number, noise: number, outliers: number}} Cell
 * @typedef {{n: number, seconds: number, block?: number}} Point
 * @typedef {{low: number, high: number | null}} Interval
 * @typedef {(n: number) => number} Curve
 * @typedef {import("../src/fit/basis-fit.js").Observation} Observation
 * @typedef {object} Truth
 * @property {string} kind law that a fit should find
 * @property {Curve} seconds
 * @property {readonly [number, number, number]} [coefficients]
 * @property {number | null} [crossover]
 * @property {readonly string[]} [within] laws beside those of its kind that have it as a special case
 * @property {"length" | "depth"} [axis] what the length is; new tokens where it is left out
 * @property {PhysicalCurve} [curve] for the physical law: its factors are drawn anew for each data set
 * @typedef {import("../src/fit/physical-curve.js").PhysicalCurve} PhysicalCurve
 */

/**
 * Laws to draw from.
 *
 * @type {Readonly<Record<string, Truth>>}
 */
export const truths = {
  linear: { kind: "linear", seconds: (n) => 0.02 + 1e-4 * n, coefficients: [0.02, 1e-4, 0], crossover: null },
  quadratic: {
    kind: "quadratic",
    seconds: (n) => 0.02 + 1e-4 * n + 5e-8 * n * n,
    coefficients: [0.02, 1e-4, 5e-8],
    crossover: (1e-4 + Math.sqrt(1e-8 + 4 * 5e-8 * 0.02)) / (2 * 5e-8),
  },
  "quadratic, weak": {
    kind: "quadratic",
    seconds: (n) => 0.02 + 1e-4 * n + 5e-9 * n * n,
    coefficients: [0.02, 1e-4, 5e-9],
    crossover: (1e-4 + Math.sqrt(1e-8 + 4 * 5e-9 * 0.02)) / (2 * 5e-9),
  },
  "quadratic alone": {
    kind: "quadratic",
    seconds: (n) => 1e-8 * n * n,
    coefficients: [0, 0, 1e-8],
    crossover: 0,
    within: ["power"],
  },
  power: { kind: "power", seconds: (n) => 2e-5 * n ** 1.5 },
  "n log n": { kind: "n-log-n", seconds: (n) => 0.02 + 2e-5 * n * Math.log2(n) },
  hinge: { kind: "hinge", seconds: (n) => 0.15 + 2e-4 * Math.max(0, n - 700) },
  steps: {
    kind: "steps",
    seconds: (n) => {
      const padded = 2 ** Math.ceil(Math.log2(n) - 1e-12);
      return 0.02 + 1e-4 * padded + 2e-8 * padded * padded;
    },
  },
  "two regimes": {
    kind: "two-regimes",
    seconds: (n) => (n <= 700 ? 0.02 + 1e-4 * n : 0.03 + 1.6e-4 * n + 2e-8 * n * n),
  },
  decode: {
    kind: "linear",
    axis: "depth",
    seconds: (c) => 0.02 + 2e-5 * c,
    coefficients: [0.02, 2e-5, 0],
    crossover: null,
  },
};

/**
 * The physical law of a model: data sets whose factors are drawn from what the law holds likely before any sample, and, where
 * its scale is free, in some unit that the fit does not know.
 *
 * @param {PhysicalCurve} curve @returns {Truth}
 */
export function physicalTruth(curve) {
  return { kind: "physical", seconds: () => Number.NaN, curve };
}

/** On a machine that nobody measured, what a unit of work costs changes by about this much per doubling of the length. */
const perDoubling = 0.05;

/**
 * One machine on which the model runs.
 *
 * @param {PhysicalCurve} curve @param {() => number} random
 */
function drawMachine({ components, scale }, random) {
  const unit = scale === "free" ? 1e-12 * Math.exp(normal(random)) : 1;
  const drift = scale === "free" ? perDoubling * normal(random) : 0;
  const factors = components.map(({ logSpread }) => Math.exp(logSpread * normal(random)));
  /** @type {Curve} */
  const seconds = (n) =>
    unit *
    Math.exp(drift * Math.log2(n)) *
    components.reduce((sum, one, k) => sum + (factors[k] ?? 1) * one.seconds(n), 0);
  return { factors, seconds };
}

/**
 * Laws that contain another as a special case are no rivals of it: no data could tell them apart.
 *
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const contains = {
  linear: ["quadratic", "hinge", "two-regimes", "steps"],
  quadratic: ["two-regimes", "steps"],
  power: ["two-regimes"],
  "n-log-n": ["two-regimes"],
  hinge: ["two-regimes"],
  steps: ["two-regimes"],
  "two-regimes": [],
};

export const designs = [
  { lengths: 6, repeats: 3 },
  { lengths: 8, repeats: 5 },
  { lengths: 12, repeats: 7 },
];
export const noises = [0.01, 0.02, 0.05];
export const outlierShares = [0, 0.05];

/**
 * Lengths spaced evenly on a log scale from 128 to 4096, as whole tokens.
 *
 * @param {number} count
 */
export function lengthsOf(count) {
  return Array.from({ length: count }, (_, i) => Math.round(128 * 32 ** (i / (count - 1))));
}

/** @param {() => number} random */
function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/**
 * One data set: multiplicative noise, and late outliers of at least 20 %.
 *
 * @param {Truth} truth @param {Cell} cell @param {() => number} random
 */
function draw(truth, { lengths, repeats, noise, outliers }, random) {
  /** @type {Point[]} */
  const points = [];
  for (let block = 0; block < repeats; block += 1) {
    for (const n of lengthsOf(lengths)) {
      const late = random() < outliers ? 1.2 - 0.5 * Math.log(1 - random()) : 1;
      points.push({ n, seconds: truth.seconds(n) * Math.exp(noise * normal(random)) * late, block });
    }
  }
  return points;
}

/**
 * How far the nearest of some laws stays from the noise-free truth, in standard errors at the measured length where it is
 * furthest; infinite without any law.
 *
 * @param {Observation[]} observations @param {readonly {seconds: Curve}[]} laws
 */
function nearest(observations, laws) {
  return Math.min(
    Number.POSITIVE_INFINITY,
    ...laws.map((law) =>
      Math.max(
        ...observations.map(
          ({ n, logSeconds, precision }) => Math.abs(logSeconds - Math.log(law.seconds(n))) * Math.sqrt(precision),
        ),
      ),
    ),
  );
}

/**
 * What a law has to be told from, in standard errors at a measured length: `laws`, the nearest of the other laws that the fit
 * chooses from and that do not contain it, and `answers`, the nearest law that gives a plainly different answer at 8×. For a
 * straight line that is the quadratic whose square there makes half of the time; for a quadratic whose square makes less
 * than half of the time at the longest length, a bend as machines make it. `apart` is how far all lengths together are from
 * that nearest law: by the lemma of Neyman and Pearson a rule that knew the noise and both laws, and let itself be fooled by
 * the other in 5 % of the data sets, would tell the truth in Φ(apart − 1.645) of them and no rule in more.
 *
 * @param {Truth} truth @param {Cell} cell
 * @param {{
 *   lawFitters: typeof import("../src/fit/laws.js").lawFitters,
 *   bendsOf: typeof import("../src/fit/bend.js").bendsOf,
 *   fitBasis: typeof import("../src/fit/basis-fit.js").fitBasis,
 *   valueOf: typeof import("../src/fit/basis-fit.js").valueOf,
 * }} fit
 */
export function distancesOf(truth, { lengths, repeats, noise }, { lawFitters, bendsOf, fitBasis, valueOf }) {
  const observations = lengthsOf(lengths).map((n) => ({
    n,
    logSeconds: Math.log(truth.seconds(n)),
    precision: repeats / noise ** 2,
  }));
  const others = Object.entries(lawFitters).flatMap(([kind, fitter]) => {
    const same = kind === truth.kind || contains[truth.kind]?.includes(kind) || truth.within?.includes(kind);
    return same ? [] : (fitter(observations) ?? []);
  });
  const longest = observations.at(-1)?.n ?? 1;
  const target = longest * reach;
  /** @type {import("../src/fit/basis-fit.js").BasisFit[]} */
  const different = [];
  if (truth.kind === "linear" && truth.axis !== "depth") {
    different.push(fitBasis((n) => [1 + (n / target) ** 2, n + n ** 2 / target], observations));
  }
  const [, , square = 0] = truth.coefficients ?? [];
  if (truth.kind === "quadratic" && square * longest ** 2 < truth.seconds(longest) / 2) {
    different.push(...bendsOf(observations));
  }
  return {
    laws: nearest(observations, others),
    answers: nearest(
      observations,
      different.map((one) => ({ seconds: (n) => valueOf(one, n) })),
    ),
    apart: Math.min(Number.POSITIVE_INFINITY, ...different.map(({ chiSquare }) => Math.sqrt(chiSquare))),
  };
}

/** @param {number} value @param {Interval} interval */
const within = (value, interval) => value >= interval.low && (interval.high === null || value <= interval.high);

/**
 * Fit `count` data sets of one cell and count.
 *
 * @param {Truth} truth @param {Cell} cell @param {number} count @param {() => number} random
 * @param {Statistics} statistics
 *
 * @typedef {object} Statistics
 * @property {typeof import("../src/fit/fit-law.js").fitLaw} fitLaw
 * @property {typeof import("../src/fit/physical.js").fitPhysical} fitPhysical
 * @property {typeof import("../src/math/median.js").median} median
 */
export function simulateCell(truth, cell, count, random, { fitLaw, fitPhysical, median }) {
  const longest = lengthsOf(cell.lengths).at(-1) ?? 1;
  const target = longest * reach;
  const covered = { constant: 0, linear: 0, quadratic: 0, crossover: 0, factors: 0, reach: 0 };
  const coefficientCount = { made: 0, crossover: 0, factors: 0 };
  /** @type {number[]} */
  const widths = [];
  let selected = 0;
  let calledQuadratic = 0;
  let cannotTell = 0;
  let unbounded = 0;
  /** @param {import("../src/fit/fit-law.js").LawPrediction} prediction @param {number} seconds */
  const countReach = (prediction, seconds) => {
    if (within(seconds, prediction)) covered.reach += 1;
    if (!prediction.canTell) cannotTell += 1;
    widths.push(Math.sqrt(prediction.high / prediction.low) - 1);
  };
  const { curve } = truth;
  const axis = truth.axis ?? "length";
  for (let i = 0; i < count; i += 1) {
    if (curve !== undefined) {
      const machine = drawMachine(curve, random);
      const fit = fitPhysical(curve, draw({ ...truth, seconds: machine.seconds }, cell, random));
      countReach(fit.predict(target), machine.seconds(target));
      // With a free scale a factor means something only beside the others.
      if (curve.scale === "free") continue;
      coefficientCount.factors += machine.factors.length;
      machine.factors.forEach((factor, k) => {
        const efficiency = fit.law.efficiencies[k];
        if (efficiency !== undefined && within(factor, efficiency)) covered.factors += 1;
      });
      continue;
    }
    const fit = fitLaw(draw(truth, cell, random), { axis });
    if (fit.law.kind === truth.kind) selected += 1;
    if (fit.law.kind === "quadratic") calledQuadratic += 1;
    countReach(fit.predict(target), truth.seconds(target));
    if (truth.coefficients === undefined || fit.law.coefficients === null) continue;
    coefficientCount.made += 1;
    const { constant, linear, quadratic } = fit.law.coefficients;
    const [trueConstant, trueLinear, trueQuadratic] = truth.coefficients;
    if (within(trueConstant, constant)) covered.constant += 1;
    if (within(trueLinear, linear)) covered.linear += 1;
    if (within(trueQuadratic, quadratic)) covered.quadratic += 1;
    if (truth.crossover == null || fit.crossover === null) continue;
    coefficientCount.crossover += 1;
    if (fit.crossover.high === null) unbounded += 1;
    if (within(truth.crossover, fit.crossover)) covered.crossover += 1;
  }
  /** @param {number} value @param {number} of */
  const share = (value, of) => (of === 0 ? null : value / of);
  return {
    count,
    selected: curve === undefined ? selected / count : null,
    calledQuadratic: calledQuadratic / count,
    constant: share(covered.constant, coefficientCount.made),
    linear: share(covered.linear, coefficientCount.made),
    quadratic: share(covered.quadratic, coefficientCount.made),
    crossover: share(covered.crossover, coefficientCount.crossover),
    unbounded: share(unbounded, coefficientCount.crossover),
    factors: share(covered.factors, coefficientCount.factors),
    reach: covered.reach / count,
    width: median(widths),
    cannotTell: cannotTell / count,
  };
}
