import { percent, scientific, seconds, significant, tokens } from "../base/format.js";
import { type Style, table } from "../report/table.js";
import { terminalPlot } from "../report/terminal-plot.js";
import type { FitDocument, ScenariosDocument } from "../study/documents/fit.js";
import type { RunFit } from "../study/fit.js";

const plotRows = 18;
const widestPlot = 100;
/** Points of a drawn curve. */
const curvePoints = 60;

/** An end that is further than this factor from the value says nothing; its digits would only look as if they did. */
const furthestEnd = 1000;

export interface FitTextOptions {
  readonly style: Style;
  readonly columns: number;
  readonly plot: boolean;
}

/** Samples, law and interval from the shortest measured length to the longest asked for. */
function plotOf(document: FitDocument, fit: RunFit, { style, columns }: FitTextOptions): string {
  const law = fit.physical ?? fit.blind;
  const { from, to } = document.range;
  const end = Math.max(to, ...document.extrapolation.map(({ n }) => n));
  const at = Array.from({ length: curvePoints }, (_, i) => from * (end / from) ** (i / (curvePoints - 1)));
  const predicted = at.map((n) => law.predict(n));
  const line = (pick: "seconds" | "low" | "high") =>
    predicted.flatMap((one) => {
      const factor = one[pick] / one.seconds;
      return Math.max(factor, 1 / factor) > furthestEnd ? [] : [{ n: one.n, seconds: one[pick] }];
    });
  return terminalPlot(
    {
      lines: [
        { label: "low and", points: line("low"), emphasis: "dim", pattern: "dotted" },
        {
          label: `high end of the ${percent(document.level)} interval`,
          points: line("high"),
          emphasis: "dim",
          pattern: "dotted",
        },
        { label: `${document.law.kind} law`, points: line("seconds"), emphasis: "cyan", pattern: "solid" },
      ],
      dots: [{ label: "measured", points: law.residuals, emphasis: "bold" }],
      width: Math.min(columns, widestPlot),
      height: plotRows,
    },
    style,
  );
}

/** What the law is a function of: new tokens, or those of the context. */
function variableOf({ phase, source }: FitDocument): "n" | "c" {
  return phase === "decode" || source?.axis === "depth" ? "c" : "n";
}

function header(document: FitDocument): string[] {
  const { source, range, noise, law } = document;
  const lines = [
    `${document.model}, ${document.phase}: ${document.samples} samples at ${tokens(range.from)} … ${tokens(range.to)}, noise ${percent(noise.relative)}${noise.assumed ? " (assumed)" : ""}, ${percent(document.level)} intervals`,
  ];
  if (source !== undefined) {
    const over =
      source.axis === "length"
        ? `over new tokens${source.fixed > 0 ? ` after ${tokens(source.fixed)} cached ones` : ""}`
        : document.phase === "decode"
          ? "over the context"
          : `over the context, cached tokens and ${tokens(source.fixed)} new ones together`;
    lines.push(
      `read as          ${[`${source.format}, ${over}${source.batch === 1 ? "" : `, batch ${source.batch}`}`, ...source.units].join("; ")}`,
    );
  }
  const expression = law.expression.replace(/\bn\b/g, variableOf(document));
  lines.push(`law              ${law.kind}${law.kind === "physical" ? ofWhose(law) : `: ${expression} seconds`}`);
  return lines;
}

/** Whose operators a physical law is of, and where. */
function ofWhose({ operators }: FitDocument["law"]): string {
  if (operators === undefined) return "";
  const { model, device } = operators;
  const where = device === null ? "on a machine that nobody measured: the samples decide its speed" : `on ${device}`;
  return `: the operators of ${model} ${where}`;
}

