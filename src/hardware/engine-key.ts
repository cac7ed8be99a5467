import type { DeviceRecord } from "./record.js";

/** Engines that have builds, or a switch, without fused attention. */
const switched = new Set(["llama.cpp-cuda", "llama.cpp-metal"]);

/**
 * What rows of fits call an engine as it runs on a device with that attention. On AMD every engine runs kernels of its own:
 * HIP compiles llama.cpp's, others take those of ROCm's libraries.
 */
export function engineKey(
  name: string,
  attention: "fused" | "naive" | null,
  { vendor }: Pick<DeviceRecord, "vendor">,
): string {
  const backend = vendor === "AMD" ? `${name} hip` : name;
  return attention === "naive" && switched.has(name) ? `${backend} -fa 0` : backend;
}
