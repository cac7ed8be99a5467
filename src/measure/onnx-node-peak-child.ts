import { systemClock } from "./clock.js";
import { availableMemory, openOnnxNodeRunner } from "./onnx-node.js";
import { loadOnnxRuntime } from "./onnx-node-session.js";
import { type Peak, type PeakJob, residentMemory, resetPeak } from "./onnx-node-peak.js";

/* The process that `measurePeak` starts: opens the model it is sent, runs one step, says what both took. */
process.once("message", (job: PeakJob) => {
  void measure(job);
});

async function measure({ model, options, cell }: PeakJob): Promise<void> {
  await loadOnnxRuntime();
  const before = residentMemory().now;
  const runner = await openOnnxNodeRunner(model, { ...options, availableBytes: availableMemory });
  // The arrays that the weights were handed over in are garbage by now, and would count until somebody collects it. What one
  // collection finds it gives back in the background; the next one waits for that.
  globalThis.gc?.();
  globalThis.gc?.();
  const open = residentMemory().now - before;
  const context = { clock: systemClock, signal: new AbortController().signal };
  await runner.prepare?.(cell, context);
  resetPeak();
  const outcome = await runner.run(cell, context);
  const { peak } = residentMemory();
  await runner.close();
  if (outcome.status === "ok") {
    const result: Peak = { open, step: peak - before };
    process.send?.(result);
  }
  process.disconnect();
}
