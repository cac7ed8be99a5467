import { describe, expect, test } from "vitest";
import { calibratedDevice } from "../../test/support/calibrated-device.js";
import { onnxRuntime } from "../hardware/calibrated-runtime.js";
import { calibrationDoubts, staleness } from "./local-device.js";

describe("a calibration", () => {
  const { calibration } = calibratedDevice;
  if (calibration === null) throw new Error("the fixture is calibrated");
  const quiet = { load: 0.1, cores: 2 };
  const codes = (spread: number, machine: { load: number | null; cores: number }): string[] =>
    calibrationDoubts(
      { calibration: { ...calibration, spreads: { ...calibration.spreads, gemm: spread } } },
      machine,
    ).map(({ code }) => code);

  test("on a quiet machine is not doubted", () => {
    expect(codes(0.05, quiet)).toEqual([]);
    expect(codes(0.05, { load: null, cores: 2 })).toEqual([]);
  });

  test("on a busy machine is doubted, and so is one that scatters", () => {
    expect(codes(0.05, { load: 1.2, cores: 2 })).toEqual(["busy-machine"]);
    expect(codes(0.4, quiet)).toEqual(["rough-calibration"]);
  });

  test("made in another way than this version does is made again, whatever else it says", async () => {
    const now = new Date(calibration.measured);
    const of = (plan: number) =>
      staleness({ ...calibratedDevice, calibration: { ...calibration, plan } }, undefined, now);
    expect(await of(onnxRuntime.revision.cpu - 1)).toBe("it was timed in a way that this version no longer uses");
    expect(await of(onnxRuntime.revision.cpu)).toBe("it is of another processor (made up)");
  });
});