/** The fit for people: law, coefficients, rejected laws, what it says of longer input, doubts. */
export function fitText(document: FitDocument, fit: RunFit, options: FitTextOptions): string {
  const { joint, average, next, warnings } = document;
  const sections = [
    header(document).join("\n"),
    coefficientTable(document),
    efficiencyTable(document),
    rejectedTable(document),
    lengthLines(document).join("\n"),
    extrapolationTable(document),
    joint === undefined ? "" : jointText(joint),
    average === undefined ? "" : averageText(average),
    next === undefined ? "" : nextText(next),
    options.plot ? plotOf(document, fit, options) : "",
    warnings.map(({ message }) => `warning: ${message}`).join("\n"),
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

function coefficientRow(name: string, unit: string, { value, low, high }: Interval): string[] {
  return [name, scientific(value), `${scientific(low)} – ${scientific(high)}`, unit];
}

function coefficientTable({ law }: FitDocument): string {
  const { constant, linear, quadratic } = law.coefficients;
  // Of a line that was asked for there is no square to speak of.
  const open = quadratic.value > 0 || quadratic.high > 0;
  return table(
    [`${law.coefficientsOf} law`, "value", "interval", "unit"],
    [
      coefficientRow("constant", "s", constant),
      coefficientRow("linear", "s/token", linear),
      ...(open ? [coefficientRow("quadratic", "s/token²", quadratic)] : []),
    ],
  );
}

/** Of the physical law: by how much each class of operators differs from what was expected. */
function efficiencyTable({ law: { efficiencies, operators } }: FitDocument): string {
  if (efficiencies === undefined) return "";
  const what = operators?.device === null ? "cost over the usual" : "seconds over predicted";
  return table(
    [what, "factor", "interval", "told by the samples"],
    efficiencies.map(({ name, value, low, high, informed }) => [
      name,
      significant(value),
      `${significant(low)} – ${significant(high)}`,
      percent(informed),
    ]),
  );
}

/** The candidates are laws of the samples alone; beside the physical law they decide nothing. */
function rejectedTable({ law, candidates }: FitDocument): string {
  if (law.kind === "physical") return "";
  const rows = candidates.flatMap(({ kind, rejected }) => (rejected === null ? [] : [[kind, rejected]]));
  return rows.length === 0 ? "" : table(["rejected law", "why"], rows);
}

/** At which lengths something happens. */
function lengthLines(document: FitDocument): string[] {
  const { crossover, limit, range } = document;
  const variable = variableOf(document);
  const at = (n: number, low: number | null, high: number | null): string => {
    const bound = (value: number | null): string => (value === null ? "any length" : tokens(Math.round(value)));
    return `${variable} = ${tokens(Math.round(n))} (${bound(low)} – ${bound(high)})`;
  };
  const lines = [
    crossover === null
      ? "crossover        none: no quadratic part was found"
      : `crossover        ${at(crossover.n, crossover.low, crossover.high)}: the quadratic part equals the rest`,
    `local exponent   ${exponents(document)}`,
  ];
  if (limit === undefined) return lines;
  if (limit.n === null) return [...lines, `limit            ${seconds(limit.seconds)} is never passed`];
  const beyond = limit.n / range.to;
  const far = beyond > barelyBeyond ? `, ${significant(beyond)} times the longest measured` : "";
  return [
    ...lines,
    `limit            ${seconds(limit.seconds)} is passed at ${at(limit.n, limit.low, limit.high)}${far}`,
  ];
}

/** Lengths up to so many times the longest measured are not called beyond it. */
const barelyBeyond = 1.05;

function extrapolationTable(document: FitDocument): string {
  return table(
    [variableOf(document), "extrapolated", "interval", "× the longest measured", ""],
    document.extrapolation.map((point) => [
      tokens(point.n),
      seconds(point.seconds),
      intervalText(point),
      significant(point.factor),
      point.canTell ? "" : "can't tell",
    ]),
  );
}

function intervalText({ seconds: value, low, high }: { seconds: number; low: number; high: number }): string {
  const least = low * furthestEnd < value ? "0 s" : seconds(low);
  return `${least} – ${high > value * furthestEnd ? "any time" : seconds(high)}`;
}

/** Prefills that continue: the law over new and cached tokens, and what it says of each pair. */
function jointText({ coefficients, discrepancy, predictions }: NonNullable<FitDocument["joint"]>): string {
  const { constant, linear, quadratic, perCached } = coefficients;
  const depths = [...new Set(predictions.map(({ cached }) => cached))];
  const lengths = [...new Set(predictions.map(({ n }) => n))];
  const cell = (n: number, cached: number): string => {
    const at = predictions.find((one) => one.n === n && one.cached === cached);
    if (at === undefined) return "";
    return `${seconds(at.seconds)} ±${percent((at.high - at.low) / 2 / at.seconds)}${at.factor > 1 ? " *" : ""}`;
  };
  const misfit = discrepancy === 0 ? [] : [`it misses the samples by ${percent(discrepancy)} more than their noise`];
  return [
    table(
      ["law over both n and c", "value", "interval", "unit"],
      [
        coefficientRow("constant", "s", constant),
        coefficientRow("per new token n", "s/token", linear),
        coefficientRow("per pair n² + 2·n·c", "s/token²", quadratic),
        coefficientRow("per cached token c", "s/token", perCached),
      ],
    ),
    ...misfit,
    "",
    table(
      ["n after c cached", ...depths.map((cached) => `c = ${tokens(cached)}`)],
      lengths.map((n) => [tokens(n), ...depths.map((cached) => cell(n, cached))]),
    ),
    "* beyond what was measured",
  ].join("\n");
}

/** Shares below this change no figure that is shown. */
const leastShare = 0.01;

function averageText(average: NonNullable<FitDocument["average"]>): string {
  const shown = average.filter(({ weight }) => weight >= leastShare);
  const names = shown.map(({ kind, weight }) => `${kind} ${percent(weight)}`).join(", ");
  return `extrapolated as  the average of ${names}: without repeats the samples do not decide, so what is known of Transformers weighs in`;
}

/** More exponents than this are thinned: a file may have hundreds of lengths. */
const mostExponents = 8;

function exponents({ exponents: all }: FitDocument): string {
  const stride = Math.max(1, Math.ceil(all.length / mostExponents));
  const shown = all.filter((_, i) => i % stride === 0 || i === all.length - 1);
  return shown.map(({ n, exponent }) => `${significant(exponent)} at ${tokens(n)}`).join(", ");
}

function nextText(next: NonNullable<FitDocument["next"]>): string {
  if (next.lengths.length === 0) {
    return `measure next     nothing: no length fits ${seconds(next.seconds)} and would narrow the interval at ${tokens(next.target)}`;
  }
  const total = next.lengths.reduce((sum, one) => sum + one.seconds, 0);
  return [
    table(
      ["measure next", "repeats", "takes", `then at ${tokens(next.target)}`],
      next.lengths.map((one) => [
        tokens(one.n),
        String(one.repeats),
        seconds(one.seconds),
        Number.isFinite(one.halfWidth) ? `±${percent(one.halfWidth)}` : "still open",
      ]),
    ),
    `in all           ${seconds(total)} of ${seconds(next.seconds)}`,
  ].join("\n");
}

/** One point: the assumptions side by side. */
export function scenariosText(document: ScenariosDocument): string {
  const { point, scenarios } = document;
  const lengths = scenarios[0]?.points.map(({ n }) => n) ?? [];
  return [
    `one point: ${seconds(point.seconds)} at ${tokens(point.n)} tokens`,
    "",
    table(
      ["if", ...lengths.map((n) => tokens(n)), "that is"],
      scenarios.map((one) => [one.name, ...one.points.map((at) => seconds(at.seconds)), one.assumption]),
    ),
    "",
    ...document.warnings.map(({ message }) => `warning: ${message}`),
  ].join("\n");
}
