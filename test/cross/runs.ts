import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { ModelDescription } from "../../src/model/types.js";
import type { WeightFormat } from "../../src/onnx/scope.js";
import type { Contender } from "../../src/study/contenders.js";

/** A folder that is gone when the test is over. */
export function folderOfTest(): string {
  const folder = mkdtempSync(join(tmpdir(), "nsquared-test-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** One model with its weights stored in several ways, to be compared. */
export function storedAs(model: ModelDescription, formats: readonly WeightFormat[]): Contender[] {
  return formats.map((weights) => ({ name: weights, summary: weights, model, run: { weights } }));
}
