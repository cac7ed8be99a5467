import { describe, expect, test } from "vitest";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { builtInModel } from "../model/builtin/models.js";
import type { ModelDescription } from "../model/types.js";
import { devices, findDevice } from "./catalog/devices.js";
import { computeDtype, peakOf, rooflineSpread, rooflineTime } from "./roofline.js";

const a100Sxm80 = findDevice("a100");
const h100Sxm = findDevice("h100");
const m2Ultra = findDevice("m2-ultra");

function model(): ModelDescription {
  const found = builtInModel("SmolLM2-135M");
  if (found === null) throw new Error("the model is built in");
  return found;
}

describe("rooflineTime", () => {
  const rows = priceGraph(buildGraph(model()));

  test.each(devices.map((device) => [device.name, device] as const))(
    "on %s is never below FLOPs over peak, nor below bytes over bandwidth",
    (_name, device) => {
      for (const row of rows) {
        const time = rooflineTime(row, device, { variable: "n", values: { b: 2 } });
        for (const n of [1, 17, 512, 8192, 131_072]) {
          const { matmulFlops, readBytes, writtenBytes, launches } = row.cost;
          const at = { n, c: 0, b: 2 };
          const bytes = readBytes.at(at) + writtenBytes.at(at);
          expect(time.work(n)).toBeGreaterThanOrEqual(matmulFlops.at(at) / peakOf(device, "bfloat16").value);
          expect(time.work(n)).toBeGreaterThanOrEqual(bytes / device.bandwidth.value);
          expect(time.overhead).toBeCloseTo(launches * device.launch.value, 12);
        }
      }
    },
  );

  test("counts a product as a matter of bandwidth over few rows, of compute over many", () => {
    const row = rows.find(
      ({ operator }) => operator.name.endsWith("up_projection") || operator.name.endsWith("ffn.up"),
    );
    if (row === undefined) throw new Error(rows.map(({ operator }) => operator.name).join(" "));
    const prefill = rooflineTime(row, h100Sxm, { variable: "n", values: {} });
    expect(prefill.class).toBe("gemm");
    expect(prefill.bound(1)).toBe("bandwidth");
    expect(prefill.bound(8192)).toBe("compute");
    expect(rooflineTime(row, h100Sxm, { variable: "c", values: { n: 1 } }).class).toBe("gemv");
    expect(rooflineTime(row, h100Sxm, { variable: "c", values: { n: 1, b: 256 } }).class).toBe("gemm");
  });
});

describe("computeDtype", () => {
  test("is what was asked for where the device has it, a sibling of the same width, or the next wider one", () => {
    expect(computeDtype(h100Sxm, "bfloat16")).toBe("bfloat16");
    expect(computeDtype(a100Sxm80, "float8")).toBe("int8");
    expect(computeDtype(m2Ultra, "int4")).toBe("float16");
    expect(computeDtype(m2Ultra, "int8")).toBe("float16");
    expect(computeDtype(m2Ultra, "float64")).toBe("float32");
  });
});

describe("rooflineSpread", () => {
  test("is wider where the device's number is uncertain and where a class borrows its data", () => {
    const certain = { ...m2Ultra, peaks: { float16: { value: 27e12, source: "x", uncertain: false } } };
    expect(rooflineSpread("gemm", m2Ultra, "float16")).toBeGreaterThan(rooflineSpread("gemm", certain, "float16"));
    expect(rooflineSpread("gemm", { ...h100Sxm, class: "cpu" }, "float16")).toBeCloseTo(
      2 * rooflineSpread("gemm", h100Sxm, "float16"),
      10,
    );
    expect(rooflineSpread("gemm", h100Sxm, "float8")).toBeGreaterThan(rooflineSpread("gemm", h100Sxm, "float16"));
  });
});
