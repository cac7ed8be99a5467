import { InvalidArgumentError, Option } from "commander";
import { exitCodes } from "../base/errors.js";
import { percent, scientific, seconds, significant } from "../base/format.js";
import { parseLength } from "../base/lengths.js";
import { type Style, table } from "../report/table.js";
import { type ColumnChoice, readSamples } from "../runs/import/index.js";
import { checkSamples, type LatencyLimit } from "../study/check.js";
import type { CheckDocument, CheckFinding } from "../study/documents/check.js";
import type { MeasuredPhase } from "../study/measure.js";
import { columnsOption, levelOption, noiseOption } from "./fit-options.js";
import { type SetUp, emit, styleFor } from "./io.js";
import { duration, shareFrom } from "./options.js";

interface Options {
  readonly baseline?: string;
  readonly limit: readonly LatencyLimit[];
  readonly phase?: MeasuredPhase;
  readonly columns?: ColumnChoice;
  readonly noise?: number;
  readonly level?: number;
  readonly tolerance?: number;
  readonly strict?: boolean;
  readonly markdown?: boolean;
  readonly json?: boolean;
}

const phaseOfMetric: Readonly<Record<string, MeasuredPhase>> = {
  ttft: "prefill",
  prefill: "prefill",
  tpot: "decode",
  itl: "decode",
  decode: "decode",
};

/** `ttft@32k<5s`. */
function latencyLimit(text: string): LatencyLimit {
  const match = /^\s*([a-z]+)\s*@\s*([^<≤\s]+)\s*(?:<=?|≤)\s*(.+)$/.exec(text);
  const phase = phaseOfMetric[match?.[1] ?? ""];
  if (match === null || phase === undefined) {
    throw new InvalidArgumentError(
      'expected "ttft@32k<5s" or "tpot@8k<30ms": ttft, prefill, tpot, itl or decode, a length, and a time.',
    );
  }
  const n = parseLength(match[2] ?? "", "--limit");
  return { text: text.trim(), phase, n, seconds: duration(match[3] ?? "") };
}

export const setUpCheck: SetUp = (command, io, setExitCode) => {
  command
    .description(
      "A gate for continuous integration: exit code 1 with the reason where a run is slower than its baseline or misses a\n" +
        "latency, beyond noise. It compares the coefficients of the law and the whole curve, never one noisy length.",
    )
    .argument("<files...>", "a run file of nsquared measure, or samples of another tool (see nsquared fit)")
    .option("--baseline <run>", "the run to compare with")
    .addOption(
      new Option("--limit <latency>", 'a latency wanted, as "ttft@32k<5s" or "tpot@8k<30ms"; may be repeated')
        .argParser((text: string, before: readonly LatencyLimit[]) => [...before, latencyLimit(text)])
        .default([], "none"),
    )
    .addOption(
      new Option("--phase <phase>", "compare this phase only").choices(["prefill", "decode", "decode-uncached"]),
    )
    .addOption(
      new Option("--tolerance <share>", "a change below this share of the time passes (default: 3%)").argParser(
        shareFrom(0),
      ),
    )
    .addOption(levelOption("99%"))
    .addOption(noiseOption())
    .addOption(columnsOption())
    .option("--strict", "fail where the samples cannot tell, too")
    .option("--markdown", "a summary in GitHub's Markdown")
    .addHelpText(
      "after",
      `
Examples:
  nsquared check new.json --baseline main.json
  nsquared check new.json --limit "ttft@32k<5s" --limit "tpot@8k<30ms"
  nsquared check new.json --baseline main.json --markdown >> "$GITHUB_STEP_SUMMARY"

Exit code 0: passed. 1: slower or over the limit, beyond noise. 2: the input cannot be checked.`,
    )
    .action(async (paths: readonly string[], options: Options) => {
      const reading = options.columns === undefined ? {} : { columns: options.columns };
      const current = await readSamples(paths, reading);
      const document = checkSamples(current, {
        limits: options.limit,
        strict: options.strict === true,
        ...(options.baseline === undefined ? {} : { baseline: await readSamples([options.baseline], reading) }),
        ...(options.phase === undefined ? {} : { phase: options.phase }),
        ...(options.level === undefined ? {} : { level: options.level }),
        ...(options.tolerance === undefined ? {} : { tolerance: options.tolerance }),
        ...(options.noise === undefined ? {} : { assumedNoise: options.noise }),
      });
      const style = styleFor(io, io.outIsTerminal);
      emit(io, options.json, document, () =>
        options.markdown === true ? markdown(document) : checkText(document, style),
      );
      if (!document.passed) setExitCode(exitCodes.gate);
    });
};

const words = { pass: "pass", fail: "FAIL", "cannot-tell": "can't tell" } as const;
const marks = { pass: "✅", fail: "❌", "cannot-tell": "⚠️" } as const;
const colours = { pass: "green", fail: "red", "cannot-tell": "yellow" } as const;

function shown(finding: CheckFinding, value: number): string {
  if (finding.kind === "limit") return seconds(value);
  return finding.kind === "curve" ? significant(value, 4) : scientific(value);
}

function cells(finding: CheckFinding): [string, string, string, string] {
  const { phase, kind, name, value, low, high, reference } = finding;
  const what = kind === "limit" ? name : kind === "curve" ? `${phase} time over the baseline's` : `${phase} ${name}`;
  const interval = `${shown(finding, low)} – ${shown(finding, high)}`;
  return [what, shown(finding, value), interval, shown(finding, reference)];
}

function headline({ run, baseline, passed, level, tolerance }: CheckDocument): string {
  const against = baseline === null ? "" : ` against ${baseline}`;
  const terms = baseline === null ? "" : `, tolerance ${percent(tolerance)}`;
  return `${passed ? "passed" : "failed"}: ${run}${against}, ${percent(level)} intervals${terms}`;
}

/** What decided, in words: failures first, then what cannot be told. */
function reasons(document: CheckDocument): string[] {
  return (["fail", "cannot-tell"] as const).flatMap((wanted) =>
    document.findings.filter(({ verdict }) => verdict === wanted).map(({ message }) => message),
  );
}

function checkText(document: CheckDocument, style: Style): string {
  const { findings, warnings } = document;
  return [
    headline(document),
    "",
    table(
      ["what", "now", "interval", "wanted", "verdict"],
      findings.map((finding) => [...cells(finding), { text: words[finding.verdict], style: colours[finding.verdict] }]),
      style,
    ),
    "",
    ...reasons(document),
    ...warnings.map(({ message }) => `warning: ${message}`),
  ].join("\n");
}

/** A cell of a table in GitHub's Markdown: a bar would end it, and a tag would be one. */
function escaped(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/\|/g, "\\|").replace(/</g, "&lt;").replace(/\s+/g, " ");
}

function markdown(document: CheckDocument): string {
  const row = (texts: readonly string[]) => `| ${texts.map(escaped).join(" | ")} |`;
  return [
    `### nsquared check: ${document.passed ? "✅ passed" : "❌ failed"}`,
    "",
    escaped(headline(document)),
    "",
    row(["", "what", "now", "interval", "wanted"]),
    "| --- | --- | ---: | ---: | ---: |",
    ...document.findings.map((finding) => row([marks[finding.verdict], ...cells(finding)])),
    "",
    ...reasons(document).map((text) => `- ${escaped(text)}`),
    ...document.warnings.map(({ message }) => `- warning: ${escaped(message)}`),
  ].join("\n");
}
