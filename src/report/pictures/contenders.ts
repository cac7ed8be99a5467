import { bytes, seconds } from "../../base/format.js";
import {
  apart,
  frame,
  ink,
  innerHeight,
  innerWidth,
  lengthAxis,
  type Picture,
  textWidth,
  verticalAxis,
} from "./drawing.js";
import { timeTick, timeTicks } from "../labels.js";

/** One contender's line: values over lengths, both positive. */
export interface ContenderLine {
  readonly name: string;
  readonly points: readonly { readonly n: number; readonly value: number }[];
}

const colours = ["var(--part-1)", "var(--part-2)", "var(--part-3)", "var(--part-4)", "var(--part-5)", "var(--ink)"];
const dashes = ["", "6 3", "2 3"];

/** Lines of several contenders on two logarithmic axes, each named at its end. */
export function contendersPicture(
  lines: readonly ContenderLine[],
  of: "seconds" | "bytes",
  axis: string,
): Picture | null {
  const drawn = lines.filter(({ points }) => points.length > 0);
  const values = drawn.flatMap(({ points }) => points);
  if (values.length === 0) return null;
  const [from, to] = [Math.min(...values.map(({ n }) => n)), Math.max(...values.map(({ n }) => n))];
  const [low, high] = [Math.min(...values.map(({ value }) => value)), Math.max(...values.map(({ value }) => value))];
  const ticks = of === "seconds" ? timeTicks(low, high) : byteTicks(low, high);
  const label = of === "seconds" ? timeTick : bytes;
  const longest = drawn.reduce((most, { name }) => (name.length > most.length ? name : most), "");
  return {
    description: drawn
      .map(({ name, points }) => {
        const last = points.at(-1);
        return last === undefined
          ? name
          : `${name}: ${of === "seconds" ? seconds(last.value) : bytes(last.value)} at ${last.n}`;
      })
      .join("; "),
    draw: (plot, size) => {
      const height = innerHeight(size) / Math.log((high * 1.1) / (low * 0.9));
      const ends = drawn.map(({ points }) => -height * Math.log(points.at(-1)?.value ?? 1));
      const places = apart(ends, nameHeight);
      const right = Math.min(textWidth(longest, size) + 12, innerWidth(size) / 2);
      return {
        ...frame(size, { right, left: of === "bytes" ? 74 : 62 }),
        x: { type: "log", base: 2, domain: from === to ? [from / 2, to * 2] : [from, to], label: null },
        y: { type: "log", domain: [low * 0.9, high * 1.1], label: null },
        marks: [
          ...verticalAxis(plot, ticks, label),
          ...lengthAxis(plot, size, from, to, axis),
          ...drawn.flatMap(({ name, points }, index) => {
            const stroke = colours[index % colours.length] ?? ink.text;
            const strokeDasharray = dashes[Math.floor(index / colours.length) % dashes.length] ?? "";
            return [
              plot.line(points, { x: "n", y: "value", stroke, strokeWidth: 1.8, strokeDasharray }),
              plot.dot(points, { x: "n", y: "value", fill: stroke, r: 2.6 }),
              plot.text(points.slice(-1), {
                x: "n",
                y: "value",
                text: [name],
                dx: 8,
                dy: (places[index] ?? 0) - (ends[index] ?? 0),
                textAnchor: "start",
                fill: stroke,
              }),
            ];
          }),
        ],
      };
    },
  };
}

/** Pixels between the names of two lines that end close by. */
const nameHeight = 15;

/** Powers of two with at most eight of them. */
function byteTicks(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log2(low)), Math.floor(Math.log2(high))];
  const step = Math.max(1, Math.ceil((last - first) / 8));
  return Array.from(
    { length: Math.max(0, Math.floor((last - first) / step) + 1) },
    (_, index) => 2 ** (first + index * step),
  );
}
