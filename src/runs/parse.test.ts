import { describe, expect, test } from "vitest";
import { header, run, sample } from "../../test/support/runs.js";
import { NsquaredError } from "../base/errors.js";
import { formatRun, parseRun } from "./parse.js";

function refusal(text: string): NsquaredError {
  try {
    parseRun(text, "a.json");
  } catch (error) {
    if (error instanceof NsquaredError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

describe("a run file", () => {
  test("reads back as it was written, one sample a line", () => {
    const written = run({ samples: [sample(), sample({ seconds: null, rejected: "out of memory" })] });
    const text = formatRun(written);
    expect(parseRun(text, "a.json")).toEqual(written);
    expect(text.split("\n").filter((line) => line.includes('"phase":"prefill"'))).toHaveLength(2);
    expect(parseRun(formatRun(run({ samples: [] })), "a.json").samples).toEqual([]);
  });

  test("keeps the model's own config untouched", () => {
    const config = { hidden_size: 64, layers: [1, 2], rope: { theta: 1e4 } };
    const written = run({ model: { ...run().model, config } });
    expect(parseRun(formatRun(written), "a.json").model.config).toEqual(config);
  });

  test.each([
    ["", "run-empty", "expected nsquared/run@1"],
    ["{", "run-not-json", "expected JSON"],
    ["<html>", "run-not-json", "expected JSON"],
    ["[]", "run-schema", 'expected "nsquared/run@1"'],
    ["null", "run-schema", 'expected "nsquared/run@1"'],
    ['{"schema":"nsquared/run@2"}', "run-schema", 'schema is "nsquared/run@2"'],
    ['{"schema":"nsquared/run@1"}', "run-invalid", "is missing"],
    ["[".repeat(200_000), "run-not-json", "expected JSON"],
    ['{"schema":"nsquared/journal@1","id":', "run-empty", "nothing to recover"],
    ['{"schema":"nsquared/journal@1"}\n', "run-invalid", "a.json:1: id is missing"],
  ])("that begins %j is refused in one line", (text, code, message) => {
    const error = refusal(text);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(error.message).toContain("a.json");
    expect(error.message).not.toContain("\n");
    expect(error.message.length).toBeLessThan(300);
    expect(error.exitCode).toBe(2);
  });

  test.each([
    ["seconds", "0"],
    ["seconds", "-1"],
    ["seconds", "1e999"],
    ["seconds", '"NaN"'],
    ["n", "0"],
    ["n", "1e30"],
    ["n", "1.5"],
    ["depth", "-1"],
    ["batch", "0"],
    ["steps", "0"],
    ["block", "-2"],
    ["phase", '"training"'],
    ["at", "-1"],
    ["rejected", JSON.stringify("x".repeat(3000))],
  ])("with a sample whose %s is %s is refused by that key", (key, value) => {
    const line = JSON.stringify(sample()).replace(new RegExp(`"${key}":[^,}]+`), `"${key}":${value}`);
    const text = formatRun(run({ samples: [sample()] })).replace(JSON.stringify(sample()), line);
    const error = refusal(text);
    expect(error.code).toBe("run-invalid");
    expect(error.message).toContain(`samples.0.${key}`);
  });

  test("with a bad line in the middle of a journal is refused with the line's number", () => {
    const first = JSON.stringify({ schema: "nsquared/journal@1", ...header() });
    const good = JSON.stringify({ sample: sample() });
    expect(refusal(`${first}\n${good}\nnonsense\n${good}\n`).message).toContain("a.json:3");
    expect(refusal(`${first}\n${good}\n{"sample":{}}\n`).message).toContain("a.json:3: phase is missing");
    expect(refusal(`${first}\n{"other":1}\n`).message).toContain("a.json:2");
  });
});
