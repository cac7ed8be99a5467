import { describe, expect, test } from "vitest";
import { effects, healthyRun, simulatedRun } from "../../bench/diagnosis-plan.mjs";
import { normalDeviate, seededRandom, shuffled } from "../../src/base/random.js";
import { diagnose, physicsOfSamples } from "../../src/compare/diagnose.js";
import { demoTimes, healthyLaw } from "../../src/demo/law.js";

/** Runs of each row: a tenth of those behind docs/diagnosis.md. */
const runs = 40;
/** A tenth may be missed, a twentieth be taken for something else; seeds are fixed, so that chance moves nothing here. */
const mostMisses = 4;
const mostAlarms = 2;
/** Seeds of runs beside are none of the runs'. */
const otherSeeds = 500_000_000;
const tools = { demoTimes, healthyLaw, seededRandom, normalDeviate, shuffled };
interface Circumstances {
  readonly reports?: boolean;
  readonly samePrompts?: boolean;
  readonly fresh?: boolean;
  /** What the diagnosis is told beside the samples. */
  readonly knows?: "device" | "model" | "run" | null;
}

function tally(disease: string | null, strength: number, firstSeed: number, circumstances: Circumstances = {}) {
  const { knows = "device" } = circumstances;
  let missed = 0;
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    const seed = firstSeed + run;
    const simulated = simulatedRun(tools, disease, strength, seed, {
      ...circumstances,
      knows: knows === "model" ? "model" : "device",
    });
    const { samples, contextLimit, fresh, window } = simulated;
    const beside = () => physicsOfSamples(healthyRun(tools, seed + otherSeeds, window));
    const physics = knows === null ? null : knows === "run" ? beside() : simulated.physics;
    const { findings } = diagnose(samples, { physics, contextLimit, fresh });
    // A finding that leaves two causes open is of the disease where one of them is it.
    const causes = findings.map(({ cause, alike }) => alike.find((other) => other === disease) ?? cause);
    if (disease !== null && !causes.some((cause) => cause === disease)) missed += 1;
    if (causes.some((cause) => cause !== disease)) alarms += 1;
  }
  return { missed, alarms };
}

/** Found nearly always, and nothing else. */
function expectFound(...row: Parameters<typeof tally>): void {
  const { missed, alarms } = tally(...row);
  expect(missed).toBeLessThanOrEqual(mostMisses);
  expect(alarms).toBeLessThanOrEqual(mostAlarms);
}

/** What cannot be told from a faster or slower machine by its times. */
const hidden = new Set(["prefix-cache", "unfused", "idle-window"]);

describe("the diagnosis of simulated servers", () => {
  test.each(["device", "model", "run", null] as const)("a healthy one looks like physics of %s", (knows) => {
    expect(tally(null, 0, 1, { knows }).alarms).toBeLessThanOrEqual(mostAlarms);
  });

  describe.each(Object.entries(effects))("%s", (disease, strengths) => {
    test.each(strengths)("of strength %d is found, and nothing else", (strength) => {
      expectFound(disease, strength, 100);
    });

    test.each(disease === "prefix-cache" ? [] : strengths)("of strength %d by the model alone", (strength) => {
      expectFound(disease, strength, 100, { knows: "model" });
    });

    test.each(strengths)("of strength %d beside a run of the same server", (strength) => {
      expectFound(disease, strength, 100, { knows: "run" });
    });

    test.each(hidden.has(disease) ? [] : strengths)("of strength %d by the samples alone", (strength) => {
      expectFound(disease, strength, 100, { knows: null });
    });
  });

  test.each(effects["prefix-cache"] ?? [])(
    "a cached share of %d is found by the samples alone where the server reports it, or prompts are sent again",
    (strength) => {
      expectFound("prefix-cache", strength, 100, { knows: null, reports: true });
      expectFound("prefix-cache", strength, 100, { knows: null, samePrompts: true });
    },
  );

  test("a plateau over nearly all lengths is no cached prefix", () => {
    expectFound("fixed-overhead", 3, 100, { knows: null, fresh: false });
  });
});
