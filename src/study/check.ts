import { badInput } from "../base/errors.js";
import { percent, scientific, seconds, significant, tokens } from "../base/format.js";
import type { Coefficients, Estimate, LawFit } from "../fit/index.js";
import { studentQuantile } from "../math/distributions.js";
import type { SampleSet } from "../runs/import/types.js";
import { type MachineChange, doubtsOf, machineChange, machineText } from "./check-machine.js";
import type { CheckDocument, CheckFinding } from "./documents/check.js";
import { polynomialOf, type RunFit } from "./fit.js";
import { chooseSeries, fitSeries } from "./fit-samples.js";
import type { MeasuredPhase } from "./measure.js";
import { modelText } from "./run-model.js";

/** A latency wanted: `ttft@32k<5s`. */
export interface LatencyLimit {
  readonly text: string;
  readonly phase: MeasuredPhase;
  /** The length: new tokens of a prefill, the context of a decode step. */
  readonly n: number;
  readonly seconds: number;
}

export interface CheckOptions {
  readonly baseline?: SampleSet;
  readonly limits?: readonly LatencyLimit[];
  /** One phase only; every phase that both have where it is left out. */
  readonly phase?: MeasuredPhase;
  /** Level of all intervals. Default 0.99: three coefficients and the curve are looked at, and a gate should rarely cry wolf. */
  readonly level?: number;
  /** Share of the time below which a change is no reason to fail. Default 0.03: what runs differ by on a quiet machine. */
  readonly tolerance?: number;
  readonly assumedNoise?: number;
  /** Whether "cannot tell" fails too. */
  readonly strict?: boolean;
}

const defaultLevel = 0.99;
const defaultTolerance = 0.03;

/** Fields whose difference makes a comparison meaningless, and those that only make it doubtful. */
const sameModel = ["model.digest", "model", "model_id", "model_name", "model_filename", "model_type"];
const doubtful = ["machine", "host", "hardware", "device", "gpu", "gpus", "cpu", "cpu_info", "gpu_info"];

/**
 * Whether a run got slower than its baseline, or misses a latency, beyond noise: a gate on the coefficients of the law and on
 * the whole curve, never on one length.
 *
 * @throws NsquaredError `nothing-to-check`, `model-differs`, and what reading and fitting throw
 */
export function checkSamples(current: SampleSet, options: CheckOptions): CheckDocument {
  const { baseline, limits = [], tolerance = defaultTolerance, level = defaultLevel, strict = false } = options;
  if (baseline === undefined && limits.length === 0) {
    throw badInput("nothing-to-check", {
      where: current.path,
      key: "--baseline",
      expected: 'name a run to compare with, or a latency with --limit "ttft@32k<5s"',
    });
  }
  const statistics = {
    level,
    ...(options.assumedNoise === undefined ? {} : { assumedNoise: options.assumedNoise }),
  };
  const fitOf = (set: SampleSet, phase: MeasuredPhase): RunFit => fitSeries(chooseSeries(set, { phase }), statistics);
  const warnings: CheckDocument["warnings"] = [];
  const findings: CheckFinding[] = [];
  if (baseline !== undefined) {
    warnings.push(...comparable(current, baseline), ...doubtsOf(current, baseline));
    const machine = machineChange(current, baseline);
    for (const phase of sharedPhases(current, baseline, options.phase)) {
      const pair = { phase, run: fitOf(current, phase).blind, base: fitOf(baseline, phase).blind, machine };
      const curve = curveFinding(pair, tolerance, level);
      const own = [...coefficientFindings(pair, tolerance, level), ...curve];
      findings.push(...own);
      if (own.every(({ verdict }) => verdict !== "fail")) warnings.push(...curve.flatMap(hiddenChange));
    }
  }
  for (const limit of limits) findings.push(limitFinding(limit, fitOf(current, limit.phase).blind));
  const failed = findings.some(({ verdict }) => verdict === "fail" || (strict && verdict === "cannot-tell"));
  return {
    schema: "nsquared/check@1",
    run: current.path,
    baseline: baseline?.path ?? null,
    model: current.model ?? "unnamed model",
    level,
    tolerance,
    passed: !failed,
    findings,
    warnings,
  };
}

/** @throws NsquaredError `model-differs` */
function comparable(current: SampleSet, baseline: SampleSet): CheckDocument["warnings"] {
  const different = (field: string) => {
    const [left, right] = [current.identity[field], baseline.identity[field]];
    return left !== undefined && right !== undefined && left !== right;
  };
  const model = sameModel.find(different);
  if (model !== undefined) {
    const told = (set: SampleSet) => (set.run === null ? set.identity[model] : modelText(set.run.model)) ?? "";
    const [left, right] = [told(current), told(baseline)];
    const alike = left === right ? `, of the same name but with other layers or sizes (${model} differs)` : "";
    throw badInput("model-differs", {
      where: current.path,
      key: "model",
      found: left,
      expected: `the baseline ${baseline.path} has ${right}${alike}; compare a model with itself`,
    });
  }
  return doubtful.filter(different).map((field) => ({
    code: "machine-differs",
    message: `${field} is ${current.identity[field] ?? ""} here and ${baseline.identity[field] ?? ""} in the baseline: the difference may be the machine's`,
  }));
}

