import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { readSamples } from "../../src/runs/import/read.js";
import type { SampleSet } from "../../src/runs/import/types.js";

const folder = mkdtempSync(join(tmpdir(), "nsquared-import-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;

/** A file with this text, whose name says nothing. */
export function file(text: string): string {
  files += 1;
  const path = join(folder, `f${files}.txt`);
  writeFileSync(path, text);
  return path;
}

/** The samples of a text. */
export function read(text: string): Promise<SampleSet> {
  return readSamples([file(text)]);
}

/** Why a text is not taken as samples. */
export async function refused(text: string): Promise<string> {
  try {
    await read(text);
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^\S+\.txt/, "f") : String(error);
  }
  throw new Error("was read");
}

/** A row of llama-bench. */
export const llamaRow = (change: Record<string, unknown> = {}) => ({
  build_commit: "8cf427ff",
  cpu_info: "AMD Ryzen 7 7800X3D 8-Core Processor",
  gpu_info: "NVIDIA GeForce RTX 4080",
  backends: "CUDA",
  model_filename: "models/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
  model_type: "qwen2 7B Q4_K - Medium",
  n_threads: 8,
  n_prompt: 512,
  n_gen: 0,
  n_depth: 0,
  avg_ns: 72135640,
  stddev_ns: 1453752,
  avg_ts: 7100.002165,
  stddev_ts: 140.34152,
  samples_ns: [74601900, 71632900],
  ...change,
});
