import { parseHTML } from "linkedom";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeReport, prefillReport, reportData } from "../../test/fixtures/report-data.js";
import type { ReportData } from "./data.js";
import { htmlReport } from "./html.js";

function texts(page: string, selector: string): string[] {
  const { document } = parseHTML(page);
  return [...document.querySelectorAll(selector)].map(
    (element: { textContent: string | null }) => element.textContent ?? "",
  );
}

describe("the HTML report", () => {
  let page = "";
  beforeAll(async () => {
    page = await htmlReport(reportData);
  });

  test("opens with the answer in three sentences, then plain words, then pictures", () => {
    expect(texts(page, ".answer li")).toHaveLength(3);
    expect(texts(page, "h2")).toEqual([
      "In plain words",
      "Prefill",
      "Decode",
      "Memory",
      "What this rests on",
      "Assumptions and definitions",
    ]);
  });

  test("has each picture for wide and for narrow pages, described in words", () => {
    const { document } = parseHTML(page);
    const pictures = [...document.querySelectorAll("figure svg")];
    expect(texts(page, "figure h3")).toEqual([
      "Time over length",
      "Measured against predicted",
      "Where the time goes, by prediction",
      "Time over context",
      "Measured against predicted",
      "Memory over length",
    ]);
    expect(pictures).toHaveLength(12);
    for (const picture of pictures) {
      expect(picture.getAttribute("role")).toBe("img");
      expect(picture.getAttribute("aria-label")?.length ?? 0).toBeGreaterThan(30);
    }
  });

  test("draws no coordinate that is not a number", () => {
    expect(page.match(/NaN|Infinity|undefined/)).toBeNull();
  });

  test("labels what is extrapolated", () => {
    expect(texts(page, "caption")).toContain("Extrapolated: nobody measured these lengths");
    expect(texts(page, "svg.wide text tspan, svg.wide text")).toContain("extrapolated");
    expect(page.includes('stroke-dasharray="6 5"')).toBe(true);
  });

  test("states what a reader needs to repeat it", () => {
    const facts = texts(page, "dd").join("|");
    for (const fact of [
      "onnxruntime-node 1.30.0",
      "Intel(R) Xeon(R)",
      "linux 6.1.0 x64",
      "134,515,008",
      "2.12e8·n + 3.46e4·n² + 5.7e7",
    ]) {
      expect(facts).toContain(fact);
    }
    expect(texts(page, "pre")[0]).toContain("--seed 1");
  });

  test("asks for nothing from elsewhere and carries no script and no style but its own sheet", () => {
    expect(page.match(/<script|<link|<img|@import|url\(|\son\w+=|\sstyle=/i)).toBeNull();
    expect(page.match(/https?:\/\/[^\s"'<]*/g) ?? []).toEqual([]);
    expect(page.match(/<meta http-equiv[^>]*>/)?.[0]).toMatch(
      /content="default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='/,
    );
  });
});

describe("names from files", () => {
  const evil = `</title></style><script>alert(1)</script><img src=x onerror="alert(2)">'"&\u202e`;

  test("stay text wherever they stand", async () => {
    const fact = { label: evil, value: evil };
    const data: ReportData = {
      ...reportData,
      model: { ...reportData.model, name: evil, source: evil, flops: { prefill: evil, decode: evil }, facts: [fact] },
      prediction: { device: evil, engine: evil, facts: [fact] },
      run:
        reportData.run === null
          ? null
          : {
              ...reportData.run,
              id: evil,
              path: evil,
              runtime: { ...reportData.run.runtime, name: evil, options: { [evil]: evil } },
              machine: { ...reportData.run.machine, cpu: evil },
            },
      phases: [
        {
          ...prefillReport,
          law:
            prefillReport.law === null
              ? null
              : {
                  ...prefillReport.law,
                  kind: evil,
                  expression: evil,
                  coefficients: { [evil]: { value: 1, low: 0, high: 2 } },
                },
        },
      ],
      warnings: [{ code: evil, message: evil }],
      assumptions: [evil],
      commands: [evil],
      version: evil,
      created: evil,
    };
    const page = await htmlReport(data);
    const { document } = parseHTML(page);
    expect(document.querySelectorAll("script, img")).toHaveLength(0);
    expect(page.match(/<script|<img/i)).toBeNull();
    expect(texts(page, "h1")[0]).toContain("<script>alert(1)</script>");
  });
});

describe("a report with less", () => {
  test.each<[string, Partial<ReportData>]>([
    ["a prediction alone", { run: null, phases: [{ ...prefillReport, measured: [], law: null }] }],
    [
      "a measurement alone",
      { prediction: null, memory: null, phases: [{ ...prefillReport, law: null, prediction: null }] },
    ],
    [
      "one measured length",
      { phases: [{ ...prefillReport, measured: prefillReport.measured.slice(2, 3), law: null, prediction: null }] },
    ],
    [
      "one measured length and a prediction",
      { phases: [{ ...decodeReport, measured: decodeReport.measured.slice(2, 3) }] },
    ],
    ["no phase", { phases: [], memory: null }],
    ["no facts", { run: null, prediction: null, memory: null, commands: [], assumptions: [], warnings: [] }],
  ])("is made of %s", async (_name, change) => {
    const page = await htmlReport({ ...reportData, ...change });
    expect(texts(page, ".answer li")).toHaveLength(3);
    expect(page.match(/NaN|Infinity|undefined|null/)).toBeNull();
  });

  test("draws intervals without an end up to the edge of the picture", async () => {
    const endless = { low: 0, high: Number.POSITIVE_INFINITY };
    const { law, prediction } = prefillReport;
    if (law === null || prediction === null) throw new Error("the fixture has both");
    const phase = {
      ...prefillReport,
      law: {
        ...law,
        crossover: { n: 3700, ...endless },
        curve: law.curve.map((point) => ({ ...point, ...endless })),
        extrapolation: law.extrapolation.map((point) => ({ ...point, ...endless })),
        coefficients: { constant: { value: 0.02, ...endless } },
      },
      prediction: { ...prediction, points: prediction.points.map((point) => ({ ...point, ...endless })) },
    };
    const page = await htmlReport({ ...reportData, phases: [phase] });
    expect(page.match(/NaN|Infinity/)).toBeNull();
    expect(page.includes("∞")).toBe(true);
  });

  test("shows a measured profile beside the predicted shares", async () => {
    const profile = [512, 2048].map((n) => ({ n, seconds: { attention: n * n, ffn: 1000 * n, projection: 500 * n } }));
    const page = await htmlReport({ ...reportData, phases: [{ ...prefillReport, profile }] });
    expect(texts(page, "figure h3")).toContain("Where the time goes, measured");
  });
});
