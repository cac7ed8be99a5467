import { describe, expect, test } from "vitest";
import { calibratedDevice as local } from "../../test/support/calibrated-device.js";
import { header, run } from "../../test/support/runs.js";
import type { Run } from "../runs/schema.js";
import { deviceOfComparison, deviceOfRun } from "./devices.js";

/** A run of the calibrated machine in ONNX Runtime on two threads, with something else about it. */
function runOf(change: Partial<Run["runtime"]> = {}, cpu = "made up"): Run {
  const { runtime, machine } = header();
  return run({ runtime: { ...runtime, runner: "onnx-node", ...change }, machine: { ...machine, cpu } });
}

describe("this machine's record", () => {
  test("speaks for a run of this machine, its runtime and its threads", () => {
    expect(deviceOfRun(runOf(), local)).toBe(local);
    expect(deviceOfRun(runOf({ options: { format: "f32" } }), local)).toBe(local);
    // The runtime took as many threads as were calibrated.
    expect(deviceOfRun(runOf({ threads: null }), local)).toBe(local);
  });

  test.each([
    ["another processor", runOf({}, "another")],
    ["other threads", runOf({ threads: 1 })],
    ["a GPU", runOf({ provider: "webgpu" })],
    ["another runtime", runOf({ runner: "llama" })],
    ["matrices of few bits", runOf({ options: { format: "q4" } })],
  ])("says nothing of %s", (_what, other) => {
    expect(deviceOfRun(other, local)).toBeNull();
  });

  test("speaks for a comparison whatever its first contender stores, and for none where there is no record", () => {
    const mixed = runOf({ options: { format: "q4" } });
    expect(deviceOfComparison(mixed, local)).toBe(local);
    expect(deviceOfComparison(runOf({ threads: 1 }), local)).toBeNull();
    expect(deviceOfComparison(mixed, null)).toBeNull();
    expect(deviceOfRun(runOf(), null)).toBeNull();
  });
});
