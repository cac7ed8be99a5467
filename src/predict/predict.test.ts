import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { calibratedDevice } from "../../test/support/calibrated-device.js";
import { costLaw } from "../cost/law.js";
import { weightBytes } from "../cost/parameters.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { devices, findDevice } from "../hardware/catalog/devices.js";
import { onnxRuntime } from "../hardware/calibrated-runtime.js";
import type { Stream } from "../hardware/calibration.js";
import type { DeviceRecord } from "../hardware/record.js";
import { peakOf } from "../hardware/roofline.js";
import { readConfig } from "../model/hf/read-config.js";
import type { ModelDescription } from "../model/types.js";
import { predictCurve } from "./curve.js";
import { withDtype } from "../variants/dtype.js";
import { deploy } from "./deployment.js";
import { predict } from "./predict.js";

function config(name: string): ModelDescription {
  return readConfig(readConfigFile("configs", `${name}.json`), name, name);
}

/** What a model that generates tokens has. */
function known<Value>(value: Value | null): Value {
  if (value === null) throw new Error("a decoder decodes");
  return value;
}

const llama = config("meta-llama__Llama-3.1-8B-Instruct");
const smol = config("HuggingFaceTB__SmolLM2-135M");
const qwen = config("Qwen__Qwen2.5-0.5B");
const mistral = config("mistralai__Mistral-7B-v0.1");
const models = [smol, qwen, llama, mistral];
const everywhere: readonly DeviceRecord[] = [...devices, calibratedDevice];
const h100 = findDevice("h100");

const anyModel = fc.constantFrom(...models);
const anyDevice = fc.constantFrom(...everywhere);
const anyLength = fc.integer({ min: 1, max: 200_000 });
const anyBatch = fc.constantFrom(1, 4, 32);

describe("predicted seconds", () => {
  test("grow with the length, in every phase, on every device", () => {
    fc.assert(
      fc.property(
        anyModel,
        anyDevice,
        anyBatch,
        fc.constantFrom("prefill" as const, "decode" as const),
        fc.constantFrom("fused" as const, "naive" as const),
        fc.tuple(anyLength, anyLength),
        (model, device, batch, phase, attention, [a, b]) => {
          const curve = predictCurve(model, device, { phase, batch, attention });
          const [short, long] = [Math.min(a, b), Math.max(a, b)];
          expect(curve.seconds(long)).toBeGreaterThanOrEqual(curve.seconds(short) * (1 - 1e-9));
        },
      ),
      { seed: 1, numRuns: 150 },
    );
  });

  test("are never below FLOPs over peak, and decode never below weight bytes over bandwidth", () => {
    for (const device of devices) {
      for (const model of models) {
        const graph = buildGraph(model);
        const flops = costLaw(priceGraph(graph), "prefill").flops;
        const prefill = predictCurve(model, device);
        for (const n of [1, 128, 4096, 131_072]) {
          expect(prefill.seconds(n)).toBeGreaterThan(flops.at({ n }) / peakOf(device, "bfloat16").value);
        }
        // The embedding's rows are looked up, not read as a whole; a tied table is read by the head.
        const table = model.head.tied ? 0 : 2 * model.embedding.rows * model.embedding.width;
        const read = weightBytes(graph) - table;
        expect(predictCurve(model, device, { phase: "decode" }).seconds(1)).toBeGreaterThan(
          read / device.bandwidth.value,
        );
      }
    }
  });

  test("lie inside their interval, which states its level", () => {
    expect(predict(llama, h100, { lengths: [128] }).level).toBe(0.8);
    for (const device of everywhere) {
      const { prefill, decode } = deploy(llama, device);
      for (const n of [128, 2048, 131_072]) {
        for (const { low, seconds, high } of [prefill.interval(n), known(decode).interval(n)]) {
          expect(low).toBeGreaterThan(0);
          expect(low).toBeLessThan(seconds);
          expect(high).toBeGreaterThan(seconds);
        }
      }
    }
  });

  test("are mostly overhead at short lengths on a fast device, and grow less than linearly there", () => {
    const curve = predictCurve(smol, h100);
    const overhead = curve.components.find(({ name }) => name === "overhead");
    expect((overhead?.seconds(64) ?? 0) / curve.seconds(64)).toBeGreaterThan(0.5);
    expect(curve.exponent(64)).toBeLessThan(0.2);
    expect(curve.exponent(131_072)).toBeGreaterThan(1.8);
    expect(curve.exponent(131_072)).toBeLessThanOrEqual(2);
  });

  test("split by part, by class and by degree each add up to the whole", () => {
    // One device of each class: they differ in engine and schedule.
    for (const device of new Map(everywhere.map((one) => [one.class, one])).values()) {
      for (const attention of ["fused", "naive"] as const) {
        for (const { prefill, decode } of predict(qwen, device, { attention, lengths: [7, 900, 33_000] }).points) {
          for (const { seconds, parts, classes, degrees } of [prefill, known(decode)]) {
            for (const shares of [parts, classes, degrees]) {
              expect(shares.reduce((sum, share) => sum + share.seconds, 0) / seconds).toBeCloseTo(1, 9);
            }
          }
        }
      }
    }
  });

  test("of naive attention exceed those of fused attention at long lengths", () => {
    for (const device of everywhere) {
      const naive = predictCurve(llama, device, { attention: "naive" });
      const fused = predictCurve(llama, device, { attention: "fused" });
      expect(naive.seconds(32_768)).toBeGreaterThan(1.1 * fused.seconds(32_768));
    }
  });

  test("of a decode step grow linearly with the context", () => {
    for (const device of everywhere) {
      const decode = predictCurve(llama, device, { phase: "decode" });
      const step = decode.seconds(60_000) - decode.seconds(40_000);
      expect((decode.seconds(100_000) - decode.seconds(80_000)) / step).toBeCloseTo(1, 1);
    }
  });

  test("of a prefill after cached tokens are more than without, and less than of both at once", () => {
    for (const device of everywhere) {
      const after = predictCurve(llama, device, { depth: 8192 }).seconds(8192);
      expect(after).toBeGreaterThan(predictCurve(llama, device).seconds(8192));
      expect(after).toBeLessThan(predictCurve(llama, device).seconds(16_384));
    }
  });

  test("are the same function that the fit takes apart: components times one add up to the curve", () => {
    const curve = predictCurve(llama, calibratedDevice);
    const sum = curve.components.reduce((total, { seconds }) => total + seconds(3000), 0);
    expect(sum / curve.seconds(3000)).toBeCloseTo(1, 12);
    for (const { logSpread } of curve.components) expect(logSpread).toBeGreaterThan(0);
  });
});

