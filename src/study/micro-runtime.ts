import { openMicro } from "../measure/onnx-node-micro.js";
import { loadOnnxRuntime } from "../measure/onnx-node-session.js";
import type { Provider } from "../onnx/provider.js";
import { SharedNumbers } from "../onnx/shared-numbers.js";
import type { MicroRuntime } from "./calibrate.js";
import { mostNumbers } from "./calibration-plan.js";

/**
 * ONNX Runtime as the engine that a calibration measures.
 *
 * @throws NsquaredError `runtime-missing` where onnxruntime-node is not installed
 */
export async function onnxMicroRuntime(provider: Provider = "cpu"): Promise<MicroRuntime> {
  const { version } = await loadOnnxRuntime();
  const numbers = new SharedNumbers(mostNumbers());
  return {
    name: "onnxruntime",
    version,
    provider,
    open: (micro, threads) => openMicro(micro, threads, provider, numbers),
  };
}
