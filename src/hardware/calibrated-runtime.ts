import type { Calibration } from "./calibration.js";

/** A runtime whose kernels a calibration times, and what it does in its own way. */
export interface CalibratedRuntime {
  readonly name: "onnx" | "llama";
  /** What its versions are of. */
  readonly title: string;
  /** Whether it runs the weights of a file as they are stored, instead of in the format that was measured. */
  readonly keepsWeights: boolean;
  /** Whether it computes a prompt in pieces. */
  readonly inPieces: boolean;
  /** Whether naive attention was timed. */
  readonly timesNaive: boolean;
  /**
   * Goes up where models run other kernels than a calibration has timed, or it times them, or reads its times, in another way; by
   * whether a GPU was timed.
   */
  readonly revision: { readonly cpu: number; readonly gpu: number };
}

export const onnxRuntime: CalibratedRuntime = {
  name: "onnx",
  title: "ONNX Runtime",
  keepsWeights: false,
  inPieces: false,
  timesNaive: true,
  revision: { cpu: 9, gpu: 10 },
};

export const llamaCpp: CalibratedRuntime = {
  name: "llama",
  title: "node-llama-cpp",
  keepsWeights: true,
  inPieces: true,
  timesNaive: false,
  revision: { cpu: 1, gpu: 1 },
};

/** The engine of a calibration with llama.cpp, by the name that its profile has. */
export const llamaEngine = "llama.cpp-cpu";

/** What a calibration was made with. */
export function runtimeOf({ engine }: Pick<Calibration, "engine">): CalibratedRuntime {
  return engine === llamaEngine ? llamaCpp : onnxRuntime;
}

/** The revision that a calibration of a device of this class has today. */
export function revisionOf(runtime: CalibratedRuntime, deviceClass: string): number {
  return deviceClass === "cpu" ? runtime.revision.cpu : runtime.revision.gpu;
}
