import { badInput } from "../base/errors.js";
import { significant, tokens } from "../base/format.js";
import { median } from "../math/median.js";
import type { KnownShape, PhysicalCurve } from "../fit/index.js";
import { scenariosOf } from "../fit/index.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import type { Axis, SampleSet, Series } from "../runs/import/types.js";
import { beyondWarnings, type Known } from "./beyond.js";
import { costOfModel } from "./cost.js";
import type { FitDocument, ScenariosDocument } from "./documents/fit.js";
import {
  defaultFactors,
  fitDocumentAbout,
  fitPoints,
  type FitQuestions,
  type RunFit,
  type RunFitOptions,
} from "./fit.js";
import { jointDocument } from "./joint.js";
import type { MeasuredPhase } from "./measure.js";
import { curveOfSweep, executedAs } from "./physical.js";
import { curveOnUnknown } from "./unknown-device.js";

export interface SeriesChoice {
  readonly phase?: MeasuredPhase;
  readonly axis?: Axis;
  readonly batch?: number;
  /** The length that does not vary: cached tokens of a sweep over the length, new tokens of one over the depth. */
  readonly fixed?: number;
}

/** A series in words: `prefill over length, 0 cached, 7 lengths`. */
function seriesName(series: Series): string {
  const { phase, axis, fixed, batch, lengths } = series;
  const batched = batch === 1 ? "" : `, batch ${batch}`;
  if (phase === "decode") return `decode over context${batched}, ${lengths} lengths`;
  const other =
    axis === "length"
      ? fixed === 0
        ? ""
        : ` after ${tokens(fixed)} cached`
      : ` in steps of ${tokens(fixed)} new tokens`;
  return `${phase} over ${axis}${other}${batched}, ${lengths} lengths`;
}

/**
 * The series to fit: of the phase and axis asked for, the first where several are left.
 *
 * @throws NsquaredError `no-samples`, `one-length`
 */
export function chooseSeries(set: SampleSet, choice: SeriesChoice = {}): Series {
  const series = set.series.find(
    (one) =>
      (choice.phase === undefined || one.phase === choice.phase) &&
      (choice.axis === undefined || one.axis === choice.axis) &&
      (choice.batch === undefined || one.batch === choice.batch) &&
      (choice.fixed === undefined || one.fixed === choice.fixed),
  );
  const there = set.series.map(seriesName).join("; ");
  if (series === undefined) {
    throw badInput("no-samples", {
      where: set.path,
      key:
        choice.phase !== undefined
          ? "phase"
          : choice.axis !== undefined
            ? "axis"
            : choice.batch !== undefined
              ? "batch"
              : choice.fixed !== undefined
                ? "fixed"
                : "phase",
      found:
        [
          [choice.phase, choice.axis].filter((one) => one !== undefined).join(" over "),
          choice.batch === undefined ? "" : `batch ${choice.batch}`,
          choice.fixed === undefined ? "" : `${tokens(choice.fixed)} fixed`,
        ]
          .filter((one) => one !== "")
          .join(", ") || "none",
      expected: there === "" ? "no usable samples there" : `it has ${there}`,
    });
  }
  const alike = set.series.filter(({ phase, batch }) => phase === series.phase && batch === series.batch);
  if (series.lengths < 2 && alike.length > 1) {
    throw badInput("one-length", {
      where: set.path,
      key: `${series.phase} lengths`,
      found: alike.length,
      expected:
        "no two samples differ in their new tokens alone or their cached ones alone, so there is no sweep to fit",
    });
  }
  if (series.lengths < 2) {
    throw badInput("one-length", {
      where: set.path,
      key: `${series.phase} lengths`,
      found: series.points[0]?.n ?? 0,
      expected: `all ${series.count} samples have this one length; a law needs at least two, better four; for what one may mean: ${asPoint(series)}`,
    });
  }
  return series;
}

/** The one length of a series as a point of the command line, at its median time. */
function asPoint({ points }: Series): string {
  const seconds = median(points.map((point) => point.seconds));
  return `--point ${Math.round(points[0]?.n ?? 0)}=${significant(seconds * 1000)}ms`;
}

/** Below this a spread that a file states is not believed for all that differs between its lengths. */
const leastSpread = 0.005;

/** The law of a series; where a file gives means and their spread instead of repeats, that is the assumed noise. */
export function fitSeries(series: Series, options: Omit<RunFitOptions, "phase" | "at"> = {}): RunFit {
  const spread = series.spread === null ? {} : { assumedNoise: Math.min(0.5, Math.max(leastSpread, series.spread)) };
  return fitPoints(series.phase, series.points, { ...spread, axis: series.axis, ...options });
}

