import type { Markish } from "@observablehq/plot";
import { seconds, tokens } from "../../base/format.js";
import type { CurvePoint, PhaseReport } from "../data.js";
import { aboutTokens, timeTick, timeTicks } from "../labels.js";
import { mainCrossover, phaseTitle } from "../words.js";
import {
  bandOpacity,
  frame,
  ink,
  innerWidth,
  lengthAxis,
  type Picture,
  type Plot,
  type Size,
  textWidth,
  verticalAxis,
} from "./drawing.js";

/** T(n) of one phase on logarithmic axes: samples, law and prediction with their intervals, the crossover, what is extrapolated. */
export function timePicture(phase: PhaseReport, contextLength: number | null): Picture | null {
  const limits = range(phase);
  if (limits === null) return null;
  const context = phase.phase === "decode" ? "tokens of context" : "tokens";
  const shown = [
    phase.measured.length > 0 ? "measured" : null,
    phase.law === null ? null : "fitted law",
    phase.prediction === null ? null : "prediction",
  ].filter((part) => part !== null);
  return {
    description: `${phaseTitle(phase.phase)}: seconds over ${context} on logarithmic axes: ${shown.join(", ")}. The numbers are in the table below.`,
    draw: (plot, size) => ({
      ...frame(size, { top: 28 }),
      x: { type: "log", base: 2, domain: [limits.from, limits.to], label: null },
      y: { type: "log", domain: [limits.low, limits.high], label: null },
      marks: [
        ...verticalAxis(plot, timeTicks(limits.low, limits.high), timeTick),
        ...lengthAxis(plot, size, limits.from, limits.to, context),
        plot.ruleY([limits.low], { stroke: ink.quiet }),
        ...beyondMeasured(plot, size, phase, limits, contextLength),
        ...crossover(plot, size, phase, limits),
        ...proportional(plot, size, phase, limits),
        ...prediction(plot, size, phase, limits),
        ...law(plot, size, phase, limits),
        ...samples(plot, size, phase),
      ],
    }),
  };
}

interface Limits {
  readonly from: number;
  readonly to: number;
  readonly low: number;
  readonly high: number;
}

/** What the axes span: everything measured and the law; a prediction alone where there is neither. */
function range(phase: PhaseReport): Limits | null {
  const lengths = [...phase.measured.map((row) => row.n), ...(phase.law?.curve ?? []).map((point) => point.n)];
  const predicted = phase.prediction?.curve ?? [];
  const all = lengths.length > 1 ? lengths : [...lengths, ...predicted.map((point) => point.n)];
  if (all.length === 0) return null;
  const longest = Math.max(...all);
  const measured = phase.measured.at(-1)?.n;
  const from = Math.min(...all) / 1.15;
  const to = phase.law === null && measured !== undefined && predicted.length > 0 ? measured * 2.1 : longest * 1.05;
  const inside = (point: CurvePoint) => point.n >= from && point.n <= to;
  const times = [
    ...phase.measured.flatMap((row) => [row.fastest, row.slowest]),
    ...[...(phase.law?.curve ?? []), ...predicted]
      .filter(inside)
      .flatMap((point) => [point.seconds, point.low, point.high]),
  ].filter((time) => time > 0 && Number.isFinite(time));
  if (times.length === 0) return null;
  return { from, to, low: Math.min(...times) / 1.3, high: Math.max(...times) * 1.3 };
}

/** Where a length stands on the axis: 0 at its left end, 1 at its right one. */
function shareAlong(limits: Limits, n: number): number {
  return Math.log(n / limits.from) / Math.log(limits.to / limits.from);
}

/** The length at a share of the axis. */
function along(limits: Limits, share: number): number {
  return limits.from * (limits.to / limits.from) ** share;
}

