import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { header } from "../../test/support/runs.js";
import { contentDigest } from "./digest.js";
import { runId, runName, safeName, timeStamp } from "./names.js";

describe("the name of a run", () => {
  test("is the model's last part and the time in UTC", () => {
    const created = new Date("2026-11-23T14:22:05.678Z");
    expect(timeStamp(created)).toBe("20261123-142205");
    expect(runName("HuggingFaceTB/SmolLM2-135M", created)).toBe("SmolLM2-135M-20261123-142205");
  });

  test.each([
    ["../../etc/passwd", "passwd"],
    ["C:\\models\\my model.gguf", "my-model.gguf"],
    ["models/llama/", "llama"],
    ["-rf $(reboot); `x`", "rf-reboot-x"],
    ["...", "model"],
    ["", "model"],
    ["Müller 模型", "Mu-ller"],
    [".hidden", "hidden"],
  ])("from %j is %j", (name, expected) => {
    expect(safeName(name)).toBe(expected);
  });

  test("is safe in every shell, whatever the model is called", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (name) => {
        expect(safeName(name)).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,79}$/);
        expect(safeName(name)).not.toContain("..");
      }),
      { seed: 1 },
    );
  });
});

describe("identity", () => {
  test("of runs differs when anything that was known before differs", () => {
    const { id: _, ...first } = header();
    expect(runId(first)).toMatch(/^tiny-20261123-120000-[0-9a-f]{8}$/);
    expect(runId(first)).toBe(runId({ ...first }));
    expect(runId({ ...first, seed: 2 })).not.toBe(runId(first));
  });

  test("of contents does not depend on the order of keys, but on everything else", () => {
    const digest = contentDigest({ a: [1, { b: 2, c: null }], d: "x" });
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(contentDigest({ d: "x", a: [1, { c: null, b: 2 }] })).toBe(digest);
    expect(contentDigest({ d: "x", a: [{ c: null, b: 2 }, 1] })).not.toBe(digest);
  });
});
