import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  aboutSeconds,
  aboutTokens,
  columnUnit,
  inUnit,
  lengthTicks,
  printable,
  timeTick,
  timeTicks,
  tokensInterval,
} from "./labels.js";

const milliseconds = { name: "ms", size: 1e-3 };

describe("numbers in columns", () => {
  test("have three significant digits and keep trailing zeros", () => {
    expect([0.084, 0.16, 1.988, 15.039].map((value) => inUnit(value, milliseconds))).toEqual([
      "84.0",
      "160",
      "1,990",
      "15,000",
    ]);
  });

  test("that round up to the next power of ten do not gain a digit", () => {
    expect(inUnit(0.009999, milliseconds)).toBe("10.0");
  });

  test("say so where a bound does not exist", () => {
    expect(inUnit(Number.POSITIVE_INFINITY, milliseconds)).toBe("∞");
  });

  test("share the unit that their geometric middle reads best in", () => {
    expect(columnUnit([0.084, 15]).name).toBe("ms");
    expect(columnUnit([0.084, 1000]).name).toBe("s");
    expect(columnUnit([2e-6, 3e-5]).name).toBe("µs");
    expect(columnUnit([]).name).toBe("s");
  });
});

describe("ticks", () => {
  test("of lengths are powers of two, thinned where there are many", () => {
    expect(lengthTicks(128, 8192, 14)).toEqual([128, 256, 512, 1024, 2048, 4096, 8192]);
    expect(lengthTicks(128, 8192, 4)).toEqual([128, 512, 2048, 8192]);
  });

  test("of times are decades, in minutes and hours beyond them", () => {
    expect(timeTicks(0.05, 4000).map(timeTick)).toEqual(["100 ms", "1 s", "10 s", "1 min", "10 min", "1 h"]);
    expect(timeTicks(0.006, 0.06).map(timeTick)).toEqual(["10 ms", "20 ms", "50 ms"]);
  });

  test("are never fewer than two, ascending, within a rounding of the axis", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 1e5, noNaN: true }),
        fc.double({ min: 1.05, max: 1e6, noNaN: true }),
        (low, factor) => {
          const ticks = timeTicks(low, low * factor);
          expect(ticks.length).toBeGreaterThanOrEqual(2);
          expect(ticks).toEqual(ticks.toSorted((left, right) => left - right));
          for (const tick of ticks) {
            expect(tick).toBeGreaterThan(low * 0.98);
            expect(tick).toBeLessThan(low * factor * 1.02);
          }
        },
      ),
      { seed: 20261123 },
    );
  });
});

describe("estimates", () => {
  test("of lengths show two digits, chosen lengths stay as they are", () => {
    expect([3721, 8192, 118_300, 128].map(aboutTokens)).toEqual(["3,700", "8k", "120,000", "128"]);
  });

  test("of times carry their interval in the same unit", () => {
    expect(aboutSeconds({ seconds: 1070, low: 822, high: 1310 })).toBe("18 min (14–22 min)");
    expect(aboutSeconds({ seconds: 0.048, low: 0, high: Number.POSITIVE_INFINITY })).toBe("48 ms (with no bound)");
    expect(aboutSeconds({ seconds: 48, low: 40, high: Number.POSITIVE_INFINITY })).toBe("48 s (40 s or more)");
  });

  test("say what is known of an interval with one end", () => {
    expect(tokensInterval(2900, Number.POSITIVE_INFINITY)).toBe("2,900 or more");
    expect(tokensInterval(0, 4100)).toBe("4,100 or less");
  });
});

test("text from files loses escape sequences, line breaks and marks that turn the reading direction", () => {
  expect(printable("a\u001b[31mb\r\nc\u202ed\u0007")).toBe("a [31mb c d");
});
