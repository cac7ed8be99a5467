import { describe, expect, test } from "vitest";
import { deviceRecordSchema } from "../record.js";
import { plainName } from "../../base/names.js";
import { devices, findDevice } from "./devices.js";

describe("the device catalog", () => {
  test.each(devices.map((device) => [device.name, device] as const))("%s is a valid record", (_name, device) => {
    expect(deviceRecordSchema.parse(device)).toEqual(device);
    expect(Object.keys(device.peaks).length).toBeGreaterThan(0);
  });

  test.each(devices)(
    "$name: what one source alone says is uncertain, and each number says where it is from",
    (device) => {
      const numbers = [...Object.values(device.peaks), device.bandwidth];
      for (const { source, uncertain } of numbers) {
        expect(source).toMatch(/\S/);
        const sources = source.split(/; | as /);
        if (sources.length < 2) expect(uncertain).toBe(true);
        if (sources.every((one) => /recalled|derived/.test(one))) expect(uncertain).toBe(true);
      }
    },
  );

  test("gives no name or alias to two devices", () => {
    const names = devices.flatMap((device) => [...new Set([device.name, ...device.aliases].map(plainName))]);
    expect(new Set(names).size).toBe(names.length);
  });

  test.each([
    ["h100", "H100-SXM5-80GB"],
    ["H100-sxm5-80gb", "H100-SXM5-80GB"],
    ["a100-80gb", "A100-SXM4-80GB"],
    ["m2-ultra", "Apple M2 Ultra (76c GPU)"],
    ["apple m2 ultra (76c gpu)", "Apple M2 Ultra (76c GPU)"],
    ["RTX4090", "RTX 4090"],
    ["rtx-4090", "RTX 4090"],
    ["l4", "L4"],
  ])("knows %s as %s", (asked, name) => {
    expect(findDevice(asked).name).toBe(name);
  });

  test.each([
    ["h200x", /h200/],
    ["rtx4081", /RTX 4080/],
    ["m2", /perhaps Apple M2|perhaps m2/],
    ["zzzzzzzzzzzz", /^--on: device is "zzzzzzzzzzzz"; one of V100-SXM2-32GB, .*local/],
    ["", /one of/],
  ])("offers the nearest names for %j", (asked, message) => {
    expect(() => findDevice(asked)).toThrow(message);
    expect(() => findDevice(asked)).toThrow(expect.objectContaining({ code: "device-unknown", exitCode: 2 }));
  });
});
