import { describe, expect, test } from "vitest";
import type { Dtype } from "../base/units.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { builtInModel } from "../model/builtin/models.js";
import { readConfig } from "../model/hf/read-config.js";
import type { ModelDescription } from "../model/types.js";
import { inFormats } from "../variants/dtype.js";
import { parseVariant } from "../variants/variant.js";
import { devices, findDevice } from "./catalog/devices.js";
import { engineOf } from "./engine.js";
import { kernelOn } from "./kernel-lookup.js";
import type { DeviceRecord } from "./record.js";
import { computeDtype, peakOf, rooflineSpread, rooflineTime } from "./roofline.js";

const a100Sxm80 = findDevice("a100");
const h100Sxm = findDevice("h100");
const m2Ultra = findDevice("m2-ultra");

function model(): ModelDescription {
  const found = builtInModel("SmolLM2-135M");
  if (found === null) throw new Error("the model is built in");
  return found;
}

/** A layer of attention with heads wider than most that were timed. */
function wideHeads(headDim: number) {
  const config = {
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    vocab_size: 1000,
    hidden_size: 1024,
    intermediate_size: 2048,
    num_hidden_layers: 1,
    num_attention_heads: 8,
    head_dim: headDim,
    torch_dtype: "bfloat16",
  };
  return priceGraph(buildGraph(readConfig(config, "a.json", "a")));
}

/** Sums in another order round differently. */
const almost = 1 - 1e-12;

describe("rooflineTime", () => {
  const rows = priceGraph(buildGraph(model()));
  const every = [rows, wideHeads(256), wideHeads(512)].flat();

  test.each(devices.map((device) => [device.name, device] as const))(
    "on %s is never below FLOPs over peak, nor below bytes over bandwidth, for heads of any width",
    (_name, device) => {
      const kernels = { ...engineOf(device), factors: {} };
      for (const [row, engine] of every.flatMap((one) => [[one, engineOf(device)] as const, [one, kernels] as const])) {
        const time = rooflineTime(row, device, { variable: "n", values: { b: 2 } }, engine);
        for (const n of [1, 17, 512, 8192, 131_072]) {
          const { matmulFlops, readBytes, writtenBytes, launches } = row.cost;
          const at = { n, c: 0, b: 2 };
          const bytes = readBytes.at(at) + writtenBytes.at(at);
          expect(time.work(n)).toBeGreaterThanOrEqual(almost * (matmulFlops.at(at) / peakOf(device, "bfloat16").value));
          expect(time.work(n)).toBeGreaterThanOrEqual((almost * bytes) / device.bandwidth.value);
          expect(time.overhead).toBeGreaterThanOrEqual(launches * 1e-7);
        }
      }
    },
  );

  test("counts a product as a matter of bandwidth over few rows, of compute over many", () => {
    const row = rows.find(
      ({ operator }) => operator.name.endsWith("up_projection") || operator.name.endsWith("ffn.up"),
    );
    if (row === undefined) throw new Error(rows.map(({ operator }) => operator.name).join(" "));
    const prefill = rooflineTime(row, h100Sxm, { variable: "n", values: {} }, engineOf(h100Sxm));
    expect(prefill.class).toBe("gemm");
    expect(prefill.bound(1)).toBe("bandwidth");
    expect(prefill.bound(8192)).toBe("compute");
    expect(rooflineTime(row, h100Sxm, { variable: "c", values: { n: 1 } }, engineOf(h100Sxm)).class).toBe("gemv");
    expect(rooflineTime(row, h100Sxm, { variable: "c", values: { n: 1, b: 256 } }, engineOf(h100Sxm)).class).toBe(
      "gemm",
    );
  });
});

