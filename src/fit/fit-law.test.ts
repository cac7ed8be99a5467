import { describe, expect, test } from "vitest";
import { NsquaredError } from "../base/errors.js";
import { normalDeviate, seededRandom } from "../base/random.js";
import { fitLaw } from "./fit-law.js";
import type { Point } from "./points.js";

function points(pairs: Readonly<Record<number, number>>): Point[] {
  return Object.entries(pairs).map(([n, seconds]) => ({ n: Number(n), seconds }));
}

function repeated(
  law: (n: number) => number,
  lengths: readonly number[],
  repeats: number,
  noise: number,
  seed: number,
): Point[] {
  const random = seededRandom(seed);
  return Array.from({ length: repeats }, (_, block) =>
    lengths.map((n) => ({ n, block, seconds: law(n) * Math.exp(noise * normalDeviate(random)) })),
  ).flat();
}

const doublings = [128, 256, 512, 1024, 2048, 4096];
const codes = (fit: { warnings: readonly { code: string }[] }) => fit.warnings.map((warning) => warning.code);

/** SmolLM2-135M, float32, fused attention, onnxruntime-node on two cores: prefill seconds. */
const smolLM2 = { 128: 0.0835, 256: 0.1602, 512: 0.3513, 1024: 0.8063, 2048: 1.9884, 4096: 4.9786, 8192: 15.0389 };
const upTo = (longest: number) => points(smolLM2).filter((point) => point.n <= longest);

