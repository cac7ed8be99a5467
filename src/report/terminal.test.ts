import { describe, expect, test } from "vitest";
import { prefillReport, reportData } from "../../test/fixtures/report-data.js";
import { plainStyle, type Style } from "./table.js";
import { phaseTable, terminalReport } from "./terminal.js";

const plain = { style: plainStyle, columns: 100 };

describe("the report for a terminal", () => {
  const text = terminalReport(reportData, plain);

  test("names model, machine and runtime, and ends with the answer in three sentences", () => {
    expect(text.startsWith("SmolLM2-135M\n135M parameters · made for 8k tokens · Intel(R) Xeon(R)")).toBe(true);
    const labels = ["How it slows: ", "Where n² takes over: ", "Prediction against measurement: "];
    const positions = labels.map((label) => text.indexOf(label));
    expect(positions).toEqual(positions.toSorted((left, right) => left - right));
    expect(positions[0]).toBeGreaterThan(text.indexOf("● measured"));
  });

  test("has a row per length with median, spread, prediction, ratio and verdict", () => {
    expect(phaseTable(prefillReport, plainStyle).split("\n").slice(0, 4)).toEqual([
      "Prefill",
      "length  measured         spread  repeats  predicted  90 % interval  ratio",
      "tokens        ms             ms                  ms             ms",
      "   128      84.0      80.0–87.0        5       98.3       85.6–112  0.854  outside",
    ]);
  });

  test("prints warnings in words", () => {
    expect(text).toContain("warning The machine was 42 % busy");
  });

  test("holds no escape sequence unless a style puts one in", () => {
    expect(text).not.toContain("\u001b");
    const red: Style = (_format, part) => `\u001b[31m${part}\u001b[39m`;
    expect(terminalReport(reportData, { ...plain, style: red })).toContain("\u001b[31m");
  });

  test("does not let a name from a file write to the terminal", () => {
    const hostile = { ...reportData, model: { ...reportData.model, name: "evil\u001b[2J\nname" } };
    expect(terminalReport(hostile, plain).startsWith("evil [2J name\n")).toBe(true);
  });

  test("breaks its sentences to a narrow terminal", () => {
    const lines = terminalReport(reportData, { ...plain, columns: 60 }).split("\n");
    const answers = lines.slice(lines.findIndex((line) => line.startsWith("How it slows")));
    expect(Math.max(...answers.map((line) => line.length))).toBeLessThanOrEqual(60);
  });
});

describe("the table of a phase", () => {
  test("shows predictions alone where nothing was measured", () => {
    const lines = phaseTable({ ...prefillReport, measured: [] }, plainStyle).split("\n");
    expect(lines[1]).toBe("length  predicted  90 % interval  exponent");
    expect(lines).toHaveLength(12);
  });

  test("shows no spread for a single repeat, and measurements alone where nothing was predicted", () => {
    const measured = prefillReport.measured
      .slice(0, 1)
      .map((row) => ({ ...row, samples: [row.median], fastest: row.median, slowest: row.median }));
    expect(
      phaseTable({ ...prefillReport, measured, prediction: null }, plainStyle)
        .split("\n")
        .at(-1),
    ).toBe("   128      84.0                1");
  });

  test("is empty where there is neither", () => {
    expect(phaseTable({ ...prefillReport, measured: [], prediction: null }, plainStyle)).toBe("");
  });
});
