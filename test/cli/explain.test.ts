import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { lengths } from "../../bench/diagnosis-plan.mjs";
import { type DemoLaw, demoTimes, healthyLaw } from "../../src/demo/law.js";
import { header, run, sample } from "../support/runs.js";
import { plainRequest } from "../support/plain-request.js";
import { command, temporaryFolder } from "./harness.js";

const folder = temporaryFolder();
afterAll(folder.remove);

/** A run file with the times that a law gives. */
function runOf(diseases: DemoLaw["diseases"]): string {
  const times = demoTimes({ ...healthyLaw, diseases }, 7);
  const path = join(folder.path, `${Object.keys(diseases).join("-") || "healthy"}.json`);
  const samples = [0, 1, 2, 3, 4].flatMap((block) =>
    lengths.map((n, index) => sample({ n, block, at: block * 100 + index, seconds: times.prefill(n, 0).seconds })),
  );
  const { runtime } = header();
  writeFileSync(path, JSON.stringify(run({ samples, runtime: { ...runtime, runner: "openai" } })));
  return path;
}

describe("explain", () => {
  test("names what it sees, with evidence and advice", async () => {
    const { code, out } = await command(["explain", runOf({ padding: 4096 })]);
    expect(code).toBe(0);
    expect(out).toMatch(/padding: the time climbs in steps: it is that of multiples of 4k/);
    expect(out).toContain("try: the server pads prompts to buckets");
  });

  test("does not call two lengths physics", async () => {
    const path = join(folder.path, "few.csv");
    writeFileSync(path, "n,seconds\n512,0.2\n512,0.21\n1024,0.4\n1024,0.39\n");
    const { code, out } = await command(["explain", path]);
    expect([code, out]).toEqual([0, expect.stringContaining("nothing to see, in too few lengths")]);
    const { out: document } = await command(["explain", path, "--json"]);
    expect(JSON.parse(document)).toMatchObject({ findings: [], looksLikePhysics: false });
  });

  test("says when there is nothing to see", async () => {
    const { code, out } = await command(["explain", runOf({}), "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      schema: "nsquared/explain@1",
      samples: 70,
      lengths: 14,
      looksLikePhysics: true,
      findings: [],
      warnings: [{ code: "no-physics" }],
    });
  });

  test("holds a run against the physics of its model", async () => {
    const words = ["explain", runOf({}), "--model", "Llama-3.1-8B", "--on", "h100", "--json"];
    const { code, out } = await command(words);
    expect(code).toBe(0);
    const document = JSON.parse(out) as { device: string; warnings: { code: string; message: string }[] };
    expect(document.device).toMatch(/h100/i);
    // The demo server's healthy law is that of a slower device.
    expect(document.warnings).toMatchObject([{ code: "slower-than-physics" }]);
    const slow = await command(["explain", runOf({}), "--model", "Llama-3.1-8B", "--on", "a100", "--json"]);
    expect((JSON.parse(slow.out) as typeof document).warnings).toEqual([]);
  });

  test("holds a run against the model alone, whatever the device", async () => {
    const words = ["explain", runOf({ unfused: 60 }), "--model", "Llama-3.1-8B", "--json"];
    const { code, out } = await command(words);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      against: "model",
      device: null,
      findings: [{ cause: "unfused" }],
      warnings: [{ code: "no-device" }],
    });
  });

  test("takes the server's word for cached prompts whose samples the run rejected", async () => {
    const path = join(folder.path, "cached.json");
    const samples = lengths.map((n, index) => {
      const request = { ...plainRequest, promptTokens: n, cachedTokens: n - 16 };
      return sample({ n, at: index, seconds: 0.02, rejected: "came from the server's cache", request });
    });
    writeFileSync(path, JSON.stringify(run({ samples })));
    const { code, out } = await command(["explain", path, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ samples: 0, findings: [{ cause: "prefix-cache" }] });
  });

  test("takes columns by the names that it is told", async () => {
    const path = join(folder.path, "named.csv");
    const rows = lengths.flatMap((n) => [1, 2, 3].map(() => `${n},${20 + 0.04 * n}`));
    writeFileSync(path, ["prompt,took", ...rows].join("\n"));
    const { code, out } = await command(["explain", path, "--columns", "length=prompt,time=took:ms", "--json"]);
    expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ lengths: lengths.length, findings: [] })]);
    const unnamed = await command(["explain", path]);
    expect([unnamed.code, unnamed.err]).toEqual([2, expect.stringContaining("or name them: --columns")]);
  });

  test("does not look for drift where the file has no times", async () => {
    const path = join(folder.path, "other.csv");
    const rows = lengths.flatMap((n) => [1, 2, 3].map((repeat) => `${n},${0.02 + 4e-5 * n * (1 + repeat / 20)}`));
    writeFileSync(path, ["prompt_tokens,latency_s", ...rows].join("\n"));
    const { out } = await command(["explain", path, "--json"]);
    expect(JSON.parse(out)).toMatchObject({ findings: [], warnings: [{ code: "no-times" }, { code: "no-physics" }] });
  });

  test("holds another tool's samples against a run of fresh prompts on the same server", async () => {
    const path = join(folder.path, "cached.csv");
    const times = demoTimes({ ...healthyLaw, diseases: { "prefix-cache": 0.8 } }, 3);
    const rows = [0, 1, 2].flatMap(() => lengths.map((n) => `${n},${times.prefill(n, 0).seconds}`));
    writeFileSync(path, ["prompt_tokens,latency_s", ...rows].join("\n"));
    const { out } = await command(["explain", path, "--beside", runOf({}), "--json"]);
    expect(JSON.parse(out)).toMatchObject({ against: "run", findings: [{ cause: "prefix-cache" }] });
    const ill = await command(["explain", path, "--beside", runOf({ padding: 4096 })]);
    expect(ill.out).toContain("warning: the run beside has something itself: padding");
    const both = await command(["explain", path, "--beside", runOf({}), "--model", "Llama-3.1-8B"]);
    expect([both.code, both.err]).toEqual([2, expect.stringContaining("leave one out")]);
  });

  test("refuses a device without a model, and a run without prefills", async () => {
    const half = await command(["explain", runOf({}), "--on", "h100"]);
    expect(half.code).toBe(2);
    expect(half.err).toMatch(/--model is missing/);
    const path = join(folder.path, "decode.json");
    writeFileSync(path, JSON.stringify(run({ samples: [sample({ phase: "decode", n: 1, depth: 64 })] })));
    const none = await command(["explain", path]);
    expect(none.code).toBe(2);
    expect(none.err).toMatch(/usable prefills is 0/);
  });
  test.each<[string, readonly string[], boolean]>([
    ["sees a drift in a file that says when", ["timestamp,"], true],
    ["looks for none where it does not", [], false],
  ])("%s", async (_, column, seen) => {
    const times = demoTimes({ ...healthyLaw, diseases: { throttling: 0.5 } }, 7);
    const rows = [0, 1, 2, 3, 4].flatMap((block) =>
      lengths.map((n, index) => {
        const moment = column.length === 0 ? "" : `${1_795_687_200 + block * 100 + index},`;
        return `${moment}${n},${times.prefill(n, 0).seconds}`;
      }),
    );
    const path = join(folder.path, `drift-${column.length}.csv`);
    writeFileSync(path, [`${column.join("")}n,seconds`, ...rows].join("\n"));
    const { out } = await command(["explain", path, "--json"]);
    const { findings, warnings } = JSON.parse(out) as Record<
      "findings" | "warnings",
      { cause: string; code: string }[]
    >;
    expect(findings.some(({ cause }) => cause === "throttling")).toBe(seen);
    expect(warnings.some(({ code }) => code === "no-times")).toBe(!seen);
  });
});
