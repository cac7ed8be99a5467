import { existsSync } from "node:fs";

/**
 * Has Vulkan's loader take the first of these drivers that is here, unless one is chosen already. The loader reads the choice
 * when a process first asks for a GPU: a file of tests makes one choice, before everything else.
 */
export function chooseGpu(drivers: readonly string[]): void {
  const found = drivers.find((driver) => existsSync(driver));
  if (found !== undefined) process.env["VK_ICD_FILENAMES"] ??= found;
}

/** The GPU in software that Chromium brings: slow, good enough to compute with, and without float16. */
export const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** Mesa's, by the names that it has had: it computes in float16 too, and its older versions lack what WebGPU needs. */
export const lavapipe = ["", ".x86_64", ".aarch64"].map((machine) => `/usr/share/vulkan/icd.d/lvp_icd${machine}.json`);
