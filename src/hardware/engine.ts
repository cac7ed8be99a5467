import type { DeviceRecord } from "./record.js";

/** What a runtime adds to its kernels. */
export interface Engine {
  readonly name: string;
  /** Seconds of a whole pass over the sum of its kernels. */
  readonly factor: number;
  /** Standard deviation of the logarithm of that factor from runtime to runtime. */
  readonly logSpread: number;
  readonly source: string;
}

/**
 * The engine a prediction is for: the measured one on a calibrated machine, otherwise no engine in particular: well-tuned
 * kernels under any of today's engines.
 */
export function engineOf(device: DeviceRecord): Engine {
  if (device.calibration !== null) {
    return {
      name: device.calibration.engine,
      factor: 1,
      logSpread: 0.05,
      source: "calibrated on kernels of this engine on this machine",
    };
  }
  return {
    name: "generic",
    factor: 1,
    logSpread: 0.3,
    source: "spread of published end-to-end prefills over the roofline of their models (10th/90th percentile 1.6/3.7)",
  };
}
