import { existsSync } from "node:fs";

/*
 * GPUs in software, by the files that tell Vulkan's loader of their drivers. It reads which to take from VK_ICD_FILENAMES when a process
 * first asks for a GPU. Whoever runs the tests may choose another.
 */

/** Chromium's: slow, good enough to compute with, and without float16. All tests take it where it is here. */
export const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** What tests take unless something else is chosen: a driver, or what the system has. */
export function usualGpu(): { readonly VK_ICD_FILENAMES?: string } {
  const chosen = process.env["VK_ICD_FILENAMES"] ?? (existsSync(swiftShader) ? swiftShader : null);
  return chosen === null ? {} : { VK_ICD_FILENAMES: chosen };
}

/** Mesa's, which computes in float16 too, but takes half a minute for a kernel and is too old for WebGPU in some systems. */
const lavapipe = ["", ".x86_64", ".aarch64"].map((machine) => `/usr/share/vulkan/icd.d/lvp_icd${machine}.json`);

/** Before anything else in a file of tests: Mesa's software GPU where it is here and the usual one would be taken. */
export function preferFloat16(): void {
  const found = lavapipe.find((driver) => existsSync(driver));
  if (found !== undefined && process.env["VK_ICD_FILENAMES"] === swiftShader) process.env["VK_ICD_FILENAMES"] = found;
}
