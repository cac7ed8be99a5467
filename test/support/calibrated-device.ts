import { planRevision } from "../../src/hardware/calibration.js";
import { deviceRecordSchema, type DeviceRecord } from "../../src/hardware/record.js";

const sourced = (value: number) => ({ value, source: "made up for tests" });

/** A machine that was measured: 200 GFLOP/s, 25 GB/s from memory, 100 GB/s from caches below 16 MiB. */
export const calibratedDevice: DeviceRecord = deviceRecordSchema.parse({
  schema: "nsquared/device@1",
  name: "local",
  vendor: "made up",
  class: "cpu",
  peaks: { float32: sourced(200e9) },
  bandwidth: sourced(25e9),
  memory: sourced(16 * 2 ** 30),
  launch: sourced(3e-6),
  calibration: {
    engine: "onnxruntime",
    engineVersion: "1.30.0",
    threads: 2,
    dtype: "float32",
    cpu: "made up",
    measured: "2026-11-23T12:00:00.000Z",
    seconds: 20,
    plan: planRevision,
    longest: 1024,
    gemm: { perMac: 1e-11, perWeightByte: 4e-11, overlap: 2, activation: 0.5 },
    batchedPerMac: 1.5e-11,
    batchedPasses: 0,
    batchedGrowth: { exponent: 0, from: 1, to: 1 },
    attention: {
      tileElements: 65_536,
      perPairDim: 1.2e-11,
      perPair: 4e-10,
      perNewDim: 5e-10,
      perCachedDim: 8e-10,
      perCall: 2e-5,
    },
    decodeAttention: {
      tileElements: 0,
      perPairDim: 4e-11,
      perPair: 1e-10,
      perNewDim: 0,
      perCachedDim: 3e-10,
      perCall: 1e-5,
    },
    streams: Object.fromEntries(
      ["scale", "add", "silu", "norm", "softmax"].map((kind) => [
        kind,
        [
          { workingSet: 2 ** 24, secondsPerByte: 1e-11 },
          { workingSet: 2 ** 26, secondsPerByte: 4e-11 },
        ],
      ]),
    ),
    perOperator: 3e-6,
    perRun: 5e-5,
    spreads: {
      gemm: 0.08,
      gemv: 0.08,
      attention: 0.1,
      "decode-attention": 0.1,
      vector: 0.2,
      lookup: 0.2,
      overhead: 0.4,
    },
    measurements: [],
  },
});