describe("fitting a law", () => {
  test("a quadratic law is found with its coefficients and its crossover inside their intervals", () => {
    const fit = fitLaw(repeated((n) => 0.02 + 1e-4 * n + 5e-8 * n * n, doublings, 5, 0.02, 7));
    expect(fit.law.kind).toBe("quadratic");
    const { constant, linear, quadratic } = fit.law.coefficients ?? {};
    for (const [estimate, truth] of [
      [constant, 0.02],
      [linear, 1e-4],
      [quadratic, 5e-8],
    ] as const) {
      expect(estimate?.low).toBeLessThan(truth);
      expect(estimate?.high).toBeGreaterThan(truth);
    }
    const crossover = (1e-4 + Math.sqrt(1e-8 + 4 * 5e-8 * 0.02)) / 1e-7;
    expect(fit.crossover?.low).toBeLessThan(crossover);
    expect(fit.crossover?.high).toBeGreaterThan(crossover);
    expect(fit.exponent(1 << 20)).toBeCloseTo(2, 2);
    expect(fit.noise.assumed).toBe(false);
    expect(codes(fit)).toEqual([]);
  });

  test("a straight line stays a line, its crossover is unbounded and a length is named that would settle it", () => {
    const fit = fitLaw(repeated((n) => 0.02 + 1e-4 * n, doublings, 5, 0.02, 1));
    expect(fit.law.kind).toBe("linear");
    expect(fit.crossover?.n).toBeNull();
    expect(fit.crossover?.high).toBeNull();
    expect(fit.crossover?.low).toBeGreaterThan(4096);
    expect(fit.law.coefficients?.quadratic).toMatchObject({ value: 0, low: 0 });
    const message = fit.warnings.find((warning) => warning.code === "not-identifiable")?.message;
    expect(message).toMatch(/not identifiable in 128 … 4k; measure up to about (8|16|32)k/);
  });

  test("pure n² on 256 … 32k is not called linear", () => {
    const lengths = [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768];
    const fit = fitLaw(lengths.map((n) => ({ n, seconds: 1e-9 * n * n })));
    expect(fit.law.kind).toBe("quadratic");
    expect(fit.crossover?.n).toBe(0);
    const at = fit.predict(65_536);
    expect(at.low).toBeLessThan(1e-9 * 65_536 ** 2);
    expect(at.high).toBeGreaterThan(1e-9 * 65_536 ** 2);
    // The prior on a crossover at tens of thousands of tokens is contradicted, so the law stands alone.
    expect(fit.average).toBeNull();
    expect(at.seconds).toBeCloseTo(1e-9 * 65_536 ** 2, 6);
    expect(fit.candidates.find((one) => one.kind === "linear")?.rejected).toMatch(/AICc/);
  });

  test("prefill of a 14B model at 8k, 16k, 32k gives an interval at 64k that holds the measured 10.1 s within a factor of 4", () => {
    const fit = fitLaw(points({ 8192: 0.68, 16384: 1.5, 32768: 3.68 }));
    const at = fit.predict(65_536);
    expect(at.low).toBeLessThan(10.1);
    expect(at.high).toBeGreaterThan(10.1);
    expect(at.high / at.low).toBeLessThan(4);
    expect(at.factor).toBe(2);
    expect(codes(fit)).toContain("no-repeats");
    expect(codes(fit)).toContain("few-lengths");
    expect(fit.warnings[0]?.message).toContain("3 %");
  });

  test("a server that pads to powers of two is seen to step", () => {
    const fit = fitLaw(
      points({ 128: 0.361, 1024: 0.724, 2048: 1.177, 3072: 2.108, 4096: 2.108, 8192: 4.142, 16384: 8.656 }),
    );
    expect(fit.law.kind).toBe("steps");
    expect(fit.law.coefficients).toBeNull();
    expect(fit.crossover).toBeNull();
    expect(fit.asQuadratic?.coefficients.linear.value).toBeGreaterThan(0);
    const at = fit.predict(32_000);
    expect(at.low).toBeLessThan(19.827);
    expect(at.high).toBeGreaterThan(19.827);
    expect(fit.predict(3000).seconds).toBe(fit.predict(4096).seconds);
  });

  test("SmolLM2 up to 1024 does not claim to know 8192: the interval holds the truth and the bend is named", () => {
    const fit = fitLaw(upTo(1024));
    const at = fit.predict(8192);
    expect(at.low).toBeLessThan(15.04);
    expect(at.high).toBeGreaterThan(15.04);
    expect(at.factor).toBe(8);
    expect(at.canTell).toBe(false);
    expect(fit.predict(2048).canTell).toBe(true);
    expect(codes(fit)).toContain("bend");
    expect(fit.warnings.find((warning) => warning.code === "bend")?.message).toMatch(
      /exponent 0.94 at 128 … 256, 1.2 at 512 … 1k.*beyond 2k the samples cannot tell/,
    );
  });

  test("SmolLM2 up to 1024 with repeats of 1 % shows that the law misses the lengths, and the interval holds the truth", () => {
    const random = seededRandom(3);
    const noisy = [1, 2, 3, 4, 5].flatMap(() =>
      upTo(1024).map(({ n, seconds }) => ({ n, seconds: seconds * Math.exp(0.01 * normalDeviate(random)) })),
    );
    const fit = fitLaw(noisy, { laws: ["quadratic"] });
    const at = fit.predict(8192);
    expect(at.low).toBeLessThan(15.04);
    expect(at.high).toBeGreaterThan(15.04);
    expect(codes(fit)).toContain("lack-of-fit");
    expect(fit.discrepancy).toBeGreaterThan(0.01);
    expect(at.canTell).toBe(false);
  });

  test("intervals widen with the factor of extrapolation", () => {
    const fit = fitLaw(repeated((n) => 0.02 + 1e-4 * n + 5e-8 * n * n, doublings, 3, 0.03, 5));
    const widths = [4096, 8192, 16_384, 65_536].map((n) => fit.predict(n).high / fit.predict(n).low);
    expect([...widths].sort((a, b) => a - b)).toEqual(widths);
    const { low, high, sample } = fit.predict(4096);
    expect(sample.low).toBeLessThan(low);
    expect(sample.high).toBeGreaterThan(high);
  });

  test("the length that passes a limit comes with its interval, and is null for a limit never reached", () => {
    const fit = fitLaw(repeated((n) => 0.02 + 1e-4 * n + 5e-8 * n * n, doublings, 5, 0.02, 9));
    const truth = (-1e-4 + Math.sqrt(1e-8 + 4 * 5e-8 * (5 - 0.02))) / 1e-7;
    const at = fit.lengthAt(5);
    expect(at.low).toBeLessThan(truth);
    expect(at.high).toBeGreaterThan(truth);
    expect(Math.abs((at.n ?? 0) / truth - 1)).toBeLessThan(0.05);
    expect(fit.lengthAt(1e30)).toEqual({ n: null, low: null, high: null });
  });

  test("a machine that drifts between blocks widens the intervals and says so", () => {
    const law = (n: number) => 0.02 + 1e-4 * n + 5e-8 * n * n;
    const steady = repeated(law, doublings, 5, 0.005, 21);
    const levels = [1, 1.08, 0.93, 1.04, 0.97];
    const drifting = steady.map((point) => ({ ...point, seconds: point.seconds * (levels[point.block ?? 0] ?? 1) }));
    const fit = fitLaw(drifting);
    expect(codes(fit)).toContain("drift");
    expect(fit.drift?.relative).toBeGreaterThan(0.03);
    expect(fit.drift?.blocks).toBe(5);
    const at = fit.predict(2048);
    expect(at.high / at.low).toBeGreaterThan(1.1);
    expect(fitLaw(steady).drift).toBeNull();
    expect(fitLaw(drifting.map(({ n, seconds }) => ({ n, seconds }))).drift).toBeNull();
  });

  test("a fixed law is fitted whatever speaks against it", () => {
    const fit = fitLaw(upTo(8192), { laws: ["linear"] });
    expect(fit.law.kind).toBe("linear");
    expect(codes(fit)).toContain("lack-of-fit");
  });

  test("two lengths are enough for a line, with a warning", () => {
    const fit = fitLaw(points({ 128: 0.03, 1024: 0.12 }));
    expect(fit.law.kind).toBe("linear");
    expect(codes(fit)).toEqual(["no-repeats", "few-lengths", "not-identifiable"]);
  });

  test("the order of the points does not matter", () => {
    const data = repeated((n) => 0.02 + 1e-4 * n + 5e-8 * n * n, doublings, 3, 0.02, 11);
    const forward = fitLaw(data);
    const backward = fitLaw([...data].reverse());
    expect(backward.predict(32_768).seconds).toBeCloseTo(forward.predict(32_768).seconds, 9);
    expect(backward.law.kind).toBe(forward.law.kind);
  });

  test("other units of time scale everything and change no verdict", () => {
    const data = repeated((n) => 0.02 + 1e-4 * n + 5e-8 * n * n, doublings, 3, 0.02, 12);
    const seconds = fitLaw(data);
    const milliseconds = fitLaw(data.map((point) => ({ ...point, seconds: point.seconds * 1000 })));
    expect(milliseconds.law.kind).toBe(seconds.law.kind);
    expect(milliseconds.predict(16_384).high / 1000 / seconds.predict(16_384).high).toBeCloseTo(1, 6);
    expect((milliseconds.crossover?.n ?? 0) / (seconds.crossover?.n ?? 1)).toBeCloseTo(1, 6);
  });
});