function nearest(points: readonly CurvePoint[], n: number): CurvePoint | undefined {
  const distance = (point: CurvePoint) => Math.abs(Math.log(point.n / n));
  return points.reduce<CurvePoint | undefined>(
    (best, point) => (best === undefined || distance(point) < distance(best) ? point : best),
    undefined,
  );
}

/** A curve inside the axes, its bounds cut off at them: a bound may be 0 or without end. */
function clipped(points: readonly CurvePoint[], limits: Limits): CurvePoint[] {
  const clip = (value: number) => Math.min(limits.high, Math.max(limits.low, value));
  return points
    .filter((point) => point.n >= limits.from && point.n <= limits.to)
    .map((point) => ({ ...point, low: clip(point.low), high: clip(point.high) }));
}

/** A shade behind everything that nobody measured. */
function beyondMeasured(
  plot: Plot,
  size: Size,
  phase: PhaseReport,
  limits: Limits,
  contextLength: number | null,
): Markish[] {
  const longest = phase.measured.at(-1)?.n;
  if (longest === undefined || longest * 1.2 > limits.to) return [];
  const room = innerWidth(size) * (1 - shareAlong(limits, longest)) - 16;
  const beyondContext = contextLength !== null && contextLength <= longest;
  const texts = [...(beyondContext ? ["not measured, beyond the context"] : []), "not measured"];
  const text = texts.find((candidate) => textWidth(candidate, size) <= room);
  return [
    plot.rectX([{ from: longest, to: limits.to }], { x1: "from", x2: "to", fill: ink.faint, fillOpacity: 0.5 }),
    plot.text(text === undefined ? [] : [text], { frameAnchor: "bottom-right", dx: -8, dy: -8, fill: ink.quiet }),
  ];
}

function crossover(plot: Plot, size: Size, phase: PhaseReport, limits: Limits): Markish[] {
  const found = mainCrossover(phase);
  if (found === null) return [];
  const { n, low, high } = found.crossing;
  if (n < limits.from || n > limits.to) return [];
  const band = [{ from: Math.max(limits.from, low), to: Math.min(limits.to, high) }];
  const text = `n² takes over at ${aboutTokens(n)}`;
  const share = shareAlong(limits, n);
  const room = textWidth(text, size) / 2 / innerWidth(size);
  return [
    plot.rectX(band, { x1: "from", x2: "to", fill: ink.mark, fillOpacity: 0.1 }),
    plot.ruleX([n], { stroke: ink.mark, strokeWidth: 1.5 }),
    plot.text([text], {
      x: [n],
      frameAnchor: "top",
      dy: -14,
      textAnchor: share < room ? "start" : share > 1 - room ? "end" : "middle",
      fill: ink.mark,
      fontWeight: 600,
    }),
  ];
}

/** Where the times would go if they only grew with n: a straight line of slope one through the shortest length. */
function proportional(plot: Plot, size: Size, phase: PhaseReport, limits: Limits): Markish[] {
  if (phase.phase === "decode") return [];
  const measured = phase.measured[0];
  const start = measured === undefined ? phase.prediction?.curve[0] : { n: measured.n, seconds: measured.median };
  if (start === undefined) return [];
  const end = Math.min(limits.to, (start.n * limits.high) / start.seconds);
  const line = [start.n, end].map((n) => ({ n, seconds: (start.seconds * n) / start.n }));
  const right = (start.seconds * limits.to) / start.n;
  return [
    plot.line(line, { x: "n", y: "seconds", stroke: ink.quiet, strokeDasharray: "1 4", strokeLinecap: "round" }),
    plot.text([size.wide ? "if it only grew with n" : "linear"], {
      x: [end],
      y: [Math.min(right, limits.high)],
      dx: right > limits.high ? -30 : -4,
      dy: right > limits.high ? 8 : size.wide ? 52 : 28,
      textAnchor: "end",
      fill: ink.quiet,
    }),
  ];
}

