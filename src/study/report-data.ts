import { bytes, scientific, seconds as showSeconds } from "../base/format.js";
import { version } from "../base/version.js";
import { costLaw } from "../cost/law.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { parts as allParts } from "../graph/types.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import type { Curve } from "../predict/curve.js";
import { intervalLevel } from "../predict/interval.js";
import { predict } from "../predict/predict.js";
import { splitAt } from "../predict/split.js";
import type {
  Crossing,
  CurvePoint,
  MeasuredLength,
  MemoryReport,
  PartsPoint,
  PhaseLaw,
  PhasePrediction,
  PhaseReport,
  ReportData,
} from "../report/data.js";
import { measuredLengths } from "../report/measured.js";
import { type Run, isOfServer, isUsable, lengthOf } from "../runs/schema.js";
import { describeModel } from "./describe.js";
import { type RunFit, batchOf, crossoverOf, fitRun, measuredPhases, polynomialOf, warningsOf } from "./fit.js";
import { type MeasuredPhase, contextWarnings } from "./measure.js";
import { curveOfRun, physicalCurve } from "./physical.js";

export interface ReportOptions {
  readonly run: Run;
  /** Path of the run file, or null. */
  readonly path: string | null;
  readonly model: ModelDescription;
  /** What the prediction is for; null reports the measurement alone. */
  readonly device: DeviceRecord | null;
  readonly created: Date;
  /** Commands that repeat it. */
  readonly commands: readonly string[];
}

/** Curves are drawn this far beyond the longest measured length. */
const drawnBeyond = 8;
/** Points per doubling of a drawn curve. */
const density = 6;
/** Longer inputs people ask about, as multiples of the longest measured length. */
const asked = [2, 4, 8, 10];

/** Everything a report says about a run: measured, predicted, fitted, side by side. */
export function reportData(options: ReportOptions): ReportData {
  const { run, model, device } = options;
  const description = describeModel(model);
  const attention = run.runtime.attention === "naive" ? "naive" : "fused";
  const rows = priceGraph(buildGraph(model, { attention }));
  const phases = measuredPhases(run);
  const lengths = lengthsOf(run, phases);
  const longest = (lengths.at(-1) ?? 1) * drawnBeyond;
  const prediction =
    device === null
      ? null
      : predict(model, device, { lengths: lengths.length === 0 ? [1] : lengths, attention, batch: batchOf(run) });
  return {
    model: {
      name: model.name,
      source: model.source,
      parameters: description.parameters,
      contextLength: model.contextLength,
      cache: { bytesPerToken: description.cache.bytesPerToken },
      flops: {
        prefill: costLaw(rows, "prefill").flops.toString(),
        decode: costLaw(rows, "decode").flops.toString(),
      },
      facts: [
        { label: "Family", value: model.modelType },
        { label: "Hidden size", value: String(model.hiddenSize) },
        { label: "Vocabulary", value: model.vocabularySize.toLocaleString("en-US") },
        ...description.layerKinds.map((kind) => ({ label: `${kind.count} layers`, value: kind.description })),
        { label: "Weights as published", value: `${bytes(description.weightBytes)} in ${description.dtypes.weights}` },
      ],
    },
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
    },
    prediction:
      device === null
        ? null
        : { device: device.name, engine: prediction?.engine.name ?? "", facts: deviceFacts(device) },
    phases: phases.map((phase) => phaseReport(phase, options, longest)),
    memory: prediction === null ? null : memoryReport(prediction, longest, run),
    limits: prediction?.limits ?? {
      memory: null,
      context: model.contextLength === null ? null : { n: model.contextLength },
    },
    warnings: [...contextWarnings(model, lengths), ...run.warnings],
    assumptions: [
      ...(isOfServer(run)
        ? ["Times are of a server seen from outside: network, tokenizer and whatever else it does are in them."]
        : [
            "Weights are synthetic numbers of the true shapes: times are the model's, its answers would mean nothing.",
            "One request at a time: no queue, no network, no tokenizer.",
          ]),
      ...(prediction?.notes ?? []),
    ],
    commands: options.commands,
    created: options.created.toISOString(),
    version,
  };
}

function lengthsOf(run: Run, phases: readonly MeasuredPhase[]): number[] {
  const wanted = new Set<string>(phases);
  const lengths = run.samples.filter((sample) => isUsable(sample) && wanted.has(sample.phase)).map(lengthOf);
  return [...new Set(lengths)].sort((a, b) => a - b);
}

function deviceFacts(device: DeviceRecord): { label: string; value: string }[] {
  const peaks = Object.entries(device.peaks).map(([dtype, peak]) => ({
    label: `Peak, ${dtype}`,
    value: `${scientific(peak.value)} FLOP/s (${peak.source})`,
  }));
  return [
    ...peaks,
    { label: "Memory bandwidth", value: `${scientific(device.bandwidth.value)} bytes/s (${device.bandwidth.source})` },
    { label: "Memory", value: `${bytes(device.memory.value)} (${device.memory.source})` },
    { label: "Overhead per operator", value: `${showSeconds(device.launch.value)} (${device.launch.source})` },
  ];
}

function phaseReport(phase: MeasuredPhase, options: ReportOptions, longest: number): PhaseReport {
  const { run, model, device } = options;
  const measured = measuredLengths(run.samples, phase, batchOf(run));
  const drawn = geometric(measured[0]?.n ?? 1, longest);
  const grid = [...new Set([...drawn, ...measured.map(({ n }) => n)])].sort((a, b) => a - b);
  const curve = device === null ? null : curveOfRun(run, model, device, phase);
  return {
    phase,
    batch: batchOf(run),
    measured,
    prediction: curve === null ? null : phasePrediction(phase, options, curve, measured, grid),
    law: measured.length < 2 ? null : phaseLaw(phase, options, grid),
    profile: null,
  };
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
    device === null || phase === "decode"
      ? null
      : predict(model, device, {
          lengths: [1],
          batch: batchOf(run),
          attention: run.runtime.attention === "naive" ? "naive" : "fused",
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

function crossing(
  at: { readonly n: number; readonly low: number | null; readonly high: number | null } | null,
): Crossing | null {
  return at === null ? null : { n: at.n, low: at.low ?? 0, high: at.high ?? Number.POSITIVE_INFINITY };
}

function partsPoint(curve: Curve, n: number): PartsPoint {
  const shares = splitAt(curve, n).parts;
  const seconds: Partial<Record<(typeof allParts)[number], number>> = {};
  for (const part of allParts) {
    const share = shares.find(({ name }) => name === part);
    if (share !== undefined) seconds[part] = share.seconds;
  }
  return { n, seconds };
}

function phaseLaw(phase: MeasuredPhase, { run, model, device }: ReportOptions, grid: readonly number[]): PhaseLaw {
  const fit = fitRun(run, {
    phase,
    // The physical law rests on this machine's calibration; a data sheet says too little for it.
    ...(device === null || device.calibration === null ? {} : { curve: physicalCurve(run, model, device, phase) }),
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

/** Lengths from first to last, evenly spaced on a logarithmic axis, whole. */
function geometric(first: number, last: number): number[] {
  const steps = Math.max(1, Math.ceil(Math.log2(last / first) * density));
  const lengths = Array.from({ length: steps + 1 }, (_, step) => Math.round(first * (last / first) ** (step / steps)));
  return [...new Set(lengths)];
}
