import { tokens } from "../base/format.js";
import { lengthTicks, timeTick, timeTicks } from "./labels.js";
import { displayWidth, type Emphasis, type Style } from "./table.js";

/** A point of T(n): both positive. */
export interface TimePoint {
  readonly n: number;
  readonly seconds: number;
}

export interface PlotLine {
  readonly label: string;
  /** Sorted by n; drawn straight between points on logarithmic axes. */
  readonly points: readonly TimePoint[];
  readonly emphasis: Emphasis;
  /** Lines stay apart without colours too. */
  readonly pattern: "solid" | "dotted";
}

export interface PlotDots {
  readonly label: string;
  readonly points: readonly TimePoint[];
  readonly emphasis: Emphasis;
}

export interface TerminalPlot {
  /** Later lines lie over earlier ones; dots lie over all lines. */
  readonly lines: readonly PlotLine[];
  readonly dots: readonly PlotDots[];
  /** Columns and rows of the whole picture, labels included. */
  readonly width: number;
  readonly height: number;
}

/** A braille character holds 2 × 4 dots; the bit of each, by row and column (Unicode 15, block U+2800). */
const bits = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;
const across = 2;
const down = 4;
const dotSymbol = "●";
/** One dot in this many columns of a dotted line. */
const dottedEvery = 3;

interface CanvasCell {
  bits: number;
  symbol: string | null;
  emphasis: Emphasis | null;
}

interface Scale {
  readonly low: number;
  readonly high: number;
}

function scaleOf(values: readonly number[], margin: number): Scale {
  const logs = values.map(Math.log);
  const low = Math.min(...logs);
  const high = Math.max(...logs);
  const extra = high > low ? margin * (high - low) : 0.5;
  return { low: low - extra, high: high + extra };
}

/** Position of a value on a logarithmic scale: 0 at the low end, 1 at the high one. */
function positionOn(scale: Scale, value: number): number {
  return (Math.log(value) - scale.low) / (scale.high - scale.low);
}

/**
 * T(n) on two logarithmic axes, for a terminal. Lines are drawn in braille dots: with four dots to a row a picture of 18
 * rows over three decades shows differences of 10 %, which one character per row (40 %) hides. The kept chart
 * packages draw one character per row and tell several series apart by colour alone.
 *
 * @returns lines without trailing blanks, or an empty text where there is nothing to draw or no room for it
 */
export function terminalPlot(plot: TerminalPlot, style: Style): string {
  const drawable = ({ n, seconds }: TimePoint): boolean => n > 0 && seconds > 0 && Number.isFinite(n * seconds);
  const lines = plot.lines.map((line) => ({ ...line, points: line.points.filter(drawable) }));
  const dots = plot.dots.flatMap(({ points, emphasis }) =>
    points.filter(drawable).map((point) => ({ point, emphasis })),
  );
  const usable = [...lines.flatMap((line) => line.points), ...dots.map(({ point }) => point)];
  if (usable.length === 0) return "";
  const x = scaleOf(
    usable.map((point) => point.n),
    0.02,
  );
  const y = scaleOf(
    usable.map((point) => point.seconds),
    0.05,
  );
  const ticks = timeTicks(Math.exp(y.low), Math.exp(y.high));
  const labelWidth = Math.max(...ticks.map((tick) => displayWidth(timeTick(tick))), 1);
  const columns = plot.width - labelWidth - 2;
  const rows = plot.height - 4;
  if (columns < 16 || rows < 4) return "";

  const canvas = Array.from({ length: rows }, () =>
    Array.from({ length: columns }, (): CanvasCell => ({ bits: 0, symbol: null, emphasis: null })),
  );
  const cellAt = (column: number, row: number) => canvas[row]?.[column];
  for (const line of lines) drawLine(line, x, y, columns, rows, cellAt);
  for (const { point, emphasis } of dots) {
    const cell = cellAt(
      Math.min(columns - 1, Math.floor(positionOn(x, point.n) * columns)),
      Math.min(rows - 1, Math.floor((1 - positionOn(y, point.seconds)) * rows)),
    );
    if (cell !== undefined) Object.assign(cell, { symbol: dotSymbol, emphasis });
  }

  const tickRows = new Map(ticks.map((tick) => [Math.floor((1 - positionOn(y, tick)) * rows), timeTick(tick)]));
  const body = canvas.map((cells, row) => {
    const label = tickRows.get(row);
    const axis = `${" ".repeat(labelWidth - displayWidth(label ?? ""))}${label ?? ""} ${label === undefined ? "│" : "┤"}`;
    return style("dim", axis) + drawRow(cells, style);
  });
  const [axis, labels] = lengthAxis(x, columns, labelWidth);
  return [...body, style("dim", axis), style("dim", labels), "", legend(plot, style)].join("\n");
}

