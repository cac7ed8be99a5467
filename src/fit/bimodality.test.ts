import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { fitLaw } from "./fit-law.js";
import { bimodalityOf } from "./bimodality.js";

describe("two modes", () => {
  test("are found where they are, with their share and their distance", () => {
    const random = seededRandom(1);
    const residuals = Array.from(
      { length: 60 },
      (_, i) => 0.01 * normalDeviate(random) + (i % 3 === 0 ? Math.log(1.2) : 0),
    );
    const modes = bimodalityOf(residuals);
    expect(modes?.share).toBeCloseTo(1 / 3, 2);
    expect(modes?.ratio).toBeCloseTo(1.2, 1);
  });

  test("are hardly ever seen in plain noise", () => {
    const random = seededRandom(2);
    let seen = 0;
    for (let i = 0; i < 500; i += 1) {
      if (bimodalityOf(Array.from({ length: 18 }, () => normalDeviate(random))) !== null) seen += 1;
    }
    expect(seen).toBeLessThanOrEqual(15);
  });

  test("are not made of two outliers", () => {
    const random = seededRandom(3);
    const residuals = Array.from({ length: 30 }, (_, i) => 0.01 * normalDeviate(random) + (i < 2 ? 0.5 : 0));
    expect(bimodalityOf(residuals)).toBeNull();
  });

  test("are reported by the fit, not hidden as outliers", () => {
    const random = seededRandom(4);
    const points = [128, 256, 512, 1024, 2048].flatMap((n) =>
      [0, 1, 2, 3, 4, 5, 6].map((i) => ({
        n,
        seconds: (0.02 + 1e-4 * n) * Math.exp(0.01 * normalDeviate(random)) * (i % 3 === 0 ? 1.25 : 1),
      })),
    );
    const fit = fitLaw(points);
    expect(fit.modes?.ratio).toBeCloseTo(1.25, 1);
    expect(fit.warnings.map((warning) => warning.code)).toContain("bimodal");
  });
});
