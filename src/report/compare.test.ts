import { describe, expect, test } from "vitest";
import { type ComparisonData, comparisonPage, comparisonText } from "./compare.js";
import { plainStyle } from "./table.js";

type Contender = ComparisonData["contenders"][number];
type Phase = Contender["phases"][number];

/** Seconds at some lengths under a power of the length, measured twice. */
function prefill(lengths: readonly number[], power: number, overtake: Phase["overtake"]): Phase {
  return {
    phase: "prefill",
    points: lengths.map((n) => {
      const seconds = 1e-3 * (n / 128) ** power;
      return {
        n,
        seconds,
        fastest: 0.9 * seconds,
        slowest: 1.1 * seconds,
        tokensPerSecond: n / seconds,
        predicted: null,
      };
    }),
    law: { kind: "power" },
    exponent: { n: 512, value: power, low: null, high: null },
    overtake,
  };
}

const told = { value: 2, low: 1, high: 3 };
const full: Contender = {
  name: "full",
  summary: "full attention",
  model: "small",
  parameters: 1000,
  notes: ["scaled: 2 layers instead of 30"],
  phases: [prefill([128, 256, 512], 2, null)],
  memory: [{ n: 128, predicted: 2 ** 20, measured: 2 ** 21 }],
  request: { prompt: 1024, answer: 64, firstToken: 1, seconds: told, factor: 2, canTell: true },
};
const crossed = {
  kind: "overtakes",
  n: 300,
  low: 256,
  high: null,
  predicted: { flops: 1, seconds: null, known: false },
} as const;
const linear: Contender = {
  ...full,
  name: "linear",
  summary: "linear attention",
  phases: [prefill([128, 256], 1, crossed)],
  memory: [],
  request: {
    ...full.request,
    prompt: 1024,
    answer: 64,
    firstToken: 0.5,
    seconds: { ...told, value: 1 },
    factor: 4,
    canTell: false,
  },
};
const data: ComparisonData = {
  run: "runs/one.json",
  status: "complete",
  seconds: 3,
  contenders: [full, linear],
  skipped: [{ name: "f16", reason: "no gain" }],
  warnings: [{ message: "a busy machine" }],
};
const textOf = (changed: Partial<ComparisonData> = {}, columns = 100): string =>
  comparisonText({ ...data, ...changed }, { style: plainStyle, columns });

describe("the text of a comparison", () => {
  test("says who is compared, and once what holds for all", () => {
    expect(textOf().split("\n").slice(0, 3)).toEqual([
      "full: full attention",
      "linear: linear attention",
      "scaled: 2 layers instead of 30",
    ]);
  });

  test("has a dash for a length that was left out, and the rate at the longest one that was not", () => {
    const row = textOf()
      .split("\n")
      .find((line) => /^linear +1 ms/.test(line));
    expect(row?.split(/ {2,}/)).toEqual(["linear", "1 ms", "2 ms", "–", "128000"]);
  });

  test("says where one overtakes, what end of the interval is open, and what FLOPs foretell", () => {
    expect(textOf()).toMatch(/linear +1 +power +300 \(256 – \?\) +– +every length/);
  });

  test("tells a prediction of never from none", () => {
    const predicted = { flops: 1, seconds: null, known: true };
    const foretold = { ...linear, phases: [prefill([128, 256], 1, { ...crossed, predicted })] };
    expect(textOf({ contenders: [full, foretold] })).toMatch(/300 \(256 – \?\) +never +every length/);
  });

  test("a document's time has its interval, or says that there is none to tell, and how far it lies beyond", () => {
    const lines = textOf().split("\n");
    const from = lines.indexOf("A document of 1k tokens read and answered in 64");
    expect(lines.slice(from + 2, from + 4).map((line) => line.split(/ {2,}/))).toEqual([
      ["full", "1 s", "2 s", "1 s – 3 s", "100 %", "2"],
      ["linear", "500 ms", "1 s", "the samples can't tell", "50 %", "4"],
    ]);
  });

  test("draws lines, which take two lengths", () => {
    const braille = /[\u2801-\u28ff]/;
    expect(textOf()).toMatch(braille);
    const single = { ...full, phases: [prefill([128], 2, null)] };
    expect(textOf({ contenders: [single] })).not.toMatch(/[┤└]/);
  });

  test("ends with what was skipped, doubted and where the run is", () => {
    expect(textOf().split("\n").slice(-3)).toEqual([
      "skipped f16: no gain",
      "warning: a busy machine",
      "run: runs/one.json (complete in 3 s)",
    ]);
  });
});

describe("the page of a comparison", () => {
  test("has a picture of each phase and of memory, and the tables of the text", async () => {
    const page = await comparisonPage(data, "1.0", "2026-01-01T00:00:00Z");
    // Each is drawn for wide and for narrow windows.
    expect(page.match(/<svg/g)).toHaveLength(2 * 2);
    for (const cell of ["300 (256 – ?)", "–", "the samples can&#39;t tell", "50 %"]) {
      expect(page).toContain(`<td>${cell}</td>`);
    }
    expect(page).toContain("A document of 1k tokens read and answered in 64");
  });

  test("has no section without content", async () => {
    const bare = { ...full, memory: [], request: null };
    const page = await comparisonPage({ ...data, contenders: [bare] }, "1.0", "2026-01-01T00:00:00Z");
    expect(page).not.toContain("Memory of a prefill");
    expect(page).not.toContain("A document of");
  });
});
