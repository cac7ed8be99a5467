import { seconds as showSeconds } from "../base/format.js";
import { version } from "../base/version.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import type { Curve } from "../predict/curve.js";
import { intervalLevel } from "../predict/interval.js";
import { predict } from "../predict/predict.js";
import type {
  CurvePoint,
  JointLaw,
  MeasuredLength,
  MemoryReport,
  ModelFacts,
  PhaseLaw,
  PhasePrediction,
  PhaseReport,
  ReportData,
  ServerFacts,
} from "../report/data.js";
import { measuredLengths } from "../report/measured.js";
import { type Run, isOfServer, isUsable, lengthOf } from "../runs/schema.js";
import { type RunFit, batchOf, crossoverOf, depthOf, fitRun, measuredPhases, polynomialOf, warningsOf } from "./fit.js";
import { samplesOfRun } from "../runs/import/read.js";
import { diagnosisReport } from "./explain.js";
import { jointDocument } from "./joint.js";
import { type MeasuredPhase, contextWarnings } from "./measure.js";
import { crossing, deviceFacts, geometric, modelFacts, partsPoint } from "./report-parts.js";
import { curveOfRun, executedAs, physicalCurve } from "./physical.js";

export interface ReportOptions {
  readonly run: Run;
  /** Path of the run file, or null. */
  readonly path: string | null;
  /** Null where a server's model is known by its name alone. */
  readonly model: ModelDescription | null;
  /** What the prediction is for; null reports the measurement alone. */
  readonly device: DeviceRecord | null;
  readonly created: Date;
  /** Commands that repeat it. */
  readonly commands: readonly string[];
}

/** Curves are drawn this far beyond the longest measured length. */
const drawnBeyond = 8;
/** Level of the intervals of the law over new and cached tokens, as of the laws over one length. */
const reportLevel = 0.95;
/** Longer inputs people ask about, as multiples of the longest measured length. */
const asked = [2, 4, 8, 10];

/** Everything a report says about a run: measured, predicted, fitted, side by side. */
export function reportData(options: ReportOptions): ReportData {
  const { run, model, device } = options;
  const { attention } = executedAs(run);
  const phases = measuredPhases(run);
  const lengths = lengthsOf(run, phases);
  const longest = (lengths.at(-1) ?? 1) * drawnBeyond;
  const prediction =
    device === null || model === null
      ? null
      : predict(model, device, {
          lengths: lengths.length === 0 ? [1] : lengths,
          ...executedAs(run),
          batch: batchOf(run),
        });
  return {
    model: model === null ? unknownModel(run) : modelFacts(model, attention),
    run: {
      id: run.id,
      path: options.path,
      created: run.created,
      status: run.status,
      seconds: run.seconds,
      seed: run.seed,
      repeat: run.plan.repeat,
      warmups: run.plan.warmups,
      runtime: run.runtime,
      machine: run.machine,
      server: isOfServer(run) ? serverFacts(run) : null,
    },
    prediction:
      device === null || prediction === null
        ? null
        : { device: device.name, engine: prediction.engine.name, facts: deviceFacts(device) },
    phases: phases.map((phase) => phaseReport(phase, options, longest)),
    memory: prediction === null ? null : memoryReport(prediction, longest, run),
    diagnosis: diagnosisReport(run, model, device),
    limits: prediction?.limits ?? {
      memory: null,
      context: contextOf(options),
    },
    warnings: [...(model === null ? [] : contextWarnings(model, lengths)), ...run.warnings],
    assumptions: [
      ...(isOfServer(run)
        ? ["Times are of a server seen from outside: network, tokenizer and whatever else it does are in them."]
        : [
            run.runtime.runner === "llama"
              ? "Weights are the file's own; the tokens are random."
              : "Weights are synthetic numbers of the true shapes: times are the model's, its answers would mean nothing.",
            "One request at a time: no queue, no network, no tokenizer.",
          ]),
      ...(prediction?.notes ?? []),
    ],
    commands: options.commands,
    created: options.created.toISOString(),
    version,
  };
}

/** What a run of a server says of its model. */
function unknownModel(run: Run): ModelFacts {
  const { name, source } = run.model;
  return {
    name,
    source,
    parameters: null,
    contextLength: contextLimit(run),
    cache: null,
    flops: { prefill: null, decode: null },
    facts: [],
  };
}

/** Tokens of prompt and answer that a server takes, where it named them. */
function contextLimit({ probe }: Run): number | null {
  const limit = probe?.["context limit"];
  return typeof limit === "number" ? limit : null;
}

function contextOf({ model, run }: ReportOptions): { readonly n: number } | null {
  const n = model?.contextLength ?? contextLimit(run);
  return n === null ? null : { n };
}

/** A server by what it said of itself and what asking it showed. */
function serverFacts({ model, runtime, probe = {} }: Run): ServerFacts {
  const { name, version: release } = runtime;
  const shown = Object.entries(probe).filter(([, value]) => value !== null && value !== "");
  return {
    address: model.source,
    engine: release === "unknown" ? name : `${name} ${release}`,
    facts: shown.map(([label, value]) => ({
      label,
      value: label.endsWith("seconds") && typeof value === "number" ? showSeconds(value) : String(value),
    })),
  };
}

