import { bytes, percent, seconds, significant, tokens } from "../base/format.js";
import { printable } from "./labels.js";
import { html, type Markup } from "./markup.js";
import { pageOf } from "./page.js";
import { contendersPicture } from "./pictures/contenders.js";
import { loadDrawing } from "./pictures/drawing.js";
import { type Style, table } from "./table.js";
import { terminalPlot } from "./terminal-plot.js";

/** What a comparison's report says. Times in seconds, sizes in bytes, lengths in tokens. */
export interface ComparisonData {
  readonly run: string;
  readonly status: string;
  readonly seconds: number;
  readonly contenders: readonly ContenderData[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly warnings: readonly { readonly message: string }[];
}

interface ContenderData {
  readonly name: string;
  readonly summary: string;
  readonly model: string;
  readonly parameters: number;
  readonly notes: readonly string[];
  readonly phases: readonly PhaseData[];
  readonly memory: readonly { readonly n: number; readonly predicted: number; readonly measured: number | null }[];
  readonly request: {
    readonly prompt: number;
    readonly answer: number;
    readonly firstToken: number;
    readonly seconds: { readonly value: number; readonly low: number; readonly high: number };
    readonly factor: number;
    readonly canTell: boolean;
  } | null;
}

interface PhaseData {
  readonly phase: string;
  readonly points: readonly {
    readonly n: number;
    readonly seconds: number;
    readonly fastest: number;
    readonly slowest: number;
    readonly tokensPerSecond: number;
    readonly predicted: number | null;
  }[];
  readonly law: { readonly kind: string } | null;
  readonly exponent: {
    readonly n: number;
    readonly value: number;
    readonly low: number | null;
    readonly high: number | null;
  } | null;
  readonly overtake: {
    readonly kind: "overtakes" | "always" | "never";
    readonly n: number | null;
    readonly low: number | null;
    readonly high: number | null;
    readonly predicted: { readonly flops: number | null; readonly seconds: number | null; readonly known: boolean };
  } | null;
}

const titles = {
  prefill: "Prefill: seconds to read n tokens",
  decode: "Decode: seconds per token at a context of n tokens",
};

/** The two questions, whichever way a contender answers the second. */
function phasesOf(data: ComparisonData, which: "prefill" | "decode"): { contender: ContenderData; phase: PhaseData }[] {
  return data.contenders.flatMap((contender) =>
    contender.phases
      .filter(({ phase }) => (which === "prefill") === (phase === "prefill"))
      .map((phase) => ({ contender, phase })),
  );
}

/** The comparison for a terminal: a table and a plot per phase, then memory, requests, and what was left out. */
export function comparisonText(data: ComparisonData, { style, columns }: { style: Style; columns: number }): string {
  const sections = (["prefill", "decode"] as const).flatMap((which) => {
    const rows = phasesOf(data, which);
    if (rows.length === 0) return [];
    return [
      style("bold", titles[which]),
      timeTable(rows, style),
      lawTable(rows, data, style),
      plotOf(rows, columns, style),
    ];
  });
  return [
    introduction(data),
    ...sections,
    memoryTable(data, style),
    requestTable(data, style),
    [
      ...data.skipped.map(({ name, reason }) => `skipped ${name}: ${reason}`),
      ...data.warnings.map(({ message }) => `warning: ${message}`),
      `run: ${data.run} (${data.status} in ${seconds(data.seconds)})`,
    ].join("\n"),
  ]
    .filter((text) => text !== "")
    .join("\n\n");
}

/** Who is compared; what was scaled is said once where it holds for all. */
function introduction({ contenders }: ComparisonData): string {
  const [first] = contenders;
  const common = (first?.notes ?? []).filter((note) => contenders.every(({ notes }) => notes.includes(note)));
  const lines = contenders.map(
    ({ name, summary, notes }) => `${name}: ${[summary, ...notes.filter((note) => !common.includes(note))].join("; ")}`,
  );
  return [...lines, ...common].join("\n");
}

type Rows = ReturnType<typeof phasesOf>;

function lengthsOf(rows: Rows): number[] {
  return [...new Set(rows.flatMap(({ phase }) => phase.points.map(({ n }) => n)))].sort((a, b) => a - b);
}

/** Medians by length, and the rate at each one's longest. */
function timeRows(rows: Rows): string[][] {
  const lengths = lengthsOf(rows);
  return rows.map(({ contender, phase }) => [
    contender.name,
    ...lengths.map((n) => {
      const point = phase.points.find((one) => one.n === n);
      return point === undefined ? "–" : seconds(point.seconds);
    }),
    significant(phase.points.at(-1)?.tokensPerSecond ?? Number.NaN),
  ]);
}

const timeTitles = (rows: Rows): string[] => ["", ...lengthsOf(rows).map(tokens), "tokens/s at the longest"];

function timeTable(rows: Rows, style: Style): string {
  const [first = "", ...others] = timeTitles(rows);
  return table([first, ...others.map((title) => ({ title, align: "right" as const }))], timeRows(rows), style);
}

function lawCells(phase: PhaseData): string[] {
  const { exponent, overtake, law } = phase;
  const last = phase.points.at(-1);
  const ratio =
    last === undefined || last.predicted === null ? "–" : `${significant(last.seconds / last.predicted, 2)}×`;
  return [
    exponent === null ? "–" : exponentText(exponent),
    law?.kind ?? "–",
    overtake === null ? "–" : overtakeText(overtake),
    overtake?.predicted.known === true ? predictedText(overtake.predicted.seconds) : "–",
    overtake === null ? "–" : predictedText(overtake.predicted.flops),
    ratio,
  ];
}

const lawTitles = (baseline: string): string[] => [
  "",
  "local exponent",
  "law",
  `overtakes ${baseline} at`,
  "predicted",
  "in FLOPs",
  "measured/predicted",
];

function lawRows(rows: Rows): string[][] {
  return rows.map(({ contender, phase }) => [contender.name, ...lawCells(phase)]);
}

function lawTable(rows: Rows, data: ComparisonData, style: Style): string {
  return table(lawTitles(data.contenders[0]?.name ?? ""), lawRows(rows), style);
}

function exponentText({ value, low, high }: NonNullable<PhaseData["exponent"]>): string {
  const range = low === null || high === null ? "" : ` (${significant(low)} – ${significant(high)})`;
  return `${significant(value)}${range}`;
}

function overtakeText({ kind, n, low, high }: NonNullable<PhaseData["overtake"]>): string {
  if (kind === "always") return "every length measured";
  if (kind === "never" || n === null) return "no length measured";
  const end = (value: number | null): string => (value === null ? "?" : tokens(Math.round(value)));
  return `${tokens(Math.round(n))} (${end(low)} – ${end(high)})`;
}

function predictedText(n: number | null): string {
  if (n === null) return "never";
  return n <= 1 ? "every length" : tokens(Math.round(n));
}

const plotHeight = 18;
const inks = ["red", "cyan", "green", "magenta", "yellow", "blue"] as const;

function plotOf(rows: Rows, columns: number, style: Style): string {
  // A line needs two lengths.
  if (lengthsOf(rows).length < 2) return "";
  return terminalPlot(
    {
      lines: rows.map(({ contender, phase }, index) => ({
        label: contender.name,
        points: phase.points.map(({ n, seconds: value }) => ({ n, seconds: value })),
        emphasis: inks[index % inks.length] ?? "red",
        pattern: index % 2 === 0 ? "solid" : "dotted",
      })),
      dots: [],
      width: Math.min(columns, 100),
      height: plotHeight,
    },
    style,
  );
}

function memoryTable(data: ComparisonData, style: Style): string {
  const lengths = [...new Set(data.contenders.flatMap(({ memory }) => memory.map(({ n }) => n)))].sort((a, b) => a - b);
  if (lengths.length === 0) return "";
  const rows = data.contenders.map(({ name, memory }) => [
    name,
    ...lengths.map((n) => {
      const point = memory.find((one) => one.n === n);
      if (point === undefined) return "–";
      return point.measured === null
        ? `(${bytes(point.predicted)})`
        : `${bytes(point.measured)} (${bytes(point.predicted)})`;
    }),
  ]);
  const head = ["", ...lengths.map((n) => ({ title: tokens(n), align: "right" as const }))];
  return `${style("bold", "Memory of a prefill: measured (predicted)")}\n${table(head, rows, style)}`;
}

/** A document read and answered: its title and table, the first contender's time the measure; null where nobody was asked. */
function requestOf({ contenders }: ComparisonData): { title: string; heads: string[]; rows: string[][] } | null {
  const asked = contenders.flatMap(({ name, request }) => (request === null ? [] : [{ name, ...request }]));
  const [first] = asked;
  if (first === undefined) return null;
  return {
    title: `A document of ${tokens(first.prompt)} tokens read and answered in ${tokens(first.answer)}`,
    heads: ["", "first token after", "all after", "interval", "of the first", "× the longest measured"],
    rows: asked.map(({ name, firstToken, seconds: all, factor, canTell }) => [
      name,
      seconds(firstToken),
      seconds(all.value),
      canTell ? `${seconds(all.low)} – ${seconds(all.high)}` : "the samples can't tell",
      percent(all.value / first.seconds.value),
      significant(factor),
    ]),
  };
}

function requestTable(data: ComparisonData, style: Style): string {
  const request = requestOf(data);
  return request === null ? "" : `${style("bold", request.title)}\n${table(request.heads, request.rows, style)}`;
}

function pageTable(heads: readonly string[], rows: readonly (readonly string[])[]): Markup {
  return html`<div class="scroll"><table><thead><tr>${heads.map((head) => html`<th scope="col">${printable(head)}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${printable(cell)}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** The comparison as one HTML page with pictures. */
export async function comparisonPage(data: ComparisonData, version: string, created: string): Promise<string> {
  const draw = await loadDrawing();
  const [baseline] = data.contenders;
  const names = data.contenders.map(({ name }) => name).join(", ");
  const figure = (picture: Parameters<typeof draw>[0] | null, title: string, caption: string): Markup | null =>
    picture === null
      ? null
      : html`<figure><figcaption><h3>${title}</h3><p>${caption}</p></figcaption>${draw(picture)}</figure>`;
  const phases = (["prefill", "decode"] as const).map((which): Markup | null => {
    const rows = phasesOf(data, which);
    if (rows.length === 0) return null;
    const lines = rows.map(({ contender, phase }) => ({
      name: contender.name,
      points: phase.points.map(({ n, seconds: value }) => ({ n, value })),
    }));
    return html`<section><h2>${titles[which]}</h2>
${figure(contendersPicture(lines, "seconds", which === "prefill" ? "tokens" : "tokens of context"), "Time", "Medians of the measured times on logarithmic axes: the steeper a line, the higher its power of the length.")}
${pageTable(timeTitles(rows), timeRows(rows))}
${pageTable(lawTitles(baseline?.name ?? ""), lawRows(rows))}</section>`;
  });
  const memory = data.contenders.flatMap(({ name, memory: points }) => {
    const measured = points.flatMap(({ n, measured: value }) => (value === null ? [] : [{ n, value }]));
    const predicted = points.map(({ n, predicted: value }) => ({ n, value }));
    return points.length === 0 ? [] : [{ name, points: measured.length > 1 ? measured : predicted }];
  });
  const request = requestOf(data);
  return pageOf(
    `${printable(names)}: which is faster from which length on`,
    version,
    created,
    html`<header><p class="kicker">Compared on one machine, in interleaved rounds</p><h1>${printable(names)}</h1>
<dl>${data.contenders.map(({ name, summary, notes }) => html`<dt>${printable(name)}</dt><dd>${printable([summary, ...notes].join("; "))}</dd>`)}</dl>
${data.warnings.length + data.skipped.length === 0 ? null : html`<div class="warnings" role="note">${data.warnings.map(({ message }) => html`<p><b>Mind:</b> ${printable(message)}</p>`)}${data.skipped.map(({ name, reason }) => html`<p><b>Skipped:</b> ${printable(`${name}: ${reason}`)}</p>`)}</div>`}</header>
${phases}
${memory.length === 0 ? null : html`<section><h2>Memory of a prefill</h2>${figure(contendersPicture(memory, "bytes", "tokens"), "Memory", "Measured in a process of its own where two lengths and more were; else predicted.")}</section>`}
${request === null ? null : html`<section><h2>${request.title}</h2>${pageTable(request.heads, request.rows)}</section>`}`,
  );
}