/**
 * The physical law's curve for a series: of a run as it was executed, of anything else with fused attention.
 *
 * @param device what the samples were measured on; null where nobody has measured it
 */
export function curveOfSeries(
  set: SampleSet,
  series: Series,
  model: ModelDescription,
  device: DeviceRecord | null,
): PhysicalCurve {
  const executed = set.run === null ? ({ attention: "fused" } as const) : executedAs(set.run);
  const execution = { phase: series.phase, batch: series.batch, ...executed };
  return device === null ? curveOnUnknown(model, execution, series) : curveOfSweep(model, device, execution, series);
}

/**
 * A fit of samples from anywhere as one plain document.
 *
 * @param known the model whose operators the physical law is of, and the device
 */
export function samplesDocument(
  set: SampleSet,
  series: Series,
  fit: RunFit,
  questions: FitQuestions,
  known: Known | null = null,
): FitDocument {
  // Of our own runs the phases are no surprise; samples of the same phase that were left out are.
  const others = set.series
    .filter((one) => one !== series && one.lengths > 1 && (set.run === null || one.phase === series.phase))
    .map(seriesName);
  const notes: FitDocument["warnings"] = set.run === null ? [...set.notes] : [];
  if (set.run === null && series.points.length < series.count) {
    notes.push({
      code: "samples-thinned",
      message: `${series.points.length.toLocaleString("en-US")} of ${series.count.toLocaleString("en-US")} samples stand for all, as many of each length, drawn at random`,
    });
  }
  if (others.length > 0) {
    const shown = others.slice(0, 3).join("; ");
    notes.push({
      code: "other-series",
      message: `fitted ${seriesName(series)}; also there: ${shown}${others.length > 3 ? ` and ${others.length - 3} more` : ""} (--phase, --axis, --batch, --fixed)`,
    });
  }
  const { axis, fixed, batch, count, phase } = series;
  if (known !== null) {
    const { to } = fit.blind.range;
    const furthest = Math.max(...(questions.at ?? defaultFactors.map((factor) => factor * to)));
    notes.push(...beyondWarnings(known, batch, to, furthest));
  }
  const subject = {
    path: set.path,
    model: set.model ?? known?.model.name ?? "unnamed model",
    warnings: notes,
    ...(known === null ? {} : { physical: { model: known.model.name, device: known.device?.name ?? null } }),
  };
  const { level, noise } = fit.blind;
  const joint = jointDocument(set, batch, {
    level,
    ...(noise.assumed ? { assumedNoise: noise.relative } : {}),
    ...(questions.at === undefined ? {} : { at: questions.at }),
  });
  const together = phase === "prefill" && joint !== null ? { joint } : {};
  // Of a run of ours it goes without saying, but for a prefill that continues.
  const plain = phase === "decode" || (axis === "length" && fixed === 0);
  if (set.run !== null && plain) return { ...fitDocumentAbout(subject, fit, questions), ...together };
  const source = {
    format: set.format,
    axis,
    fixed,
    batch,
    count,
    units: [...set.units],
    identity: { ...set.identity },
  };
  return { ...fitDocumentAbout({ ...subject, source }, fit, questions), ...together };
}

/** One point is no fit: every assumption's answer, side by side. */
export function scenariosDocumentOf(
  point: { readonly n: number; readonly seconds: number },
  at: readonly number[] | undefined,
  model: ModelDescription | null,
): ScenariosDocument {
  const lengths = at ?? defaultFactors.map((factor) => factor * point.n);
  const shapes: KnownShape[] = model === null ? [] : [flopMix(model, [point.n, ...lengths])];
  return {
    schema: "nsquared/scenarios@1",
    point: { ...point },
    model: model?.name ?? null,
    scenarios: scenariosOf(point, shapes).map(({ name, assumption, seconds }) => ({
      name,
      assumption,
      points: lengths.map((n) => ({ n, seconds: seconds(n) })),
    })),
    warnings: [
      {
        code: "one-point",
        message:
          "one point cannot tell how the time grows: these are assumptions, not a fit; measure at least 4 lengths",
      },
    ],
  };
}

/** The model's own mix of linear and quadratic work, as if every FLOP took equally long. */
function flopMix(model: ModelDescription, lengths: readonly number[]): KnownShape {
  const sorted = [...new Set(lengths)].sort((left, right) => left - right);
  const flops = new Map(costOfModel(model, { lengths: sorted }).points.map((point) => [point.n, point.flops.total]));
  return {
    name: model.name,
    assumption: `the time grows as the FLOPs of ${model.name} do`,
    seconds: (n) => flops.get(n) ?? Number.NaN,
  };
}
