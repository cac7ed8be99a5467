import { describe, expect, test } from "vitest";
import { decodeReport, prefillReport, reportData } from "../../test/fixtures/report-data.js";
import type { PhaseLaw, PhasePrediction, PhaseReport, ReportData } from "./data.js";
import { answer, doubts } from "./words.js";

function texts(data: ReportData): [string, string, string] {
  const [slowing, takeover, agreeing] = answer(data);
  return [slowing.text, takeover.text, agreeing.text];
}

function withPrefill(change: Partial<PhaseReport>, other: Partial<ReportData> = {}): ReportData {
  return { ...reportData, phases: [{ ...prefillReport, ...change }], ...other };
}

function lawWith(change: Partial<PhaseLaw>): PhaseLaw {
  if (prefillReport.law === null) throw new Error("the fixture has a law");
  return { ...prefillReport.law, ...change };
}

function predictionWith(change: Partial<PhasePrediction>): PhasePrediction {
  if (prefillReport.prediction === null) throw new Error("the fixture has a prediction");
  return { ...prefillReport.prediction, ...change };
}

const nothing = { flops: null, seconds: null };

test("the answer of a whole profile says how it slows, where n² takes over and how well both agree", () => {
  expect(texts(reportData)).toEqual([
    "Prefill takes 84 ms for 128 tokens and 15 s for 8k: 64 times the tokens, 180 times the time; the local exponent goes from 0.93 to 1.6 (1 is linear, 2 is quadratic); a decode step goes from 7.77 ms to 23.1 ms between 128 and 8k tokens of context.",
    "n² takes over at about 3,700 tokens on this machine (90 % interval 3,200–4,400; predicted 4,400, 3,300–6,100; 6,100 if only FLOPs counted).",
    "They agree: prefill takes 1.02 times the predicted time (median; 0.854–1.08), 6 of 7 lengths inside the 90 % interval; decode takes 1.04 times the predicted time (median; 0.960–1.12), 4 of 5 lengths inside the 90 % interval.",
  ]);
});

test("doubts of a law name its phase where there are several", () => {
  const law = lawWith({ warnings: [{ code: "bend", message: "it bends" }] });
  const own = reportData.warnings.map(({ message }) => message);
  const decode = { ...decodeReport, law };
  const both = { ...reportData, phases: [{ ...prefillReport, law }, decode] };
  expect(doubts(both)).toEqual([...own, "Prefill: it bends", "Decode: it bends"]);
  expect(doubts({ ...both, phases: [decode] })).toEqual([...own, "it bends"]);
});

describe("how it slows", () => {
  test("comes from the prediction, with its exponents, where nothing was measured", () => {
    const data = withPrefill({ measured: [], law: null }, { run: null });
    expect(texts(data)[0]).toBe(
      "Prefill is predicted to take 98.3 ms for 128 tokens and 16 min 16 s for 80k: 640 times the tokens, 9,900 times the time; the local exponent goes from 0.84 to 1.9 (1 is linear, 2 is quadratic).",
    );
  });

  test("is not known from one length", () => {
    const data = withPrefill({ measured: prefillReport.measured.slice(0, 1), law: null, prediction: null });
    expect(texts(data)[0]).toBe("Prefill takes 84 ms for 128 tokens; one length does not tell how it slows.");
  });

  test("is about decode where only decode was timed", () => {
    expect(texts({ ...reportData, phases: [decodeReport] })[0]).toMatch(
      /^A decode step takes 7.77 ms after 128 tokens and 23.1 ms after 8k: /,
    );
  });

  test("has nothing to say without any phase", () => {
    expect(texts({ ...reportData, phases: [] })).toEqual([
      "Nothing was timed or predicted, so nothing can be said.",
      "Nothing was timed or predicted, so no crossover is known.",
      "Nothing was predicted, so there is nothing to hold the measurement against.",
    ]);
  });
});

describe("where n² takes over", () => {
  test("says that a crossover beyond the context is out of the model's reach", () => {
    const data = withPrefill({ law: lawWith({ crossover: { n: 12_345, low: 9000, high: 17_000 } }), prediction: null });
    expect(texts(data)[1]).toBe(
      "n² would take over at about 12,000 tokens on this machine (90 % interval 9,000–17,000), extrapolated from 8k and less, beyond the 8k tokens the model was made for.",
    );
  });

  test("says what is known where the interval has one end", () => {
    const data = withPrefill({
      law: lawWith({ crossover: { n: 5000, low: 3000, high: Number.POSITIVE_INFINITY } }),
      prediction: null,
    });
    expect(texts(data)[1]).toContain("(90 % interval 3,000 or more)");
  });

  test("names the prediction where no law found a crossover", () => {
    expect(texts(withPrefill({ law: null }))[1]).toBe(
      "n² takes over at about 4,400 tokens on this machine (90 % interval 3,300–6,100; 6,100 if only FLOPs counted), by prediction.",
    );
  });

  test("says that there is none where law and prediction have none", () => {
    const data = withPrefill({ law: lawWith({ crossover: null }), prediction: predictionWith({ crossover: nothing }) });
    expect(texts(data)[1]).toBe(
      "Up to 8k tokens n² does not take over: no length was found from which on it costs more than the rest.",
    );
  });

  test("says that it cannot be named without a law or a prediction", () => {
    expect(texts(withPrefill({ law: null, prediction: null }))[1]).toBe(
      "Without a law or a prediction no crossover can be named.",
    );
  });

  test("explains that a decode step has no n² term", () => {
    expect(texts({ ...reportData, phases: [decodeReport] })[1]).toMatch(
      /^A decode step with a KV cache has no n² term/,
    );
  });

  test("names the device where another than this machine was predicted for", () => {
    const data = withPrefill(
      { measured: [], law: null },
      { run: null, prediction: { device: "h100-sxm", engine: "generic", facts: [] } },
    );
    expect(texts(data)[1]).toContain("tokens on h100-sxm (");
  });
});

describe("prediction against measurement", () => {
  test("is missing where one of them is", () => {
    expect(texts(withPrefill({ prediction: null }))[2]).toBe(
      "Nothing was predicted, so there is nothing to hold the measurement against.",
    );
    expect(texts(withPrefill({ measured: [] }, { run: null }))[2]).toBe(
      "Nothing was measured, so the prediction is untested here.",
    );
    expect(texts(withPrefill({ prediction: predictionWith({ points: [] }) }))[2]).toBe(
      "No measured length was predicted, so the two cannot be compared.",
    );
  });

  test.each([
    [1, "They agree:"],
    [1.2, "They agree roughly:"],
    [2, "They disagree:"],
  ])("has a verdict for a prediction that is %d times as fast", (faster, verdict) => {
    const { points } = predictionWith({});
    const scaled = points.map((point) => ({ ...point, seconds: point.seconds / faster }));
    expect(texts(withPrefill({ prediction: predictionWith({ points: scaled }) }))[2].startsWith(verdict)).toBe(true);
  });

  test("counts a single length as such", () => {
    const data = withPrefill({ measured: prefillReport.measured.slice(2, 3) });
    expect(texts(data)[2]).toBe(
      "They agree: prefill takes 0.958 times the predicted time, 1 of 1 length inside the 90 % interval.",
    );
  });
});
