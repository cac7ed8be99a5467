import { tokens } from "../../base/format.js";
import type { PhaseReport } from "../data.js";
import { levelText, ratio } from "../labels.js";
import { type Agreement, agreement, type Compared } from "../measured.js";
import { phaseTitle } from "../words.js";
import { axisName, bandOpacity, frame, ink, type Picture, verticalAxis } from "./drawing.js";

/** Measured over predicted at each length, with the prediction's interval around 1. Lengths stand side by side. */
export function ratioPicture(phase: PhaseReport): Picture | null {
  const found = agreement(phase);
  if (found === null || found.rows.length < 2) return null;
  const level = levelText(phase.prediction?.level ?? Number.NaN);
  const { low, high } = bounds(found);
  return {
    description: `${phaseTitle(phase.phase)}: measured over predicted time from ${ratio(found.lowestRatio)} to ${ratio(found.highestRatio)}; ${found.inside} of ${found.rows.length} lengths inside the ${level} interval.`,
    draw: (plot, size) => ({
      ...frame(size),
      height: size.wide ? 300 : 280,
      x: { type: "point", domain: found.rows.map((row) => tokens(row.measured.n)), label: null, padding: 0.6 },
      y: { type: "log", domain: [low, high], label: null },
      marks: [
        ...verticalAxis(plot, ratioTicks(low, high), (value) => `${value}×`),
        plot.axisX({ tickSize: 5, stroke: ink.quiet, fill: ink.quiet }),
        plot.ruleY([1], { stroke: ink.predicted, strokeWidth: 1.5 }),
        plot.ruleX(found.rows, {
          x: lengthOf,
          y1: (row: Compared) => Math.max(low, row.predicted.low / row.predicted.seconds),
          y2: (row: Compared) => Math.min(high, row.predicted.high / row.predicted.seconds),
          stroke: ink.predicted,
          strokeOpacity: bandOpacity * 1.6,
          strokeWidth: size.wide ? 34 : 20,
        }),
        plot.ruleX(found.rows, {
          x: lengthOf,
          y1: (row: Compared) => row.measured.fastest / row.predicted.seconds,
          y2: (row: Compared) => row.measured.slowest / row.predicted.seconds,
          stroke: ink.measured,
          strokeWidth: 1.5,
        }),
        plot.dot(found.rows, {
          x: lengthOf,
          y: "ratio",
          r: 5,
          fill: (row: Compared) => (row.inside ? ink.measured : ink.page),
          stroke: (row: Compared) => (row.inside ? ink.page : ink.mark),
          strokeWidth: 2,
          title: (row: Compared) =>
            `${lengthOf(row)} tokens: ${ratio(row.ratio)}, ${row.inside ? "inside" : "outside"}`,
        }),
        plot.text(found.rows, {
          x: lengthOf,
          y: "ratio",
          text: (row: Compared) => ratio(row.ratio),
          dx: size.wide ? 12 : 0,
          dy: size.wide ? 0 : -14,
          textAnchor: size.wide ? "start" : "middle",
          fill: (row: Compared) => (row.inside ? ink.text : ink.mark),
          stroke: ink.page,
          strokeWidth: 4,
          fontWeight: 600,
        }),
        axisName(plot, phase.phase === "decode" ? "tokens of context" : "tokens"),
      ],
    }),
  };
}

function lengthOf(row: Compared): string {
  return tokens(row.measured.n);
}

/** An axis symmetric around 1, wide enough for dots, spreads and finite intervals. */
function bounds(found: Agreement): { low: number; high: number } {
  const values = found.rows.flatMap(({ measured, predicted, ratio: middle }) => [
    middle,
    measured.fastest / predicted.seconds,
    measured.slowest / predicted.seconds,
    Math.min(4, predicted.high / predicted.seconds),
    Math.max(0.25, predicted.low / predicted.seconds),
  ]);
  const farthest = Math.max(...values.map((value) => Math.abs(Math.log(value))), Math.log(1.2));
  return { low: Math.exp(-farthest * 1.15), high: Math.exp(farthest * 1.15) };
}

function ratioTicks(low: number, high: number): number[] {
  const near = [0.8, 0.9, 1, 1.1, 1.25];
  const far = [0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100];
  const ticks = high < 1.7 ? near : [0.5, 0.67, 0.8, 1, 1.25, 1.5, 2];
  return (high < 2.5 ? ticks : far).filter((tick) => tick >= low && tick <= high);
}
