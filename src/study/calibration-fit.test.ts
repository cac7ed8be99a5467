import { describe, expect, test } from "vitest";
import { gemmSeconds, unevenness } from "../hardware/calibrated.js";
import { attentionCoefficients, attentionFeatures } from "../hardware/calibrated-attention.js";
import { grownBy } from "../hardware/calibration.js";
import type { Micro } from "../onnx/micro.js";
import { type FittedRates, fitCalibration } from "./calibration-fit.js";
import { calibrationPlan, chainLength, longestCalibrated } from "./calibration-plan.js";

/** A machine that is exactly what the laws say it is. */
const truth = {
  perOperator: 3e-6,
  perRun: 2e-5,
  gemm: { perMac: 1e-11, perWeightByte: 4e-11, overlap: 2, growth: { exponent: 0.12, from: 2048, to: 16_384 } },
  attention: {
    tileElements: 65_536,
    threads: 2,
    growth: { exponent: 0, from: 1024, to: 8192 },
    perPairDim: 1.2e-11,
    perPair: 4e-10,
    perNewDim: 5e-10,
    perCachedDim: 8e-10,
    perCall: 2e-5,
  },
  decode: {
    tileElements: 0,
    threads: 1,
    growth: { exponent: 0, from: 1, to: 1 },
    perPairDim: 4e-11,
    perPair: 1e-10,
    perNewDim: 0,
    perCachedDim: 3e-10,
    perCall: 1e-5,
  },
  perProductMac: 1.3e-11,
  productGrowth: { exponent: 0.15, from: 8192, to: 49_152 },
  passes: 1.5,
  fast: 1e-11,
  slow: 6e-11,
};

/** Two levels: fast below 8 MiB, slow above 32 MiB. */
function perByte(workingSet: number): number {
  if (workingSet <= 2 ** 23) return truth.fast;
  return workingSet >= 2 ** 25 ? truth.slow : (truth.fast + truth.slow) / 2;
}

function each(micro: Micro): number {
  switch (micro.kind) {
    case "matmul": {
      const { perMac, perWeightByte, overlap, growth } = truth.gemm;
      const { m, k, n } = micro;
      return (
        truth.perOperator + gemmSeconds(k * n * 4 * perWeightByte, m * k * n * perMac * grownBy(m, growth), overlap)
      );
    }
    case "product": {
      const { batch, rows, inner, columns } = micro;
      const written = 4 * batch * rows * columns;
      const alive = written + 4 * batch * inner * (rows + columns);
      const mixed = inner > columns ? 4 * batch * rows * inner : 0;
      const again = mixed * (perByte(alive) - truth.fast) * truth.passes;
      const perMac = truth.perProductMac * grownBy(rows, truth.productGrowth);
      const busy = perMac * batch * rows * inner * columns + again;
      return busy * unevenness(batch, truth.attention.threads) + Math.max(written, mixed) * perByte(alive);
    }
    case "attention": {
      const { heads, kvHeads, headDim, n, depth, batch } = micro;
      const rates = n === 1 ? truth.decode : truth.attention;
      const features = attentionFeatures(
        {
          heads,
          kvHeads,
          keyDim: headDim,
          valueDim: headDim,
          causal: true,
          batch,
          newTokens: n,
          totalTokens: n + depth,
        },
        rates,
      );
      return attentionCoefficients(rates).reduce((sum, rate, k) => sum + rate * (features[k] ?? 0), 0);
    }
    case "elementwise": {
      const arrays = micro.function === "add" ? 2 : 1;
      return truth.perOperator + (arrays + 1) * 4 * micro.elements * perByte(arrays * 4 * micro.elements);
    }
    case "norm":
    case "softmax":
      return truth.perOperator + 8 * micro.rows * micro.width * perByte(8 * micro.rows * micro.width);
  }
}

const timed = (size: "full" | "quick", seconds = each) =>
  calibrationPlan(size)
    .flatMap(({ cells }) => cells)
    .map((micro) => ({ micro, seconds: truth.perRun + chainLength(micro) * seconds(micro) }));

test("products of two activations are told apart from how five threads share them", () => {
  const shared = (micro: Micro): number =>
    micro.kind === "product" ? each(micro) * unevenness(micro.batch, 5) : each(micro);
  const { batchedPerMac } = fitCalibration(timed("quick", shared), 5);
  expect(Math.abs(batchedPerMac / truth.perProductMac - 1)).toBeLessThan(0.1);
});

test("finds by how much a multiply-add takes longer in products of many rows, and believes it no further than twice as many", () => {
  const found = (exponent: number) => {
    const growing = (micro: Micro): number => {
      if (micro.kind === "matmul")
        return each(micro) * Math.max(1, micro.m / 2048) ** (exponent - truth.gemm.growth.exponent);
      if (micro.kind !== "product") return each(micro);
      return each(micro) * Math.max(1, micro.rows / 8192) ** (exponent - truth.productGrowth.exponent);
    };
    return fitCalibration(timed("full", growing), truth.attention.threads);
  };
  for (const exponent of [0.06, 0.12, 0.18]) {
    const { gemm, batchedGrowth } = found(exponent);
    expect(gemm.growth).toMatchObject({ from: 2048, to: 16_384 });
    expect(Math.abs(gemm.growth.exponent - exponent)).toBeLessThan(0.04);
    expect(batchedGrowth).toMatchObject({ from: 8192, to: 49_152 });
    expect(Math.abs(batchedGrowth.exponent - exponent)).toBeLessThan(0.04);
  }
});

