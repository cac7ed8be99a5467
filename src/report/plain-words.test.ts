import { describe, expect, test } from "vitest";
import { decodeReport, prefillReport, reportData } from "../../test/fixtures/report-data.js";
import { longerInputs, plainWords, shareOf } from "./plain-words.js";

describe("plain words", () => {
  const words = plainWords(reportData);

  test("say what is quadratic, from where on it matters and what longer input would cost", () => {
    expect(words).toHaveLength(5);
    expect(words[0]).toContain("twice the input means four times the comparisons");
    expect(words[1]).toContain("11 % of the time at 128 tokens");
    expect(words[1]).toContain("From about 3,700 tokens on");
    expect(words[2]).toContain("Twice as much (16k) would take about 50 s (45–54 s), 3.3 times as long.");
    expect(words[2]).toContain("Ten times as much (80k) would take about 18 min (14–22 min), 71 times as long.");
  });

  test("say where not even the weights fit", () => {
    const { limits } = reportData;
    const memory = limits.memory === null ? null : { ...limits.memory, n: 0 };
    const said = plainWords({ ...reportData, limits: { ...limits, memory } });
    expect(said.at(-1)).toContain("does not even hold its weights");
  });

  test("label what nobody measured, and what lies beyond the model's context", () => {
    expect(words[2]).toContain(
      "Nobody measured these lengths: they are extrapolated from what was measured between 128 and 8k tokens",
    );
    expect(words[2]).toContain("The model was made for 8k tokens");
  });

  test("say where a crossover lies beyond the context, and do not lull where its interval begins within", () => {
    const at = (low: number) => {
      const law =
        prefillReport.law === null ? null : { ...prefillReport.law, crossover: { n: 12_000, low, high: 20_000 } };
      return plainWords({ ...reportData, phases: [{ ...prefillReport, law }] })[1];
    };
    expect(at(9000)).toContain("within its reach time grows mostly in step with the length");
    expect(at(3000)).toContain("the interval begins at 3,000, so n² may matter within its reach");
  });

  test("say when longer input would not fit into memory", () => {
    const small = { ...reportData, limits: { memory: { n: 40_000 }, context: { n: 8192 } } };
    expect(plainWords(small)[2]).toContain("More than 40,000 tokens would not fit into memory.");
  });

  test("do not speak of n² where only decode was timed", () => {
    expect(plainWords({ ...reportData, phases: [decodeReport] }).join(" ")).not.toContain("four times");
  });

  test("are few where little is known", () => {
    const bare = {
      ...reportData,
      model: { ...reportData.model, cache: null },
      phases: [{ ...prefillReport, law: null, prediction: null }],
    };
    expect(plainWords(bare)).toHaveLength(1);
    expect(plainWords({ ...bare, phases: [] })).toEqual([]);
  });
});

describe("longer inputs", () => {
  test("are called untold where the samples cannot tell", () => {
    const { law } = prefillReport;
    const extrapolation = law?.extrapolation.map((point) => ({ ...point, canTell: false })) ?? [];
    const unsure = { ...prefillReport, law: law === null ? null : { ...law, extrapolation } };
    expect(plainWords(reportData).join(" ")).toContain("Twice as much (16k) would take about");
    const words = plainWords({ ...reportData, phases: [unsure] }).join(" ");
    expect(words).toContain("What twice as much (16k) would take the samples cannot tell");
  });

  test("come from the law, else from the prediction, and are null where neither reaches so far", () => {
    expect(longerInputs(prefillReport)?.source).toBe("law");
    expect(longerInputs({ ...prefillReport, law: null })).toMatchObject({
      source: "prediction",
      points: [{ n: 16384 }, { n: 81920 }],
    });
    expect(longerInputs({ ...prefillReport, law: null, prediction: null })).toBeNull();
  });
});

test("the share of a part is its seconds over all seconds", () => {
  expect(shareOf({ n: 1, seconds: { attention: 1, ffn: 3 } }, "attention")).toBe(0.25);
  expect(shareOf({ n: 1, seconds: {} }, "attention")).toBe(0);
});