describe("products of ggml with quantised weights", () => {
  test("read half of the weights anew for each further tile of 128 rows, and wait for them", () => {
    const device = findDevice("gb10");
    const quantised = inFormats(model(), { dtype: "Q8_0" });
    const engine = engineOf(device, "llama.cpp-cuda", quantised.dtypes, "fused");
    const row = priceGraph(buildGraph(quantised)).find(({ operator }) => operator.kind === "linear");
    if (row?.operator.kind !== "linear") throw new Error("a layer has products");
    const weight = row.block.weights.get(row.operator.weight);
    const bytes = ((weight?.shape ?? []).reduce((product, size) => product * size, 1) * 8.5) / 8;
    expect(engine.tiledBytes(row)).toBe(bytes);
    const at = (tiledBytes: number, rows: number): number =>
      rooflineTime(
        row,
        device,
        { variable: "n", values: { b: 1, c: 0 } },
        { ...engine, tiledBytes: () => tiledBytes },
      ).work(rows);
    const again = (2 * at(bytes, 2048) - at(2 * bytes, 2048) - at(1e-9, 2048)) / at(bytes, 2048);
    expect(again).toBeCloseTo(0, 9);
    const read = bytes / (device.bandwidth.value * kernelOn("gemm", device, engine.kernels, "int8").fit.bandwidth);
    expect((at(2 * bytes, 2048) - at(bytes, 2048)) / read).toBeCloseTo(0.5 * (2048 / 128 - 1), 9);
    expect(at(2 * bytes, 128)).toBe(at(bytes, 128));
  });
});

describe("a recurrent cell", () => {
  test("waits for a launch of its own at every token", () => {
    const graph = buildGraph(parseVariant("lstm").apply(model()));
    const row = priceGraph(graph).find(({ operator }) => operator.kind === "recurrence");
    if (row === undefined) throw new Error("an LSTM has a recurrence");
    const time = rooflineTime(row, h100Sxm, { variable: "n", values: { b: 1, c: 0 } }, engineOf(h100Sxm));
    expect(time.work(4096) - time.work(2048)).toBeGreaterThan(2048 * time.overhead);
  });
});

describe("computeDtype", () => {
  test("is what was asked for where the device has it, a sibling of the same width, or the next wider one", () => {
    expect(computeDtype(h100Sxm, "bfloat16")).toBe("bfloat16");
    expect(computeDtype(a100Sxm80, "float8")).toBe("float16");
    expect(computeDtype(m2Ultra, "int4")).toBe("float16");
    expect(computeDtype(m2Ultra, "int8")).toBe("float16");
    expect(computeDtype(m2Ultra, "float64")).toBe("float32");
  });
});

describe("rooflineSpread", () => {
  const spread = (device: DeviceRecord, dtype: Dtype): number =>
    rooflineSpread("gemm", device, dtype, engineOf(device));

  test("is wider where the device's number is uncertain, has no kernel tables, or few bits", () => {
    const certain = { ...m2Ultra, peaks: { float16: { value: 27e12, source: "x", uncertain: false } } };
    expect(spread(m2Ultra, "float16")).toBeGreaterThan(spread(certain, "float16"));
    expect(spread(findDevice("h800"), "float16")).toBeGreaterThan(spread(h100Sxm, "float16"));
    expect(spread({ ...h100Sxm, name: "unheard of" }, "float8")).toBeGreaterThan(spread(h100Sxm, "float8"));
  });
});

describe("kernels", () => {
  test("a device's own tables come first, then its class's, then percentiles over the roofline", () => {
    expect(kernelOn("gemm", h100Sxm, "vllm", "bfloat16").basis).toBe("kernels");
    expect(kernelOn("gemm", findDevice("h800"), "vllm", "bfloat16").basis).toBe("class");
    expect(kernelOn("attention", m2Ultra, "vllm", "float16").fit.small).toBe(0);
  });

  test.each(["llama.cpp-cuda", "hf-eager", "tensorrt-llm"] as const)("%s is an engine that is known", (name) => {
    expect(engineOf(h100Sxm, name).name).toBe(name);
  });

  test("an unknown engine is refused with the nearest names", () => {
    expect(() => engineOf(h100Sxm, "vlm")).toThrow(/perhaps vllm/);
  });
});
