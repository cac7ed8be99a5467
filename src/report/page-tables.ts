import { bytes, tokens } from "../base/format.js";
import type { MemoryReport, PartsPoint, PhaseReport } from "./data.js";
import { aboutTokens, columnUnit, factor, inUnit, levelText, ratio, type Unit } from "./labels.js";
import { html, type Insert, type Markup } from "./markup.js";
import { agreement } from "./measured.js";
import { bandShares } from "./pictures/parts.js";
import { memoryTotal } from "./pictures/memory.js";

interface Head {
  readonly title: string;
  readonly unit?: string;
}

/** A table with row heads in the first column; it scrolls by itself where the page is narrow. */
function pageTable(caption: string, heads: readonly Head[], rows: readonly (readonly Insert[])[]): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption>${caption}</caption>
<thead><tr>${heads.map(({ title, unit }) => html`<th scope="col">${title}${unit === undefined ? null : html`<span>${unit}</span>`}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first, ...rest]) => html`<tr><th scope="row">${first ?? ""}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
  )}</tbody>
</table></div>`;
}

const dim = (text: string): Markup => html`<span class="dim">${text}</span>`;

type Span = (low: number, high: number) => Markup;

function spanIn(unit: Unit): Span {
  return (low, high) => dim(`${inUnit(low, unit)} – ${inUnit(high, unit)}`);
}

function lengthHead(phase: PhaseReport): Head {
  return { title: phase.phase === "decode" ? "context" : "length", unit: "tokens" };
}

/** Every measured length beside what was predicted for it. */
export function measuredTable(phase: PhaseReport): Markup | null {
  if (phase.measured.length === 0) return null;
  const compared = new Map((agreement(phase)?.rows ?? []).map((row) => [row.measured.n, row]));
  const unit = columnUnit(phase.measured.map((row) => row.median));
  const span = spanIn(unit);
  const heads: Head[] = [
    lengthHead(phase),
    { title: "measured", unit: unit.name },
    { title: "spread", unit: unit.name },
    { title: "repeats" },
  ];
  if (compared.size > 0) {
    heads.push(
      { title: "predicted", unit: unit.name },
      { title: `${levelText(phase.prediction?.level ?? Number.NaN)} interval`, unit: unit.name },
      { title: "ratio" },
      { title: "verdict" },
    );
  }
  const rows = phase.measured.map((row): Insert[] => {
    const beside = compared.get(row.n);
    const cells = [
      tokens(row.n),
      inUnit(row.median, unit),
      span(row.fastest, row.slowest),
      repeats(row.samples.length, row.rejected),
    ];
    if (beside === undefined) return compared.size === 0 ? cells : [...cells, "", "", "", ""];
    const { predicted, inside } = beside;
    const verdict = inside ? "inside" : "outside";
    return [
      ...cells,
      inUnit(predicted.seconds, unit),
      span(predicted.low, predicted.high),
      ratio(beside.ratio),
      html`<span class="${verdict}">${verdict}</span>`,
    ];
  });
  return pageTable("Time per length", heads, rows);
}

/** Prefills that continue: seconds of each length after each number of cached tokens, by one law over both. */
export function jointTable({ joint }: PhaseReport): Markup | null {
  if (joint === null) return null;
  const depths = [...new Set(joint.points.map(({ cached }) => cached))];
  const lengths = [...new Set(joint.points.map(({ n }) => n))];
  const unit = columnUnit(joint.points.map(({ seconds }) => seconds));
  const span = spanIn(unit);
  const heads: Head[] = [
    { title: "new tokens" },
    ...depths.map((cached) => ({ title: `after ${tokens(cached)} cached`, unit: unit.name })),
  ];
  const rows = lengths.map((n): Insert[] => [
    tokens(n),
    ...depths.map((cached): Insert => {
      const at = joint.points.find((point) => point.n === n && point.cached === cached);
      if (at === undefined) return "";
      return html`${inUnit(at.seconds, unit)}${at.factor > 1 ? "*" : ""} ${span(at.low, at.high)}`;
    }),
  ]);
  return html`<h3>After cached tokens</h3>