function lengthsOf(run: Run, phases: readonly MeasuredPhase[]): number[] {
  const wanted = new Set<string>(phases);
  const lengths = run.samples.filter((sample) => isUsable(sample) && wanted.has(sample.phase)).map(lengthOf);
  return [...new Set(lengths)].sort((a, b) => a - b);
}

function phaseReport(phase: MeasuredPhase, options: ReportOptions, longest: number): PhaseReport {
  const { run, model, device } = options;
  const measured = measuredLengths(run.samples, phase, batchOf(run), depthOf(run, phase));
  const drawn = geometric(measured[0]?.n ?? 1, longest);
  const grid = [...new Set([...drawn, ...measured.map(({ n }) => n)])].sort((a, b) => a - b);
  const curve = device === null || model === null ? null : curveOfRun(run, model, device, phase);
  return {
    phase,
    batch: batchOf(run),
    measured,
    prediction: curve === null ? null : phasePrediction(phase, options, curve, measured, grid),
    law: measured.length < 2 ? null : phaseLaw(phase, options, grid),
    joint: phase === "prefill" ? jointLaw(run) : null,
    profile: null,
  };
}

/** The law over new and cached tokens, of a run with several depths. */
function jointLaw(run: Run): JointLaw | null {
  const joint = jointDocument(samplesOfRun(run, run.id), batchOf(run), { level: reportLevel });
  return joint === null ? null : { expression: joint.expression, level: reportLevel, points: joint.predictions };
}

function phasePrediction(
  phase: MeasuredPhase,
  { run, model, device }: ReportOptions,
  curve: Curve,
  measured: readonly MeasuredLength[],
  grid: readonly number[],
): PhasePrediction {
  const point = (n: number): CurvePoint => ({ n, ...curve.interval(n) });
  const whole =
    device === null || model === null || phase === "decode"
      ? null
      : predict(model, device, {
          lengths: [1],
          batch: batchOf(run),
          ...executedAs(run),
        });
  return {
    level: intervalLevel,
    points: measured.map(({ n }) => ({ ...point(n), exponent: curve.exponent(n) })),
    curve: grid.map(point),
    crossover: { flops: whole?.crossover.flops ?? null, seconds: crossing(whole?.crossover.seconds ?? null) },
    attentionHalf: {
      flops: whole?.attentionHalf.flops ?? null,
      seconds: crossing(whole?.attentionHalf.seconds ?? null),
    },
    parts: grid.map((n) => partsPoint(curve, n)),
  };
}

function phaseLaw(phase: MeasuredPhase, { run, model, device }: ReportOptions, grid: readonly number[]): PhaseLaw {
  const fit = fitRun(run, {
    phase,
    // The physical law rests on this machine's calibration; a data sheet says too little for it.
    ...(device === null || model === null || device.calibration === null
      ? {}
      : { curve: physicalCurve(run, model, device, phase) }),
  });
  const chosen = fit.physical ?? fit.blind;
  const { to } = chosen.range;
  const crossover = crossoverOf(polynomialOf(fit.blind).crossover);
  return {
    kind: chosen.law.kind,
    expression: fit.physical === null ? fit.blind.law.expression : null,
    level: chosen.level,
    from: chosen.range.from,
    to,
    coefficients: coefficientsOf(fit),
    curve: grid.map((n) => curvePoint(chosen, n)),
    crossover:
      fit.physical !== null || crossover === null
        ? null
        : { n: crossover.n, low: crossover.low, high: crossover.high ?? Number.POSITIVE_INFINITY },
    extrapolation: asked.map((factor) => {
      const { n, seconds, low, high, canTell } = chosen.predict(factor * to);
      return { n, seconds, low, high, factor, canTell };
    }),
    warnings: warningsOf(fit),
  };
}

function coefficientsOf(fit: RunFit): PhaseLaw["coefficients"] {
  if (fit.physical !== null) {
    return Object.fromEntries(
      fit.physical.law.efficiencies.map(({ name, value, low, high }) => [name, { value, low, high }]),
    );
  }
  const { coefficients } = fit.blind.law;
  return coefficients === null ? {} : { ...coefficients };
}

function curvePoint(
  fit: { readonly predict: (n: number) => { seconds: number; low: number; high: number } },
  n: number,
): CurvePoint {
  const { seconds, low, high } = fit.predict(n);
  return { n, seconds, low, high };
}

function memoryReport(prediction: ReturnType<typeof predict>, longest: number, run: Run): MemoryReport {
  const { memory } = prediction.curves;
  return {
    points: geometric(prediction.points[0]?.n ?? 1, longest).map((n) => ({
      n,
      weights: memory.weights,
      cache: memory.cache(n),
      activations: memory.activations(n),
    })),
    limitBytes: run.machine.memoryBytes,
  };
}
