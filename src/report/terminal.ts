import { bytes, parameterCount, seconds, threadCount, tokens } from "../base/format.js";
import type { PhaseReport, ReportData } from "./data.js";
import { columnUnit, inUnit, levelText, printable, ratio } from "./labels.js";
import { agreement } from "./measured.js";
import { type Cell, type Column, type Style, table } from "./table.js";
import { terminalPlot } from "./terminal-plot.js";
import { answer, doubts, mainPhase, phaseTitle } from "./words.js";

export interface TerminalOptions {
  readonly style: Style;
  /** Columns of the terminal. */
  readonly columns: number;
}

const widestPlot = 90;
const plotHeight = 22;

/** The report for a terminal: what was looked at, a table per phase, T(n) as a picture, the answer in three sentences. */
export function terminalReport(data: ReportData, options: TerminalOptions): string {
  const { style } = options;
  const main = mainPhase(data);
  const sections = [
    headline(data, style),
    ...data.phases.flatMap((phase) => [phaseTable(phase, style), jointTable(phase, style)]),
    main === null ? "" : timePlot(main, options),
    findings(data, style),
    warnings(data, style),
    statements(data, options),
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

function headline(data: ReportData, style: Style): string {
  const { model, run, prediction } = data;
  const facts = model.parameters === null ? [] : [`${parameterCount(model.parameters.total)} parameters`];
  if (model.contextLength !== null) facts.push(`made for ${tokens(model.contextLength)} tokens`);
  if (run !== null) {
    facts.push(...ranOn(run));
  } else if (prediction !== null) {
    facts.push(`predicted for ${prediction.device} with ${prediction.engine}`);
  }
  return `${style("bold", printable(model.name))}\n${style("dim", facts.map(printable).join(" · "))}`;
}

/** Where the steps ran and with what; a server is named by its address, not by the machine that asked it. */
function ranOn({ machine, runtime, server }: NonNullable<ReportData["run"]>): string[] {
  if (server !== null) return [`served at ${server.address}`, server.engine];
  const threads = runtime.threads === null ? [] : [threadCount(runtime.threads)];
  const kind = [runtime.dtype, runtime.attention === null ? null : `${runtime.attention} attention`];
  return [
    [machine.cpu, ...threads].join(", "),
    [`${runtime.name} ${runtime.version}`, ...kind.filter((part) => part !== null)].join(", "),
  ];
}

/** Prefills that continue: seconds of each length after each number of cached tokens. */
function jointTable({ joint }: PhaseReport, style: Style): string {
  if (joint === null) return "";
  const depths = [...new Set(joint.points.map(({ cached }) => cached))];
  const lengths = [...new Set(joint.points.map(({ n }) => n))];
  const unit = columnUnit(joint.points.map(({ seconds: value }) => value));
  const columns: Column[] = [
    { title: "length", unit: "tokens", align: "right" },
    ...depths.map((cached): Column => ({ title: `after ${tokens(cached)}`, unit: unit.name, align: "right" })),
  ];
  const rows = lengths.map((n): Cell[] => [
    { text: tokens(n) },
    ...depths.map((cached): Cell => {
      const at = joint.points.find((point) => point.n === n && point.cached === cached);
      if (at === undefined) return { text: "" };
      return at.factor > 1 ? { text: inUnit(at.seconds, unit), style: "dim" } : { text: inUnit(at.seconds, unit) };
    }),
  ]);
  const law = `law over n new and c cached tokens: ${joint.expression} seconds`;
  return `${style("bold", "Prefill after cached tokens")} ${style("dim", law)}\n${table(columns, rows, style)}`;
}

/** Measured beside predicted, a row per length; lengths that were only predicted follow where nothing was measured. */
export function phaseTable(phase: PhaseReport, style: Style): string {
  const compared = new Map((agreement(phase)?.rows ?? []).map((row) => [row.measured.n, row]));
  const points = phase.prediction?.points ?? [];
  const hasMeasured = phase.measured.length > 0;
  const hasPredicted = hasMeasured ? compared.size > 0 : points.length > 0;
  if (!hasMeasured && !hasPredicted) return "";
  const unit = columnUnit([
    ...phase.measured.map((row) => row.median),
    ...(hasMeasured ? [] : points.map((point) => point.seconds)),
  ]);
  const columns: Column[] = [
    { title: phase.phase === "decode" ? "context" : "length", unit: "tokens", align: "right" },
  ];
  if (hasMeasured) {
    columns.push(
      { title: "measured", unit: unit.name, align: "right" },
      { title: "spread", unit: unit.name, align: "right" },
      { title: "repeats", unit: "", align: "right" },
    );
  }
  if (hasPredicted) {
    columns.push(
      { title: "predicted", unit: unit.name, align: "right" },
      { title: `${levelText(phase.prediction?.level ?? Number.NaN)} interval`, unit: unit.name, align: "right" },
    );
  }
  if (compared.size > 0)
    columns.push({ title: "ratio", unit: "", align: "right" }, { title: "", unit: "", align: "left" });
  if (!hasMeasured) columns.push({ title: "exponent", unit: "", align: "right" });

  const interval = (low: number, high: number): string => `${inUnit(low, unit)}–${inUnit(high, unit)}`;
  const rows = hasMeasured
    ? phase.measured.map((row): Cell[] => {
        const beside = compared.get(row.n);
        const cells: Cell[] = [
          { text: tokens(row.n) },
          { text: inUnit(row.median, unit), style: "bold" },
          { text: row.samples.length === 1 ? "" : interval(row.fastest, row.slowest), style: "dim" },
          { text: String(row.samples.length), style: "dim" },
        ];
        if (beside === undefined) return cells;
        const { predicted, inside } = beside;
        return [
          ...cells,
          { text: inUnit(predicted.seconds, unit) },
          { text: interval(predicted.low, predicted.high), style: "dim" },
          { text: ratio(beside.ratio) },
          inside ? { text: "inside", style: "green" } : { text: "outside", style: "yellow" },
        ];
      })
    : points.map((point): Cell[] => [
        { text: tokens(point.n) },
        { text: inUnit(point.seconds, unit), style: "bold" },
        { text: interval(point.low, point.high), style: "dim" },
        { text: point.exponent === null ? "" : point.exponent.toFixed(2) },
      ]);
  const batch = phase.batch === 1 ? "" : `, batch ${phase.batch}`;
  return `${style("bold", `${phaseTitle(phase.phase)}${batch}`)}\n${table(columns, rows, style)}`;
}

function timePlot(phase: PhaseReport, options: TerminalOptions): string {
  const { prediction, law } = phase;
  const longest = Math.max(law?.curve.at(-1)?.n ?? 0, phase.measured.at(-1)?.n ?? 0) || Number.POSITIVE_INFINITY;
  const lines = [
    ...(law === null
      ? []
      : [
          {
            label: `law, beyond ${tokens(law.to)} extrapolated`,
            points: law.curve,
            emphasis: "yellow",
            pattern: "dotted",
          } as const,
        ]),
    ...(prediction === null
      ? []
      : [
          {
            label: "predicted",
            points: prediction.curve.filter((point) => point.n <= longest),
            emphasis: "blue",
            pattern: "solid",
          } as const,
        ]),
  ];
  const points = phase.measured.map(({ n, median }) => ({ n, seconds: median }));
  const picture = terminalPlot(
    {
      lines,
      dots: points.length === 0 ? [] : [{ label: "measured", points, emphasis: "bold" }],
      width: Math.min(widestPlot, options.columns),
      height: plotHeight,
    },
    options.style,
  );
  const axes = `time over ${phase.phase === "decode" ? "tokens of context" : "tokens"}, both logarithmic`;
  const title = `${options.style("bold", phaseTitle(phase.phase))} ${options.style("dim", axes)}`;
  return picture === "" ? "" : `${title}\n${picture}`;
}

/** What ails the prefills; `nsquared explain` and the page say what to try. */
function findings({ diagnosis }: ReportData, style: Style): string {
  return (diagnosis?.findings ?? [])
    .map(({ cause, alike, evidence }) => `${style("yellow", [cause, ...alike].join(" or "))} ${printable(evidence)}`)
    .join("\n");
}

function warnings(data: ReportData, style: Style): string {
  return doubts(data)
    .map((message) => `${style("yellow", "warning")} ${printable(message)}`)
    .join("\n");
}

function statements(data: ReportData, options: TerminalOptions): string {
  const limits: string[] = [];
  const full = data.limits.memory?.n;
  if (full !== undefined) {
    limits.push(full === 0 ? "memory does not even hold the weights" : `memory is full at ${tokens(full)} tokens`);
  }
  if (data.model.cache !== null) limits.push(`the KV cache takes ${bytes(data.model.cache.bytesPerToken)} per token`);
  if (data.run !== null) limits.push(`measuring took ${seconds(data.run.seconds)}`);
  const lines = answer(data).map(({ label, text }) =>
    wrap(`${label}: ${text}`, options.columns, options.style, label.length + 1),
  );
  const last =
    limits.length === 0
      ? []
      : [
          options.style(
            "dim",
            wrap(`Also: ${limits.join("; ")}.`, options.columns, (_format, text) => text, 0),
          ),
        ];
  return [...lines, ...last].join("\n");
}

/** Broken at blanks to the width of the terminal; the first `bold` characters are set off. */
function wrap(text: string, columns: number, style: Style, bold: number): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= Math.max(20, columns))
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  const [first = "", ...rest] = lines;
  return [bold === 0 ? first : style("bold", first.slice(0, bold)) + first.slice(bold), ...rest].join("\n");
}