function sharedPhases(current: SampleSet, baseline: SampleSet, asked: MeasuredPhase | undefined): MeasuredPhase[] {
  if (asked !== undefined) return [asked];
  const usable = (set: SampleSet): ReadonlySet<MeasuredPhase> => {
    const phases = new Set(set.series.filter(({ lengths }) => lengths > 1).map(({ phase }) => phase));
    if (phases.size > 0) return phases;
    throw badInput("one-length", {
      where: set.path,
      key: "lengths",
      found: set.series[0]?.lengths ?? 0,
      expected: "coefficients need samples of two lengths at least, better four",
    });
  };
  const here = usable(current);
  const there = usable(baseline);
  const shared = [...here].filter((phase) => there.has(phase));
  if (shared.length > 0) return shared;
  throw badInput("nothing-to-check", {
    where: current.path,
    key: "phase",
    found: [...here].join(", "),
    expected: `a phase that the baseline has with two lengths or more: ${[...there].join(", ")}`,
  });
}

interface Pair {
  readonly phase: MeasuredPhase;
  readonly run: LawFit;
  readonly base: LawFit;
  /** How much slower the machine itself was; null where nobody knows. */
  readonly machine: MachineChange | null;
}

function unsteady(machine: MachineChange | null, level: number): string {
  return `${machine === null ? "" : `: ${machineText(machine, level)}`}; measure both again in turn`;
}

/** What is worse than the baseline fails, but where the machine was as much slower itself nobody can tell. */
function verdictOf(worse: boolean, beyondMachine: boolean): CheckFinding["verdict"] {
  if (!worse) return "pass";
  return beyondMachine ? "fail" : "cannot-tell";
}

/**
 * An estimate as it would be had the machine been no slower than in the baseline, with how little is known of that. A machine
 * that was faster hides nothing for certain: other work gains by other shares.
 */
function atBaseSpeed({ value, low, high }: Estimate, machine: MachineChange, level: number): Estimate {
  const speed = Math.max(1, Math.exp(machine.log));
  const reach = studentQuantile((1 + level) / 2, machine.degreesOfFreedom) * machine.error;
  // Two independent errors: the estimate's own and the machine's, as in differenceOf.
  const end = (bound: number, sign: number) =>
    bound > 0 && value > 0 ? value * Math.exp(sign * Math.hypot(Math.log(bound / value), reach)) : bound;
  return { value: value / speed, low: end(low, -1) / speed, high: end(high, 1) / speed };
}

const powers = [
  { name: "constant", power: 0, unit: "s" },
  { name: "linear", power: 1, unit: "s/token" },
  { name: "quadratic", power: 2, unit: "s/token²" },
] as const satisfies readonly { name: keyof Coefficients; power: number; unit: string }[];

/**
 * Interval of the difference of two independent estimates from their own intervals: the square-and-add limits of Zou and
 * Donner (2008), which need no symmetry.
 */
function differenceOf(run: Estimate, base: Estimate): Estimate {
  const value = run.value - base.value;
  return {
    value,
    low: value - Math.hypot(run.value - run.low, base.high - base.value),
    high: value + Math.hypot(run.high - run.value, base.value - base.low),
  };
}

function coefficientFindings({ phase, run, base, machine }: Pair, tolerance: number, level: number): CheckFinding[] {
  const own = polynomialOf(run).coefficients;
  const before = polynomialOf(base).coefficients;
  const from = Math.max(run.range.from, base.range.from);
  const to = Math.min(run.range.to, base.range.to);
  return powers.map(({ name, power, unit }) => {
    const difference = differenceOf(own[name], before[name]);
    // A coefficient counts where its part of the time is largest: the constant at the shortest length, the others at the longest.
    const where = power === 0 ? from : to;
    const effect = (difference.value * where ** power) / base.predict(where).seconds;
    const worse = difference.low > 0 && effect > tolerance;
    const left = machine === null ? difference : differenceOf(atBaseSpeed(own[name], machine, level), before[name]);
    const beyondMachine = left.low > 0 && (left.value * where ** power) / base.predict(where).seconds > tolerance;
    const verdict = verdictOf(worse, beyondMachine);
    const value = own[name].value;
    const change = `${scientific(before[name].value)} → ${scientific(value)} ${unit}`;
    const share = `${effect < 0 ? "" : "+"}${percent(effect)} of the time at ${tokens(where)}`;
    const messages = {
      fail: `${phase}: the ${name} coefficient got worse, ${change}: ${share}, beyond noise`,
      "cannot-tell": `${phase}: the ${name} coefficient got worse, ${change}: ${share}, but the machine may have been slower as well${unsteady(machine, level)}`,
      pass: `${phase}: ${name} ${change} (${share}) is ${difference.low > 0 ? "within the tolerance" : difference.high < 0 ? "better" : "within the noise"}`,
    };
    return {
      kind: "coefficient",
      phase,
      name,
      verdict,
      value,
      low: own[name].low,
      high: own[name].high,
      reference: before[name].value,
      message: messages[verdict],
    };
  });
}

