import { describe, expect, test } from "vitest";
import { effects, simulatedRun } from "../../bench/diagnosis-plan.mjs";
import { normalDeviate, seededRandom, shuffled } from "../../src/base/random.js";
import { diagnose } from "../../src/compare/diagnose.js";
import { demoTimes, healthyLaw } from "../../src/demo/law.js";

/** Runs of each row: a tenth of those behind docs/diagnosis.md. */
const runs = 40;
/** The rates there are 3 % missed and 1 % false alarms at worst; seeds are fixed, so that chance moves nothing here. */
const mostMisses = 4;
const mostAlarms = 2;
const tools = { demoTimes, healthyLaw, seededRandom, normalDeviate, shuffled };

function tally(disease: string | null, strength: number, firstSeed: number) {
  let missed = 0;
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    const { samples, physics, contextLimit } = simulatedRun(tools, disease, strength, firstSeed + run);
    const causes = diagnose(samples, { physics, contextLimit }).findings.map(({ cause }) => cause);
    if (disease !== null && !causes.some((cause) => cause === disease)) missed += 1;
    if (causes.some((cause) => cause !== disease)) alarms += 1;
  }
  return { missed, alarms };
}

describe("the diagnosis of simulated servers", () => {
  test("a healthy one looks like physics", () => {
    expect(tally(null, 0, 1).alarms).toBeLessThanOrEqual(mostAlarms);
  });

  describe.each(Object.entries(effects))("%s", (disease, strengths) => {
    test.each([...new Set(strengths)])("of strength %d is found, and nothing else", (strength) => {
      const { missed, alarms } = tally(disease, strength, 100);
      expect(missed).toBeLessThanOrEqual(mostMisses);
      expect(alarms).toBeLessThanOrEqual(mostAlarms);
    });
  });
});
