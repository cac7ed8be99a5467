import { temporaryFolder, writePieces } from "../files/node-write.js";
import { llamaVersion } from "../measure/llama-binding.js";
import { openLlamaRunner } from "../measure/llama.js";
import type { LlamaRuntime } from "./llama-calibration.js";
import { longestInPlan } from "./llama-calibration-plan.js";

/**
 * llama.cpp as the engine that a calibration measures. Its models are written to a temporary folder.
 *
 * @throws NsquaredError `runtime-missing` where node-llama-cpp is not installed
 */
export async function llamaRuntime(): Promise<LlamaRuntime> {
  const [version, { randomGguf }] = await Promise.all([llamaVersion(), import("../model/gguf/random-gguf.js")]);
  const folder = temporaryFolder();
  let opened = 0;
  return {
    version,
    open: (shapes, threads) => {
      opened += 1;
      const path = folder.path(`${opened}.gguf`);
      const contextLength = longestInPlan + 1;
      writePieces(path, randomGguf({ ...shapes, context: contextLength, type: "f16" }, { repeated: true }));
      // Of single steps the quickest is wanted, not the mean.
      return openLlamaRunner({ path, contextLength, sequences: 1, threads, attention: "fused", seed: 1, shortest: 0 });
    },
    close: folder.remove,
  };
}
