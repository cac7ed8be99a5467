import type { DeviceRecord } from "./record.js";

/** What a runtime adds to its kernels. */
export interface Engine {
  readonly name: string;
  /** Seconds of a whole pass over the sum of its kernels. */
  readonly factor: number;
  /** Standard deviation of the logarithm of that factor from runtime to runtime. */
  readonly logSpread: number;
  readonly memory: EngineMemory;
  readonly source: string;
}

/** What a runtime takes of memory, in multiples of what the model needs. */
export interface EngineMemory {
  /** Of the weights, at the peak of opening the model. */
  readonly opening: number;
  /** Of the weights, once it is open. */
  readonly resident: number;
  /** Of the cache and the activations. */
  readonly pass: number;
  readonly source: string;
}

const plainMemory: EngineMemory = { opening: 1, resident: 1, pass: 1, source: "the model's own bytes" };
/*
 * Measured as resident memory of the process, ONNX Runtime 1.30 on the CPU in float32. SmolLM2-135M and Qwen2.5-0.5B
 * (513 and 1885 MiB of weights): 1.3 to 1.9 times the weights once open, since products multiply by packed copies and
 * a tied table is kept besides; up to 3.0 times while opening; 1.1 to 1.5 times cache and activations, since its arena
 * grows by powers of two.
 */
const onnxMemory: EngineMemory = {
  opening: 3,
  resident: 1.6,
  pass: 1.4,
  source: "measured on two models: 1.3 to 1.9 times the weights, 1.1 to 1.5 times cache and activations",
};

/**
 * The engine a prediction is for: the measured one on a calibrated machine, otherwise no engine in particular: well-tuned
 * kernels under any of today's engines.
 */
export function engineOf(device: DeviceRecord): Engine {
  if (device.calibration !== null) {
    return {
      name: device.calibration.engine,
      factor: 1,
      // A shared machine moved by about this between calibrating and measuring: docs/performance.md.
      logSpread: 0.1,
      memory: device.calibration.engine === "onnxruntime" ? onnxMemory : plainMemory,
      source: "calibrated on kernels of this engine on this machine",
    };
  }
  return {
    name: "generic",
    factor: 1,
    logSpread: 0.3,
    memory: plainMemory,
    source: "spread of published end-to-end prefills over the roofline of their models (10th/90th percentile 1.6/3.7)",
  };
}
