import { badInput } from "../base/errors.js";
import type { Seconds } from "../base/units.js";
import type { FittedEngine } from "../hardware/fitted.js";
import { engineOf } from "../hardware/engine.js";
import type { DeviceRecord } from "../hardware/record.js";
import { median } from "../math/median.js";
import { posteriorSpread, robustFit } from "../math/robust-fit.js";
import type { ModelDescription } from "../model/types.js";
import { predictCurve } from "../predict/curve.js";
import { chunkOf } from "../predict/deployment.js";
import type { SampleSet, Series } from "../runs/import/types.js";

/** One length of one series, with the seconds of its classes of operators as they are predicted now. */
interface Cell {
  readonly tokens: number;
  readonly seconds: Seconds;
  readonly samples: number;
  readonly parts: Readonly<Record<string, Seconds>>;
}

/** Samples of a model on a device under an engine. */
export interface SampledRun {
  readonly set: SampleSet;
  readonly model: ModelDescription;
}

/** A fit with what it improved: medians of |log(predicted / measured)|. */
export interface EngineReport {
  readonly engine: FittedEngine;
  readonly before: number;
  readonly after: number;
}

/** Factors that samples may move, and the standard deviation of their logarithms about the engine's published profile. */
const groups = [
  { name: "gemm", spread: 0.4, classes: ["gemm"] },
  { name: "gemv", spread: 0.25, classes: ["gemv"] },
  { name: "attention", spread: 0.4, classes: ["attention"] },
  { name: "decode-attention", spread: 0.3, classes: ["decode-attention"] },
  { name: "vector", spread: 0.3, classes: ["vector", "lookup"] },
  { name: "overhead", spread: 0.5, classes: ["overhead"] },
] as const;
type GroupName = (typeof groups)[number]["name"];

/** No published or own run repeats better than this from day to day. */
const leastSpread = 0.03;
/** A few lengths of one model say this much less of another model: a share of the spread of the profile stays. */
const otherModels = 0.3;

/**
 * How much slower or faster classes of operators are on this very device under an engine than its published profile says,
 * from whole runs of known models.
 *
 * @throws NsquaredError `no-samples`, `engine-unknown`
 */
export function fitEngine(runs: readonly SampledRun[], device: DeviceRecord, engineName: string | null): EngineReport {
  const cells = runs.flatMap(({ set, model }) =>
    set.series.flatMap((series) => cellsOf(set, series, model, device, engineName)),
  );
  if (cells.length === 0) {
    throw badInput("no-samples", {
      where: runs.map(({ set }) => set.path).join(", "),
      key: "samples",
      found: 0,
      expected: "timed prefills or decode steps",
    });
  }
  const totalOf = (theta: readonly number[], { parts }: Cell): Seconds =>
    groups.reduce(
      (sum, { classes }, i) =>
        sum + Math.exp(theta[i] ?? 0) * classes.reduce((part, name) => part + (parts[name] ?? 0), 0),
      0,
    );
  const residuals = (theta: readonly number[]): number[] =>
    cells.map((cell) => Math.log(totalOf(theta, cell) / cell.seconds));
  const start = groups.map(() => 0);
  const options = { start, spread: groups.map(({ spread }) => spread) };
  const theta = robustFit(residuals, options);
  const open = posteriorSpread(residuals, theta, options);
  const after = residuals(theta).map(Math.abs);
  const first = runs[0];
  const attention = first === undefined ? null : attentionOf(first.set);
  const profile = engineOf(device, engineName, first?.model.dtypes, attention);
  const lengths = cells.map(({ tokens }) => tokens);
  const perGroup = (value: (index: number) => number): Record<GroupName, number> =>
    Object.fromEntries(groups.map(({ name }, i) => [name, Number(value(i).toPrecision(4))])) as Record<
      GroupName,
      number
    >;
  return {
    engine: {
      engine: profile.name,
      factors: perGroup((i) => Math.exp(theta[i] ?? 0)),
      spreads: perGroup((i) => Math.max(1e-3, open[i] ?? groups[i]?.spread ?? 1)),
      spread: Math.hypot(
        Math.max(leastSpread, median(after) / 0.6745),
        otherModels * profile.logSpreads.prefill.common,
      ),
      samples: cells.reduce((sum, { samples }) => sum + samples, 0),
      range: { from: Math.min(...lengths), to: Math.max(...lengths) },
    },
    before: median(residuals(start).map(Math.abs)),
    after: median(after),
  };
}

/** The median of every length of a series beside what is predicted of it. */
function cellsOf(
  set: SampleSet,
  series: Series,
  model: ModelDescription,
  device: DeviceRecord,
  engineName: string | null,
): Cell[] {
  if (series.phase === "decode-uncached") return [];
  const byLength = new Map<number, Seconds[]>();
  for (const { n, seconds } of series.points) byLength.set(n, [...(byLength.get(n) ?? []), seconds]);
  return [...byLength].map(([length, times]) => ({
    tokens: length,
    seconds: median(times),
    samples: times.length,
    parts: partsOf(set, series, length, model, device, engineName),
  }));
}

/** The attention that a run says; null where it says nothing. */
function attentionOf({ run }: SampleSet): "naive" | null {
  return run?.runtime.attention === "naive" ? "naive" : null;
}

function partsOf(
  set: SampleSet,
  { phase, axis, fixed, batch }: Series,
  length: number,
  model: ModelDescription,
  device: DeviceRecord,
  engineName: string | null,
): Readonly<Record<string, Seconds>> {
  const continued = phase === "prefill" && axis === "depth";
  const attention = attentionOf(set);
  const chunk = chunkOf(model, engineOf(device, engineName, model.dtypes, attention));
  const curve = predictCurve(model, device, {
    phase: phase === "decode" ? "decode" : "prefill",
    batch,
    engineName,
    ...(attention === null ? {} : { attention }),
    ...(phase === "prefill" ? { depth: continued ? length - fixed : fixed, chunk } : {}),
  });
  const at = continued ? fixed : length;
  return Object.fromEntries(curve.components.map(({ name, seconds }) => [name, seconds(at)]));
}
