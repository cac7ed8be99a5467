import { gibibytes, gigabytesPerSecond, microseconds, teraflops } from "./quantities.js";
import type { DeviceRecord } from "../record.js";

const aiconfigurator = "NVIDIA aiconfigurator@095f58a5 systems/*.yaml";
const mlEngineering = "stas00/ml-engineering@744d01e compute/accelerator README";
const both = `${aiconfigurator}; ${mlEngineering}`;
const launch = microseconds(
  5,
  "lower end of the 5 to 20 µs per kernel measured on GPUs: engines fuse and capture graphs",
  true,
);

export const h100Sxm: DeviceRecord = {
  schema: "nsquared/device@1",
  name: "H100-SXM5-80GB",
  aliases: ["h100", "h100-sxm", "h100-80gb"],
  vendor: "NVIDIA",
  class: "datacenter-gpu",
  peaks: {
    bfloat16: teraflops(989, both),
    float16: teraflops(989, both),
    float32: teraflops(67, both),
    float8: teraflops(1979, both),
    int8: teraflops(1979, both),
  },
  bandwidth: gigabytesPerSecond(3350, both),
  memory: gibibytes(80, both),
  interconnect: { name: "NVLink4", bandwidth: gigabytesPerSecond(450, both) },
  tdp: { value: 700, source: both, uncertain: false },
  launch,
  caches: [],
  calibration: null,
};

export const a100Sxm80: DeviceRecord = {
  schema: "nsquared/device@1",
  name: "A100-SXM4-80GB",
  aliases: ["a100", "a100-80gb", "a100-sxm"],
  vendor: "NVIDIA",
  class: "datacenter-gpu",
  peaks: {
    bfloat16: teraflops(312, both),
    float16: teraflops(312, both),
    float32: teraflops(19.5, both),
    int8: teraflops(624, both),
  },
  bandwidth: gigabytesPerSecond(2039, both),
  memory: gibibytes(80, both),
  interconnect: { name: "NVLink3", bandwidth: gigabytesPerSecond(300, both) },
  tdp: { value: 400, source: both, uncertain: false },
  launch,
  caches: [],
  calibration: null,
};

export const l4: DeviceRecord = {
  schema: "nsquared/device@1",
  name: "L4",
  aliases: ["l4-24gb"],
  vendor: "NVIDIA",
  class: "datacenter-gpu",
  peaks: {
    bfloat16: teraflops(121, aiconfigurator),
    float16: teraflops(121, aiconfigurator),
    float32: teraflops(30.3, aiconfigurator),
    float8: teraflops(242, aiconfigurator),
    int8: teraflops(242, aiconfigurator),
  },
  bandwidth: gigabytesPerSecond(300, aiconfigurator),
  memory: gibibytes(24, aiconfigurator),
  interconnect: { name: "PCIe4 x16", bandwidth: gigabytesPerSecond(31, aiconfigurator) },
  tdp: { value: 72, source: aiconfigurator, uncertain: false },
  launch,
  caches: [],
  calibration: null,
};

const geforce = "exo-explore/exo@0060cd39 device_capabilities.py; waredb.com geforce-rtx-4090 (float32 accumulation)";

export const rtx4090: DeviceRecord = {
  schema: "nsquared/device@1",
  name: "RTX 4090",
  aliases: ["rtx4090", "4090", "geforce-rtx-4090"],
  vendor: "NVIDIA",
  class: "consumer-gpu",
  peaks: {
    bfloat16: teraflops(165.2, geforce),
    float16: teraflops(165.2, geforce),
    float32: teraflops(82.6, geforce),
    float8: teraflops(330.3, "waredb.com geforce-rtx-4090"),
    int8: teraflops(660, "waredb.com geforce-rtx-4090"),
  },
  bandwidth: gigabytesPerSecond(1008, "AlexsJones/llmfit@3f44fd3 hardware.rs; waredb.com geforce-rtx-4090"),
  memory: gibibytes(24, "AlexsJones/llmfit@3f44fd3 hardware.rs; waredb.com geforce-rtx-4090"),
  interconnect: { name: "PCIe4 x16", bandwidth: gigabytesPerSecond(31, geforce) },
  tdp: { value: 450, source: geforce, uncertain: false },
  launch,
  caches: [],
  calibration: null,
};