/** The whole curve over all lengths that both measured: a change that all coefficients share shows here first. */
function curveFinding({ phase, run, base, machine }: Pair, tolerance: number, level: number): CheckFinding[] {
  const before = new Map(base.residuals.map((one) => [one.n, one]));
  const ratios = run.residuals.flatMap((one) => {
    const other = before.get(one.n);
    if (other === undefined) return [];
    const variance = run.noise.relative ** 2 / one.samples + base.noise.relative ** 2 / other.samples;
    return [{ log: Math.log(one.seconds / other.seconds), weight: 1 / variance }];
  });
  if (ratios.length === 0) return [];
  const weights = ratios.reduce((sum, one) => sum + one.weight, 0);
  const mean = ratios.reduce((sum, one) => sum + one.weight * one.log, 0) / weights;
  const scatter = ratios.reduce((sum, one) => sum + one.weight * (one.log - mean) ** 2, 0);
  const beyondNoise = ratios.length < 2 ? 1 : Math.max(1, scatter / (ratios.length - 1));
  const drifted = [run.drift, base.drift].map((drift) =>
    drift === null ? 0 : drift.relative / Math.sqrt(drift.blocks),
  );
  const error = Math.hypot(Math.sqrt(beyondNoise / weights), ...drifted);
  const degrees = Math.min(run.noise.degreesOfFreedom, base.noise.degreesOfFreedom);
  const reach = studentQuantile((1 + level) / 2, degrees) * error;
  const ratio = Math.exp(mean);
  const [low, high] = [Math.exp(mean - reach), Math.exp(mean + reach)];
  const worse = low > 1 && ratio > 1 + tolerance;
  const excess = mean - Math.max(0, machine?.log ?? 0);
  const spare = Math.min(degrees, machine?.degreesOfFreedom ?? degrees);
  const certain = studentQuantile((1 + level) / 2, spare) * Math.hypot(error, machine?.error ?? 0);
  const verdict = verdictOf(worse, excess > Math.max(certain, Math.log1p(tolerance)));
  const said = `${significant(ratio, 4)} times the baseline (${significant(low, 4)} – ${significant(high, 4)}) over ${ratios.length} lengths`;
  const messages = {
    fail: `${phase}: the whole curve got slower, ${said}`,
    "cannot-tell": `${phase}: the whole curve is ${said}, but the machine may have been slower as well${unsteady(machine, level)}`,
    pass: `${phase}: the whole curve is ${said}`,
  };
  return [
    {
      kind: "curve",
      phase,
      name: "level",
      verdict,
      value: ratio,
      low,
      high,
      reference: 1,
      message: messages[verdict],
    },
  ];
}

/** A change of the whole curve that the noise hides is worth a word from here on. */
const muchHidden = 0.1;

/** A gate that passes because nothing could have been seen says so. */
function hiddenChange({ phase, value, high }: CheckFinding): CheckDocument["warnings"] {
  const hidden = high / value - 1;
  if (hidden <= muchHidden) return [];
  const message = `${phase}: the noise hides changes of the whole curve up to ${percent(hidden)}; measure with more --repeat, or on a quieter machine`;
  return [{ code: "change-hidden", message }];
}

/** An interval that lies beyond the limit by this factor misses it, however little is known of how far. */
const plainly = 2;

function limitFinding(limit: LatencyLimit, fit: LawFit): CheckFinding {
  const { seconds: value, low, high, canTell, factor } = fit.predict(limit.n);
  const missed = low > limit.seconds * (canTell ? 1 : plainly);
  const kept = canTell && high <= limit.seconds;
  const verdict = missed ? "fail" : kept ? "pass" : "cannot-tell";
  const extrapolated = factor > 1 ? `, ${significant(factor)} times the longest measured` : "";
  const at = `${seconds(value)} (${seconds(low)} – ${seconds(high)}) at ${tokens(limit.n)}${extrapolated}`;
  const verdicts = {
    fail: `${limit.text}: missed, ${at}`,
    pass: `${limit.text}: kept, ${at}`,
    "cannot-tell": `${limit.text}: cannot tell, ${at}; measure nearer to ${tokens(limit.n)} or more often`,
  };
  return {
    kind: "limit",
    phase: limit.phase,
    name: limit.text,
    verdict,
    value,
    low,
    high,
    reference: limit.seconds,
    message: verdicts[verdict],
  };
}
