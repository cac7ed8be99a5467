import { describe, expect, test } from "vitest";
import { demoTimes, healthyLaw } from "../../src/demo/law.js";
import { type Point, fitLaw } from "../../src/fit/index.js";

const lengths = [256, 512, 1024, 2048, 4096, 8192, 16_384];
const repeats = 5;
const seeds = 100;
const law = { ...healthyLaw, jitter: 0.02 };

/** What a client would see of the demo server, without waiting for it. */
function samplesOf(seed: number): Point[] {
  const times = demoTimes(law, seed);
  return Array.from({ length: repeats }, (_, block) => block).flatMap((block) =>
    lengths.map((n) => ({ n, seconds: times.prefill(n, 0).seconds, block })),
  );
}

describe("samples of the demo server's law", () => {
  test("give its coefficients back, within their 95 % intervals in nine of ten runs and more", () => {
    const inside = { constant: 0, linear: 0, quadratic: 0 };
    for (let seed = 1; seed <= seeds; seed += 1) {
      const { coefficients } = fitLaw(samplesOf(seed), { level: 0.95, laws: ["quadratic"] }).law;
      for (const name of ["constant", "linear", "quadratic"] as const) {
        const found = coefficients?.[name];
        if (found !== undefined && found.low <= law[name] && law[name] <= found.high) inside[name] += 1;
      }
    }
    // Of 95 expected, fewer than 88 come by chance less than once in 500.
    for (const count of Object.values(inside)) expect(count).toBeGreaterThanOrEqual(88);
  });

  test("are taken for quadratic where they are", () => {
    const kinds = Array.from({ length: 20 }, (_, seed) => fitLaw(samplesOf(seed + 1000)).law.kind);
    expect(kinds.filter((kind) => kind === "quadratic").length).toBeGreaterThanOrEqual(18);
  });
});
