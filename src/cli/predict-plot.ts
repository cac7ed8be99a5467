import type { Deployment } from "../predict/deployment.js";
import { splitAt } from "../predict/split.js";
import type { Style } from "../report/table.js";
import { type PlotLine, terminalPlot } from "../report/terminal-plot.js";
import { geometric } from "../study/report-parts.js";

const widest = 100;
const rows = 22;
/** Lengths that the lines are drawn through, per doubling. */
const density = 4;

/** Seconds of a deployment between two lengths, for a terminal of that many columns. */
export function predictPlot(deployment: Deployment, from: number, to: number, columns: number, style: Style): string {
  const { prefill, decode } = deployment;
  const lengths = geometric(from, to, density);
  const line = (label: string, seconds: (n: number) => number): Omit<PlotLine, "emphasis" | "pattern"> => ({
    label,
    points: lengths.map((n) => ({ n, seconds: seconds(n) })),
  });
  const attention = (n: number): number =>
    splitAt(prefill, n).parts.find(({ name }) => name === "attention")?.seconds ?? 0;
  return terminalPlot(
    {
      lines: [
        { ...line("attention in prefill", attention), emphasis: "magenta", pattern: "dotted" },
        { ...line("prefill", prefill.seconds), emphasis: "blue", pattern: "solid" },
        ...(decode === null
          ? []
          : [{ ...line("decode / token", decode.seconds), emphasis: "green", pattern: "solid" } as const]),
      ],
      dots: [],
      width: Math.min(columns, widest),
      height: rows,
    },
    style,
  );
}