function prediction(plot: Plot, size: Size, phase: PhaseReport, limits: Limits): Markish[] {
  const curve = clipped(phase.prediction?.curve ?? [], limits);
  if (curve.length < 2) return [];
  const longest = phase.measured.at(-1)?.n ?? Number.POSITIVE_INFINITY;
  const label = nearest(curve, along(limits, size.wide ? 0.3 : 0.34));
  return [
    plot.areaY(curve, { x: "n", y1: "low", y2: "high", fill: ink.predicted, fillOpacity: bandOpacity }),
    ...split(curve, longest).map(({ points, dashed }) =>
      plot.line(points, {
        x: "n",
        y: "seconds",
        stroke: ink.predicted,
        strokeWidth: 2,
        strokeDasharray: dashed ? "6 5" : "none",
      }),
    ),
    plot.text(label === undefined ? [] : [label], {
      x: "n",
      y: "high",
      text: () => "predicted",
      dx: -6,
      dy: -12,
      textAnchor: "end",
      fill: ink.predicted,
      fontWeight: 600,
    }),
  ];
}

function law(plot: Plot, size: Size, phase: PhaseReport, limits: Limits): Markish[] {
  const fitted = phase.law;
  const curve = clipped(fitted?.curve ?? [], limits);
  if (fitted === null || curve.length < 2) return [];
  const label = nearest(curve, along(limits, size.wide ? 0.84 : 0.82));
  const extrapolated = size.wide ? "law of the samples,\nextrapolated" : "extrapolated";
  return [
    plot.areaY(curve, { x: "n", y1: "low", y2: "high", fill: ink.law, fillOpacity: bandOpacity }),
    ...split(curve, fitted.to).map(({ points, dashed }) =>
      plot.line(points, {
        x: "n",
        y: "seconds",
        stroke: ink.law,
        strokeWidth: 2,
        strokeDasharray: dashed ? "6 5" : "none",
      }),
    ),
    plot.text(label === undefined ? [] : [label], {
      x: "n",
      y: "high",
      text: (point: CurvePoint) => (point.n > fitted.to ? extrapolated : "law of the samples"),
      dx: -12,
      dy: -12,
      textAnchor: "end",
      lineHeight: 1.2,
      fill: ink.law,
      stroke: ink.page,
      strokeWidth: 4,
      fontWeight: 600,
    }),
  ];
}

/** A curve in two: as far as it was measured, and beyond. The parts share a point, so that no gap shows. */
function split(curve: readonly CurvePoint[], at: number): { points: readonly CurvePoint[]; dashed: boolean }[] {
  const first = curve.findIndex((point) => point.n > at);
  if (first < 0) return [{ points: curve, dashed: false }];
  return [
    { points: curve.slice(0, first), dashed: false },
    { points: curve.slice(Math.max(0, first - 1)), dashed: true },
  ];
}

function samples(plot: Plot, size: Size, phase: PhaseReport): Markish[] {
  const each = phase.measured.flatMap((row) => row.samples.map((time) => ({ n: row.n, seconds: time })));
  const label = phase.measured[Math.min(phase.measured.length - 1, Math.floor(phase.measured.length * 0.4))];
  return [
    plot.dot(each, { x: "n", y: "seconds", r: 2, fill: ink.measured, fillOpacity: 0.35 }),
    plot.dot(phase.measured, {
      x: "n",
      y: "median",
      r: size.wide ? 4.5 : 4,
      fill: ink.measured,
      stroke: ink.page,
      strokeWidth: 1.5,
      title: (row: PhaseReport["measured"][number]) =>
        `${tokens(row.n)} tokens: ${seconds(row.median)}, from ${seconds(row.fastest)} to ${seconds(row.slowest)}`,
    }),
    plot.text(label === undefined ? [] : [label], {
      x: "n",
      y: "median",
      text: () => "measured",
      dx: 9,
      dy: 12,
      textAnchor: "start",
      fill: ink.measured,
      fontWeight: 600,
    }),
  ];
}
