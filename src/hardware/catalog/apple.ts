import { gibibytes, gigabytesPerSecond, microseconds, teraflops } from "./quantities.js";
import type { DeviceRecord } from "../record.js";

const flops =
  "exo-explore/exo@0060cd39 device_capabilities.py (float32); Apple states 27.2 TFLOPS and no figure for 16 bits, taken as equal";

export const m2Ultra: DeviceRecord = {
  schema: "nsquared/device@1",
  name: "Apple M2 Ultra (76c GPU)",
  aliases: ["m2-ultra", "apple-m2-ultra", "m2-ultra-76c"],
  vendor: "Apple",
  class: "apple-gpu",
  peaks: {
    bfloat16: teraflops(26.98, flops, true),
    float16: teraflops(26.98, flops, true),
    float32: teraflops(26.98, flops),
  },
  bandwidth: gigabytesPerSecond(800, "Apple; AlexsJones/llmfit@3f44fd3 hardware.rs"),
  memory: gibibytes(192, "Apple: the largest configuration"),
  launch: microseconds(5, "taken from GPUs of other vendors", true),
  caches: [],
  calibration: null,
};
