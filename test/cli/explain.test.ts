import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { lengths } from "../../bench/diagnosis-plan.mjs";
import { type DemoLaw, demoTimes, healthyLaw } from "../../src/demo/law.js";
import { run, sample } from "../support/runs.js";
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
  writeFileSync(path, JSON.stringify(run({ samples })));
  return path;
}

describe("explain", () => {
  test("names what it sees, with evidence and advice", async () => {
    const { code, out } = await command(["explain", runOf({ padding: 4096 })]);
    expect(code).toBe(0);
    expect(out).toMatch(/padding: the time climbs in steps: it is that of multiples of 4k/);
    expect(out).toContain("try: the server pads prompts to buckets");
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
    expect(JSON.parse(out).device).toMatch(/h100/i);
  });

  test("refuses half of the physics, and a run without prefills", async () => {
    const half = await command(["explain", runOf({}), "--model", "Llama-3.1-8B"]);
    expect(half.code).toBe(2);
    expect(half.err).toMatch(/--on is missing; physics needs both/);
    const path = join(folder.path, "decode.json");
    writeFileSync(path, JSON.stringify(run({ samples: [sample({ phase: "decode", n: 1, depth: 64 })] })));
    const none = await command(["explain", path]);
    expect(none.code).toBe(2);
    expect(none.err).toMatch(/usable prefills is 0/);
  });
});
