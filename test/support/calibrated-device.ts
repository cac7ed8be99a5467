import { llamaCpp, llamaEngine, onnxRuntime } from "../../src/hardware/calibrated-runtime.js";
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
    plan: onnxRuntime.revision.cpu,
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

/** The same machine as llama.cpp was measured on it, 100 GFLOP/s and half a millisecond before a pass. */
export const calibratedLlama: DeviceRecord = deviceRecordSchema.parse({
  ...calibratedDevice,
  name: "local-llama",
  peaks: { float16: sourced(100e9) },
  calibration: {
    ...calibratedDevice.calibration,
    engine: llamaEngine,
    plan: llamaCpp.revision.cpu,
    engineVersion: "3.22.0, b10000",
    dtype: "float16",
    longest: 8192,
    gemm: { perMac: 2e-11, perWeightByte: 4e-11, overlap: 2, activation: 0 },
    attention: { ...calibratedDevice.calibration?.attention, tileElements: 0, perPairDim: 8e-12, perPair: 1e-9 },
    perRun: 5e-4,
  },
});
