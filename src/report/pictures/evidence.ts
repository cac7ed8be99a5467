import { seconds, tokens } from "../../base/format.js";
import type { Drawn } from "../../compare/diagnose-drawing.js";
import { ratio } from "../labels.js";
import { axisName, frame, ink, lengthAxis, type Picture, type Size, verticalAxis } from "./drawing.js";

const dotInks = [ink.measured, ink.law];
const lineInks = [ink.predicted, ink.mark];
/** Values further apart than this stand on a logarithmic axis. */
const wideRange = 6;
const tickCount = 5;

/** What a finding was seen in: points, and the laws that they follow or do not. */
export function evidencePicture({ x, y, unit, dots, lines }: Drawn): Picture | null {
  const points = dots.flatMap((series) => series.points);
  const all = [...points, ...lines.flatMap((series) => series.points)];
  if (points.length < 2) return null;
  const [left, right] = extent(all.map((point) => point.x));
  const [low, high] = extent(all.map((point) => point.y));
  const log = low > 0 && high > wideRange * low;
  const label = labelOf(unit);
  const names = [...dots, ...lines].map(({ name }) => name);
  return {
    description: `${names.join(", ")}: ${y}, from ${label(low)} to ${label(high)}.`,
    draw: (plot, size) => ({
      ...frame(size, { top: 40 }),
      height: size.wide ? 320 : 300,
      x: x === "length" ? { type: "log", domain: [left, right], label: null } : { domain: [left, right], label: null },
      y: { type: log ? "log" : "linear", domain: log ? [low / 1.1, high * 1.1] : padded(low, high), label: null },
      marks: [
        ...verticalAxis(plot, log ? logTicks(low, high) : linearTicks(low, high), label),
        ...(x === "length"
          ? lengthAxis(plot, size, left, right, "tokens")
          : [
              plot.axisX({ ticks: tickCount, tickSize: 5, stroke: ink.quiet, fill: ink.quiet }),
              axisName(plot, "seconds since the run began"),
            ]),
        ...lines.map((series, index) =>
          plot.line(series.points, { x: "x", y: "y", stroke: lineInks[index] ?? ink.mark, strokeWidth: 2 }),
        ),
        ...dots.map((series, index) =>
          plot.dot(series.points, {
            x: "x",
            y: "y",
            r: points.length > 40 ? 3 : 4.5,
            fill: dotInks[index] ?? ink.measured,
            stroke: ink.page,
            title: (point: { x: number; y: number }) =>
              `${x === "length" ? `${tokens(point.x)} tokens` : seconds(point.x)}: ${label(point.y)}`,
          }),
        ),
        ...legend(size, [
          ...dots.map(({ name }, index) => ({ text: `● ${name}`, fill: dotInks[index] ?? ink.measured })),
          ...lines.map(({ name }, index) => ({ text: `— ${name}`, fill: lineInks[index] ?? ink.mark })),
        ]).map(({ text, fill, dx, dy }) =>
          plot.text([text], { frameAnchor: "top-left", dx, dy, fill, fontWeight: 600, textAnchor: "start" }),
        ),
      ],
    }),
  };
}

function extent(values: readonly number[]): [low: number, high: number] {
  return [Math.min(...values), Math.max(...values)];
}

function padded(low: number, high: number): [low: number, high: number] {
  const room = 0.06 * (high - low || Math.abs(high) || 1);
  return [low >= 0 && low < room ? low : low - room, high + room];
}

function labelOf(unit: Drawn["unit"]): (value: number) => string {
  if (unit === "seconds") return seconds;
  return unit === "times" ? ratio : (value) => `${Math.round(100 * value)} %`;
}

/** Round numbers on a linear axis. */
function linearTicks(low: number, high: number): number[] {
  const rough = (high - low || 1) / tickCount;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

function logTicks(low: number, high: number): number[] {
  const from = Math.floor(Math.log10(low));
  const decades = Array.from({ length: Math.ceil(Math.log10(high)) - from + 1 }, (_, index) => 10 ** (from + index));
  const each = decades.length > 3 ? [1] : [1, 2, 5];
  return decades.flatMap((ten) => each.map((factor) => factor * ten)).filter((tick) => tick >= low && tick <= high);
}

interface Entry {
  readonly text: string;
  readonly fill: string;
}

/** Names above the picture: side by side where there is room, else one below the other. */
function legend(size: Size, entries: readonly Entry[]): (Entry & { readonly dx: number; readonly dy: number })[] {
  let dx = 0;
  let row = 0;
  const width = size.width - frame(size).marginLeft - frame(size).marginRight;
  return entries.map((entry) => {
    const wide = entry.text.length * (size.wide ? 8.2 : 7.4) + 18;
    if (dx > 0 && dx + wide > width) {
      dx = 0;
      row += 1;
    }
    const placed = { ...entry, dx, dy: -36 + 15 * row };
    dx += wide;
    return placed;
  });
}