<p>One law over n new tokens and c cached ones: ${joint.expression} seconds. n² + 2·n·c counts attention's pairs. With ${levelText(joint.level)} intervals; * lies beyond what was measured.</p>
${pageTable("Time of a prefill after cached tokens", heads, rows)}`;
}

/** Every predicted length, measured or not. */
export function predictedTable(phase: PhaseReport): Markup | null {
  const { prediction } = phase;
  if (prediction === null || prediction.points.length === 0) return null;
  const unit = columnUnit(prediction.points.map((point) => point.seconds));
  const span = spanIn(unit);
  const heads: Head[] = [
    lengthHead(phase),
    { title: "predicted", unit: unit.name },
    { title: `${levelText(prediction.level)} interval`, unit: unit.name },
    { title: "local exponent" },
  ];
  const rows = prediction.points.map((point) => [
    tokens(point.n),
    inUnit(point.seconds, unit),
    span(point.low, point.high),
    point.exponent === null ? "" : point.exponent.toFixed(2),
  ]);
  return pageTable("Predicted time per length", heads, rows);
}

function repeats(used: number, rejected: number): string {
  return rejected === 0 ? String(used) : `${used} (+ ${rejected} rejected)`;
}

const powers: Readonly<Record<string, string>> = { constant: "s", linear: "s / token", quadratic: "s / token²" };

/** The law's coefficients and what it says beyond the samples. */
export function lawTables(phase: PhaseReport): Markup | null {
  const { law } = phase;
  if (law === null) return null;
  const level = levelText(law.level);
  const coefficients = Object.entries(law.coefficients).map(([name, { value, low, high }]) => [
    name,
    value.toPrecision(3),
    dim(`${low.toPrecision(3)} – ${Number.isFinite(high) ? high.toPrecision(3) : "∞"}`),
    powers[name] ?? "",
  ]);
  const unit = columnUnit(law.extrapolation.map((point) => point.seconds));
  const longer = law.extrapolation.map((point) => [
    tokens(point.n),
    `${factor(point.factor)}×`,
    inUnit(point.seconds, unit),
    spanIn(unit)(point.low, point.high),
    point.canTell ? "" : "the samples cannot tell",
  ]);
  return html`${
    coefficients.length === 0
      ? null
      : pageTable(
          "The law’s coefficients",
          [{ title: "term" }, { title: "value" }, { title: `${level} interval` }, { title: "unit" }],
          coefficients,
        )
  }${
    longer.length === 0
      ? null
      : pageTable(
          "Extrapolated: nobody measured these lengths",
          [
            { title: "length", unit: "tokens" },
            { title: "times", unit: "the longest measured" },
            { title: "law", unit: unit.name },
            { title: `${level} interval`, unit: unit.name },
            { title: "" },
          ],
          longer,
        )
  }`;
}

/** About `most` of the points, the ends among them, so that a table behind a dense picture can be read. */
function thinned<T>(points: readonly T[], most: number): T[] {
  const step = Math.max(1, Math.ceil((points.length - 1) / (most - 1)));
  return points.filter((_point, index) => index % step === 0 || index === points.length - 1);
}

const rowsBehind = 12;

export function partsTable(points: readonly PartsPoint[]): Markup {
  const shown = thinned(points, rowsBehind);
  const shares = bandShares(shown);
  const names = [...new Set(shares.map((share) => share.name))];
  const rows = shown.map((point) => [
    aboutTokens(point.n),
    ...shares.filter((share) => share.n === point.n).map(({ share }) => `${(share * 100).toFixed(1)} %`),
  ]);
  return pageTable(
    "Share of time by part",
    [{ title: "length", unit: "tokens" }, ...names.map((title) => ({ title }))],
    rows,
  );
}

export function memoryTable(memory: MemoryReport): Markup {
  const rows = thinned(memory.points, rowsBehind).map((point) => [
    aboutTokens(point.n),
    bytes(point.weights),
    bytes(point.cache),
    bytes(point.activations),
    bytes(memoryTotal(point)),
  ]);
  const heads = ["length", "weights", "KV cache", "activations", "together"].map((title, index) =>
    index === 0 ? { title, unit: "tokens" } : { title },
  );
  return pageTable("Memory by length", heads, rows);
}
