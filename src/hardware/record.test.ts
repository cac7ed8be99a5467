import { describe, expect, test } from "vitest";
import { calibratedDevice } from "../../test/support/calibrated-device.js";
import { findDevice } from "./catalog/devices.js";
import { parseDeviceRecord } from "./record.js";

const rtx4090 = findDevice("rtx4090");

describe("parseDeviceRecord", () => {
  test("reads back what was written", () => {
    for (const device of [rtx4090, calibratedDevice]) {
      expect(parseDeviceRecord(JSON.parse(JSON.stringify(device)), "device.json")).toEqual(device);
    }
  });

  test.each([
    [
      "another schema",
      { ...rtx4090, schema: "nsquared/run@1" },
      /^device.json: schema is "nsquared\/run@1"; .*device@1/,
    ],
    ["no schema", {}, /^device.json: schema is missing/],
    ["no object", 7, /schema is missing/],
    [
      "a negative rate",
      { ...rtx4090, bandwidth: { value: -1, source: "x" } },
      /bandwidth.value is -1; .*a number above 0/,
    ],
    ["a zero peak", { ...rtx4090, peaks: { float32: { value: 0, source: "x" } } }, /peaks.float32.value is 0/],
    ["no peaks", { ...rtx4090, peaks: {} }, /peaks is {}; the peak of at least one dtype/],
    [
      "an unknown dtype",
      { ...rtx4090, peaks: { bf16: { value: 1, source: "x" } } },
      /peaks.bf16 is .*; no number format: one of .*bfloat16/,
    ],
    ["a number without source", { ...rtx4090, memory: { value: 1 } }, /memory.source/],
    ["an unknown key", { ...rtx4090, bandwith: 1 }, /: bandwith is 1; no key of a device record: perhaps bandwidth\?$/],
    [
      "a calibration with a negative rate",
      {
        ...calibratedDevice,
        calibration: { ...calibratedDevice.calibration, perOperator: -1 },
      },
      /calibration.perOperator is -1/,
    ],
  ])("refuses %s in one line", (_what, value, message) => {
    expect(() => parseDeviceRecord(value, "device.json")).toThrow(message);
    expect(() => parseDeviceRecord(value, "device.json")).toThrow(
      expect.objectContaining({ code: "device-invalid", exitCode: 2 }),
    );
  });
});