describe("without repeats", () => {
  const law = (n: number) => 0.03 + 1e-4 * n * (1 + n / 30_000);
  const single = [512, 1024, 2048, 4096].map((n) => ({ n, seconds: law(n) }));

  test("a prediction averages over the laws, and lies between those of the line and of a free quadratic", () => {
    const fit = fitLaw(single);
    const weights = fit.average ?? [];
    expect(weights.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 9);
    expect(weights[0]?.kind).toBe("quadratic");
    const at = fit.predict(32_768);
    expect(at.seconds).toBeGreaterThan(fitLaw(single, { laws: ["linear"] }).predict(32_768).seconds);
    expect(at.low).toBeLessThan(law(32_768));
    expect(at.high).toBeGreaterThan(law(32_768));
    expect(at.low).toBeLessThan(at.seconds);
  });

  test("with repeats, with one law, and over the context the selected law predicts alone", () => {
    expect(fitLaw(repeated(law, doublings, 3, 0.01, 2)).average).toBeNull();
    expect(fitLaw(single, { laws: ["quadratic"] }).average).toBeNull();
    expect(fitLaw(single, { axis: "depth" }).average).toBeNull();
  });

  test("over the context long lengths count more than short ones", () => {
    const bent = [512, 1024, 2048, 4096, 8192].map((n) => ({ n, seconds: 0.01 + 1e-6 * n + (n < 1024 ? 0.002 : 0) }));
    const truth = 0.01 + 1e-6 * 32_768;
    const error = (fit: ReturnType<typeof fitLaw>) => Math.abs(fit.predict(32_768).seconds / truth - 1);
    const laws = ["linear"] as const;
    expect(error(fitLaw(bent, { laws, axis: "depth" }))).toBeLessThan(error(fitLaw(bent, { laws })) / 2);
  });
});

describe("bad input", () => {
  const failure = (data: readonly Point[], options = {}): string => {
    try {
      fitLaw(data, options);
    } catch (error) {
      if (error instanceof NsquaredError) return `${error.code}: ${error.message}`;
      throw error;
    }
    return "none";
  };

  test("each kind is named in one line", () => {
    expect(failure([])).toMatch(/^no-points/);
    expect(failure(points({ 128: 0 }))).toMatch(/^bad-seconds: points\[0\]\.seconds is 0/);
    expect(failure(points({ 128: -1 }))).toMatch(/^bad-seconds/);
    expect(failure(points({ 128: Number.NaN }))).toMatch(/^bad-seconds/);
    expect(failure([{ n: Number.NaN, seconds: 1 }])).toMatch(/^bad-length/);
    expect(failure([{ n: 0, seconds: 1 }])).toMatch(/^bad-length/);
    expect(
      failure([
        { n: 128, seconds: 1 },
        { n: 128, seconds: 2 },
      ]),
    ).toMatch(/^one-length/);
    expect(failure(upTo(1024), { assumedNoise: 3 })).toMatch(/^bad-noise/);
    expect(failure(upTo(1024), { level: 95 })).toMatch(/^bad-level/);
    expect(failure(upTo(1024), { laws: [] })).toMatch(/^no-laws/);
    expect(failure(upTo(256), { laws: ["power"] })).toMatch(/^too-few-lengths/);
  });

  test("a line whose samples do not rule out a square is not trusted far beyond them", () => {
    // A prefill seen only up to 1024 tokens, in noise that hides its square.
    const hidden = (n: number) => 0.01 + 1.4e-3 * n + 2.4e-7 * n * n;
    const noisy = fitLaw(repeated(hidden, [128, 256, 512, 1024], 3, 0.08, 3));
    expect(noisy.law.kind).toBe("linear");
    expect(noisy.predict(2048).factor).toBe(2);
    expect(noisy.predict(8192).canTell).toBe(false);
    const plain = fitLaw(repeated((n) => 0.01 + 1.4e-3 * n, doublings, 5, 0.01, 3));
    expect(plain.law.kind).toBe("linear");
    expect(plain.predict(8 * 4096).canTell).toBe(true);
  });
});