describe.each(["full", "quick"] as const)("a %s calibration of a machine that follows the laws", (size) => {
  const rates = fitCalibration(timed(size), truth.attention.threads);

  test("finds its rates", () => {
    expect(rates.gemm.perMac).toBeCloseTo(truth.gemm.perMac, 12);
    expect(rates.gemm.perWeightByte / truth.gemm.perWeightByte).toBeCloseTo(1, 1);
    expect(rates.batchedPerMac / truth.perProductMac).toBeCloseTo(1, 1);
    expect(Math.abs(rates.batchedPasses / truth.passes - 1)).toBeLessThan(0.1);
    expect(rates.perOperator).toBeCloseTo(truth.perOperator, 8);
    expect(rates.perRun).toBeCloseTo(truth.perRun, 6);
    expect(rates.spreads.gemm).toBeLessThan(0.12);
    expect(rates.spreads.attention).toBeLessThan(0.15);
  });

  test("finds the seconds per byte of both cache levels", () => {
    for (const kind of ["scale", "add", "silu", "norm", "softmax"] as const) {
      const stream = rates.streams[kind];
      expect(stream.at(-1)?.secondsPerByte).toBeGreaterThan(3 * (stream.at(-3)?.secondsPerByte ?? 1) * 0.3);
      expect((stream.at(-1)?.secondsPerByte ?? 0) / truth.slow).toBeCloseTo(1, 0);
    }
  });

  test("extrapolates attention to heads that were not timed, and that two threads cannot share evenly", () => {
    expect(predicted(rates, long) / each(long)).toBeCloseTo(1, 1);
  });

  test("follows pairs that take longer among more keys, as far as it has timed them", () => {
    const slower = (micro: Micro) => each(micro) * grown(micro, 0.1);
    const found = fitCalibration(timed(size, slower), 2);
    expect(found.attention.growth.exponent).toBeGreaterThan(0.05);
    expect(Math.abs(Math.log(predicted(found, long) / slower(long)))).toBeLessThan(0.03);
    const longer: Micro = { ...long, n: 65_536 };
    expect(predicted(found, longer) / predicted({ ...found, attention: flat(found, 8192) }, longer)).toBeCloseTo(1, 9);
  });

  test("is right at long lengths where the law misses short ones", () => {
    const uneven = (micro: Micro) => each(micro) * (micro.kind === "attention" && micro.n < 2048 ? 1.3 : 1);
    const found = fitCalibration(timed(size, uneven), 2);
    expect(Math.abs(Math.log(predicted(found, long) / uneven(long)))).toBeLessThan(0.05);
  });
});

const long = { kind: "attention", heads: 9, kvHeads: 3, headDim: 64, n: 8192, depth: 0, batch: 1 } as const;

function predicted(
  { attention }: Pick<FittedRates, "attention">,
  micro: Extract<Micro, { kind: "attention" }>,
): number {
  const { heads, kvHeads, headDim, n } = micro;
  const sizes = {
    heads,
    kvHeads,
    keyDim: headDim,
    valueDim: headDim,
    causal: true,
    batch: 1,
    newTokens: n,
    totalTokens: n,
  };
  const features = attentionFeatures(sizes, attention);
  return attentionCoefficients(attention).reduce((sum, rate, k) => sum + rate * (features[k] ?? 0), 0);
}

function grown(micro: Micro, exponent: number): number {
  return micro.kind === "attention" ? Math.max(1, micro.n / 1024) ** exponent : 1;
}

/** The same rates with the growth that they reach at so many keys from the first key on. */
function flat({ attention }: FittedRates, keys: number): FittedRates["attention"] {
  const { exponent, from } = attention.growth;
  const factor = (keys / from) ** exponent;
  const { perPairDim, perPair } = attention;
  return {
    ...attention,
    growth: { exponent: 0, from, to: from },
    perPairDim: perPairDim * factor,
    perPair: perPair * factor,
  };
}

describe("calibrationPlan", () => {
  const cells = calibrationPlan("full").flatMap((group) => group.cells);

  test("times no sequence longer than 1024 tokens", () => {
    for (const micro of cells) {
      if (micro.kind === "attention") expect(micro.n + micro.depth).toBeLessThanOrEqual(longestCalibrated);
      if (micro.kind === "matmul") expect(micro.m).toBeLessThanOrEqual(longestCalibrated);
      if (micro.kind === "norm") expect(micro.rows).toBeLessThanOrEqual(longestCalibrated);
    }
  });

  test("uses shapes of neither model that predictions are checked on", () => {
    const forbidden = [576, 1536, 896, 4864];
    for (const micro of cells) {
      if (micro.kind === "matmul") for (const width of [micro.k, micro.n]) expect(forbidden).not.toContain(width);
      if (micro.kind === "attention") expect([`${micro.heads}/${micro.kvHeads}`]).not.toContain("9/3");
      if (micro.kind === "attention") expect([`${micro.heads}/${micro.kvHeads}`]).not.toContain("14/2");
      if (micro.kind === "norm") expect(forbidden).not.toContain(micro.width);
    }
  });

  test("keeps every cell of a group on the same weights", () => {
    for (const group of calibrationPlan("full")) {
      const weights = group.cells.map((micro) => {
        const { kind } = micro;
        if (kind === "matmul") return `${micro.k} ${micro.n} ${micro.length}`;
        if (kind === "attention") return `${micro.heads} ${micro.kvHeads} ${micro.headDim}`;
        if (kind === "norm" || kind === "softmax") return `${micro.width} ${micro.length}`;
        return kind === "elementwise" ? `${micro.function} ${micro.length}` : kind;
      });
      expect(new Set(weights).size).toBe(1);
    }
  });
});