function drawLine(
  line: PlotLine,
  x: Scale,
  y: Scale,
  columns: number,
  rows: number,
  cellAt: (column: number, row: number) => CanvasCell | undefined,
): void {
  const width = columns * across;
  const height = rows * down;
  let previous: number | null = null;
  for (let column = 0; column < width; column += 1) {
    const logN = x.low + ((column + 0.5) / width) * (x.high - x.low);
    const logSeconds = interpolate(line.points, logN);
    if (logSeconds === null) {
      previous = null;
      continue;
    }
    const dot = Math.floor((1 - (logSeconds - y.low) / (y.high - y.low)) * height);
    if (line.pattern === "solid" || column % dottedEvery === 0) {
      // A steep line skips dots from one column to the next; they are filled in.
      const from = previous === null || line.pattern === "dotted" ? dot : previous + Math.sign(dot - previous);
      for (let at = Math.min(from, dot); at <= Math.max(from, dot); at += 1) {
        const cell = cellAt(Math.floor(column / across), Math.floor(at / down));
        if (cell === undefined) continue;
        cell.bits |= bits[at % down]?.[column % across] ?? 0;
        cell.emphasis = line.emphasis;
      }
    }
    previous = dot;
  }
}

/** log seconds at log n on the straight lines between points, or null outside them. */
function interpolate(points: readonly TimePoint[], logN: number): number | null {
  const right = points.findIndex((point) => Math.log(point.n) >= logN);
  const after = points[right];
  const before = points[right - 1];
  if (after === undefined || before === undefined) return null;
  const from = Math.log(before.n);
  const share = (logN - from) / (Math.log(after.n) - from);
  return Math.log(before.seconds) * (1 - share) + Math.log(after.seconds) * share;
}

function drawRow(cells: readonly CanvasCell[], style: Style): string {
  let text = "";
  let run = "";
  let emphasis: Emphasis | null = null;
  const flush = (): void => {
    text += emphasis === null || run.trim() === "" ? run : style(emphasis, run);
    run = "";
  };
  const end = cells.findLastIndex((cell) => cell.bits !== 0 || cell.symbol !== null) + 1;
  for (const cell of cells.slice(0, end)) {
    if (cell.emphasis !== emphasis) flush();
    emphasis = cell.emphasis;
    run += cell.symbol ?? (cell.bits === 0 ? " " : String.fromCodePoint(0x2800 + cell.bits));
  }
  flush();
  return text;
}

function lengthAxis(x: Scale, columns: number, labelWidth: number): [string, string] {
  const margin = " ".repeat(labelWidth + 1);
  const axis = Array.from({ length: columns }, () => "─");
  let labels = "";
  const ticks = lengthTicks(Math.exp(x.low), Math.exp(x.high), Math.max(2, Math.floor(columns / 7)));
  for (const tick of ticks) {
    const column = Math.min(columns - 1, Math.floor(positionOn(x, tick) * columns));
    const label = tokens(tick);
    const start = Math.max(0, column - Math.floor(label.length / 2));
    if (start < labels.length + (labels === "" ? 0 : 1)) continue;
    axis[column] = "┬";
    labels += " ".repeat(start - labels.length) + label;
  }
  return [`${margin}└${axis.join("")}`, `${margin} ${labels}`];
}

/** What is drawn how, in as many lines as it takes. */
function legend(plot: TerminalPlot, style: Style): string {
  const items = [
    ...plot.dots.map((dots) => ({ ...dots, symbol: dotSymbol })),
    ...plot.lines.map((line) => ({ ...line, symbol: line.pattern === "solid" ? "──" : "· ·" })),
  ];
  const between = "   ";
  let text = "";
  let column = 0;
  for (const { symbol, label, emphasis } of items) {
    const width = displayWidth(`${symbol} ${label}`);
    const fits = column + between.length + width <= plot.width;
    if (column > 0) text += fits ? between : "\n";
    text += `${style(emphasis, symbol)} ${label}`;
    column = (column > 0 && fits ? column + between.length : 0) + width;
  }
  return text;
}