describe("a calibrated machine", () => {
  test("whose record is of an earlier plan says so", () => {
    const { calibration } = calibratedDevice;
    if (calibration === null) throw new Error("the fixture is calibrated");
    const of = (plan: number) => predict(llama, { ...calibratedDevice, calibration: { ...calibration, plan } }).notes;
    expect(of(onnxRuntime.revision.cpu).join(" ")).not.toContain("calibrate again");
    expect(of(onnxRuntime.revision.cpu - 1)).toContain(
      `the record of local was timed in a way that this version no longer uses (plan ${onnxRuntime.revision.cpu - 1}, now ${onnxRuntime.revision.cpu}): calibrate again`,
    );
  });

  test("runs in the dtype it was measured in, whatever the model says", () => {
    const prediction = predict(llama, calibratedDevice, { dtype: "float16" });
    expect(prediction.dtype).toBe("float32");
    expect(prediction.data).toEqual({ basis: "calibrated", range: { from: 1, to: 1024 } });
    expect(prediction.notes.join(" ")).toContain("measured in float32, not float16");
    // ONNX Runtime keeps packed copies besides.
    const needed = weightBytes(buildGraph(withDtype(llama, "float32")));
    expect(prediction.points[0]?.memory.weights).toBeGreaterThan(needed);
    expect(prediction.points[0]?.memory.weights).toBeLessThan(2 * needed);
  });

  test("moves the bytes of small operators from beyond the near caches, at every length", () => {
    const { calibration } = calibratedDevice;
    if (calibration === null) throw new Error("the device of the tests is calibrated");
    const vector = (n: number, near: number, far: number): number => {
      const slower = (stream: Stream): Stream =>
        stream.map((point, i) => ({ ...point, secondsPerByte: (i === 0 ? near : far) * point.secondsPerByte }));
      const { scale, add, silu, norm, softmax } = calibration.streams;
      const streams = {
        scale: slower(scale),
        add: slower(add),
        silu: slower(silu),
        norm: slower(norm),
        softmax: slower(softmax),
      };
      const device = { ...calibratedDevice, calibration: { ...calibration, streams } };
      return (
        predictCurve(smol, device)
          .components.find(({ name }) => name === "vector")
          ?.seconds(n) ?? 0
      );
    };
    for (const n of [16, 512, 16_384]) {
      expect(vector(n, 2, 1)).toBe(vector(n, 1, 1));
      expect(vector(n, 1, 2) / vector(n, 1, 1)).toBeCloseTo(2, 9);
    }
  });
});

describe("predict", () => {
  test("says that an encoder–decoder model is predicted without its encoder's input", () => {
    const translator = readConfig(readConfigFile("class-defaults", "t5.json"), "t5.json", "t5");
    const says = (model: ModelDescription): boolean =>
      predict(model, findDevice("h100"), { lengths: [64] }).notes.some((note) => note.includes("encoder"));
    expect(says(translator)).toBe(true);
    const decoder = readConfig(readConfigFile("class-defaults", "llama.json"), "llama.json", "llama");
    expect(says(decoder)).toBe(false);
  });

  test("says which dtype runs where a device lacks the one asked for", () => {
    expect(predict(llama, findDevice("a100"), { dtype: "float8" }).notes.join(" ")).toContain(
      "has no float8 arithmetic: weights in float8 are expanded to bfloat16 for products",
    );
  });

  test.each([
    [{ batch: 0 }, "batch-invalid", /batch is 0/],
    [{ batch: 1.5 }, "batch-invalid", /batch is 1.5/],
    [{ depth: -1 }, "depth-invalid", /depth is -1/],
    [{ lengths: [512, 256] }, "lengths-order", /lengths is 256/],
    [{ lengths: [0] }, "lengths-order", /lengths is 0/],
  ])("refuses %j", (options, code, message) => {
    expect(() => predict(smol, h100, options)).toThrow(message);
    expect(() => predict(smol, h100, options)).toThrow(expect.objectContaining({ code, exitCode: 2 }));
  });

  test("gives the context limit of the model, and null where it states none", () => {
    expect(predict(smol, h100).limits.context).toEqual({ n: 8192 });
    expect(predict({ ...smol, contextLength: null }, h100).limits.context).toBeNull();
  });
});
