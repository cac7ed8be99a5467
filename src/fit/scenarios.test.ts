import { describe, expect, test } from "vitest";
import { scenariosOf } from "./scenarios.js";

describe("one point", () => {
  test("gives assumptions side by side: 2 s at 512 are 8 s or 32 s at 2048", () => {
    const answers = scenariosOf({ n: 512, seconds: 2 }).map(({ name, seconds }) => [name, seconds(2048)]);
    expect(answers).toEqual([
      ["linear", 8],
      ["quadratic", 32],
    ]);
  });

  test("a model's own mix is scaled through the point", () => {
    const mix = {
      name: "SmolLM2-135M",
      assumption: "the model's own FLOPs",
      seconds: (n: number) => 2e8 * n + 3e4 * n * n,
    };
    const own = scenariosOf({ n: 512, seconds: 2 }, [mix])[2];
    expect(own?.seconds(512)).toBeCloseTo(2, 12);
    expect(own?.seconds(2048)).toBeGreaterThan(8);
    expect(own?.seconds(2048)).toBeLessThan(32);
  });

  test("a point without time is refused", () => {
    expect(() => scenariosOf({ n: 512, seconds: 0 })).toThrow(/seconds is 0/);
    expect(() => scenariosOf({ n: Number.NaN, seconds: 1 })).toThrow(/n is NaN/);
  });
});
