import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { NsquaredError } from "../base/errors.js";
import { weightBytes } from "../cost/parameters.js";
import { buildGraph } from "../graph/build.js";
import { devices, findDevice } from "../hardware/catalog/devices.js";
import { type EngineName, engineNames, engineOf } from "../hardware/engine.js";
import type { DeviceRecord } from "../hardware/record.js";
import { readConfig } from "../model/hf/read-config.js";
import type { ModelDescription } from "../model/types.js";
import { inFormats } from "../variants/dtype.js";
import { noParallelism } from "../variants/shard.js";
import { type Curve, predictCurve } from "./curve.js";
import { deploy } from "./deployment.js";
import { needs } from "./memory.js";
import { slowerNotes } from "./slower.js";

/* What everybody in the field knows, on every device and under every engine. */

const config = (name: string): ModelDescription => readConfig(readConfigFile("configs", `${name}.json`), name, name);
const llama = config("meta-llama__Llama-3.1-8B-Instruct");
const smol = config("HuggingFaceTB__SmolLM2-135M");
const mistral = config("mistralai__Mistral-7B-v0.1");
const sparse = config("deepseek-ai__DeepSeek-V3.2");
const dense = config("deepseek-ai__DeepSeek-V3");
const h100 = findDevice("h100");
const anyDevice = fc.constantFrom(...devices);
/** Whether an engine has kernels for a device. */
function runsThere(device: DeviceRecord, engineName: EngineName): boolean {
  try {
    return engineOf(device, engineName).name === engineName;
  } catch (error) {
    if (error instanceof NsquaredError && error.code === "engine-device") return false;
    throw error;
  }
}
const pairs = devices.flatMap((device) =>
  engineNames.filter((name) => runsThere(device, name)).map((engineName) => ({ device, engineName })),
);
const anyPair = fc.constantFrom(...pairs);
/** Seconds of a pass without those that belong to no operator: PyTorch's host may take longer. */
const ofKernels = ({ operators }: Curve, n: number): number =>
  operators.reduce((sum, { work, overhead }) => sum + work(n) + overhead(n), 0);
const runs = { seed: 11, numRuns: 60 };
const k = 1024;

describe("flash attention, on or off, at 32k", () => {
  test("differs in time on every device, under every engine", () => {
    fc.assert(
      fc.property(anyPair, ({ device, engineName }) => {
        const [fused, naive] = (["fused", "naive"] as const).map((attention) =>
          predictCurve(llama, device, { attention, engineName }).seconds(32 * k),
        );
        expect(naive).toBeGreaterThan(1.05 * (fused ?? Number.NaN));
      }),
      runs,
    );
  });

  test("says whose runs it rests on: no build of llama.cpp with it was published on Apple, so that intervals are wider", () => {
    const [fused, naive] = (["fused", "naive"] as const).map((attention) => {
      const { plan, prefill } = deploy(llama, findDevice("m2-ultra"), { attention, dtype: "Q4_K_M" });
      const { low, high } = prefill.interval(8 * k);
      return { source: plan.engine.source, width: high / low };
    });
    expect(fused?.source).toMatch(/published runs of builds without flash attention on it/);
    expect(naive?.source).toMatch(/published runs on it/);
    expect(fused?.width).toBeGreaterThan(1.1 * (naive?.width ?? Number.NaN));
  });

  test("differs by orders of magnitude in what attention holds in memory", () => {
    const held = (attention: "fused" | "naive"): number => {
      const { memory } = deploy(llama, h100, { attention });
      // Beside weights and cache.
      return needs(memory, 32 * k) - memory.weights - 32 * k * 32 * 8 * 256 * 2;
    };
    expect(held("naive")).toBeGreaterThan(50 * held("fused"));
  });
});

test("one token's logits cost less than all: the head is computed for the last position alone", () => {
  fc.assert(
    fc.property(anyPair, ({ device, engineName }) => {
      const [last, all] = (["last", "all"] as const).map((head) => predictCurve(smol, device, { head, engineName }));
      const [one = 0, every = 0] = [last, all].map((curve) => (curve === undefined ? 0 : ofKernels(curve, 8 * k)));
      expect(every / one).toBeGreaterThan(1);
      const table = (curve: typeof last, n: number): number =>
        curve?.operators.filter(({ part }) => part === "head").reduce((sum, { work }) => sum + work(n), 0) ?? 0;
      expect(table(last, 8 * k) / table(last, 64)).toBeLessThan(1.01);
      expect(table(all, 8 * k) / table(all, 1 * k)).toBeGreaterThan(4);
    }),
    runs,
  );
});

test("decode of one sequence is never faster than reading its weights, in any format, under any engine", () => {
  const formats = ["float16", "float8", "int4", "Q4_K_M", "Q8_0", "MXFP4"] as const;
  // Of the table of 525 million of its 8.03 billion weights one row is looked up; some types keep it in more bits.
  const mostRead = 0.88;
  fc.assert(
    fc.property(anyPair, fc.constantFrom(...formats), ({ device, engineName }, dtype) => {
      const model = inFormats(llama, { dtype });
      const seconds = predictCurve(model, device, { phase: "decode", engineName }).seconds(1);
      expect(seconds).toBeGreaterThan((mostRead * weightBytes(buildGraph(model))) / device.bandwidth.value);
    }),
    { ...runs, numRuns: 120 },
  );
});

test("no interval reaches below reading the weights once, or below multiplying at the peak", () => {
  fc.assert(
    fc.property(anyPair, fc.constantFrom(1, 128, 2 * k, 32 * k), ({ device, engineName }, n) => {
      const { plan, prefill, decode } = deploy(llama, device, { engineName });
      const read = (0.88 * weightBytes(buildGraph(llama))) / device.bandwidth.value;
      const peak = Math.max(...Object.values(device.peaks).map(({ value }) => value));
      const sure = plan.parallel.tensor === 1 && !device.bandwidth.uncertain;
      for (const curve of [prefill, decode]) {
        const { low, seconds, high } = curve?.interval(n) ?? { low: 0, seconds: 0, high: 0 };
        expect(low).toBeLessThanOrEqual(seconds);
        expect(high).toBeGreaterThan(seconds);
        if (sure) expect(low).toBeGreaterThanOrEqual(read);
      }
      // 7.5 billion weights of the layers; integers count as any other number format here, and uncertain peaks by a fifth more.
      expect(prefill.interval(n).low).toBeGreaterThan((2 * 6.9e9 * n) / (1.25 * peak));
    }),
    { ...runs, numRuns: 120 },
  );
  // SGLang's runs scatter so much that this used to be 10 ms: 33 ms at the peak.
  const { low, seconds } = deploy(llama, h100, { engineName: "sglang" }).prefill.interval(2 * k);
  expect(low).toBeGreaterThan(0.028);
  expect(low).toBeLessThan(seconds);
});

describe("PyTorch without captured graphs", () => {
  const on = (name: string, model: ModelDescription, engineName: EngineName) =>
    deploy(model, findDevice(name), { engineName });

  test("decodes as fast as its host starts kernels: 25.5 tokens/s of Llama-2-7B on an A100 (pytorch.org, GPT-fast)", () => {
    const { decode } = on("a100-80gb", config("meta-llama__Llama-2-7b-hf"), "hf-sdpa");
    expect(1 / (decode?.seconds(200) ?? Number.NaN)).toBeCloseTo(25.5, 1);
  });

  test("a small model, a faster device or a short context changes nothing, a long prompt leaves the host behind", () => {
    const [fast, slow] = ["b200", "a100-80gb"].map((name) => on(name, llama, "hf-sdpa"));
    expect(fast?.decode?.seconds(2 * k)).toBeCloseTo(slow?.decode?.seconds(128) ?? Number.NaN, 6);
    const far = on("h100", llama, "hf-sdpa").prefill;
    expect(far.seconds(8 * k)).toBeCloseTo(ofKernels(far, 8 * k), 9);
  });

  test("starts scores in memory not much later than one kernel of attention", () => {
    const [eager = 0, fused = 0] = (["hf-eager", "hf-sdpa"] as const).map((name) =>
      on("h100", llama, name).decode?.seconds(128),
    );
    expect(eager / fused).toBeCloseTo(1, 2);
  });
});

test("weights in a GGUF file's types run in llama.cpp unless another engine is asked for", () => {
  const engineOn = (name: string, options: Parameters<typeof deploy>[2]): string =>
    deploy(llama, findDevice(name), options).plan.engine.name;
  expect(engineOn("rtx3090", { dtype: "Q4_K_M" })).toBe("llama.cpp-cuda");
  expect(engineOn("m2-ultra", { dtype: "Q4_K_M" })).toBe("llama.cpp-metal");
  expect(engineOn("rtx3090", { dtype: "int4" })).toBe("vllm");
  expect(engineOn("rtx3090", { dtype: "Q4_K_M", engineName: "vllm" })).toBe("vllm");
});

test("cores of a processor are not predicted from a record of its graphics unit", () => {
  expect(() => engineOf(findDevice("m2-ultra"), "llama.cpp-cpu")).toThrow(
    '--engine: engine is "llama.cpp-cpu"; it does not run on Apple M2 Ultra (76c GPU) (apple-gpu); hf-eager, hf-sdpa, llama.cpp-metal, mlx do',
  );
});

test("a window levels decode off where full attention goes on growing", () => {
  // Mistral-7B-v0.1: 4,096 tokens in every layer. Naive attention masks a window and skips nothing.
  const attention = "fused";
  fc.assert(
    fc.property(anyPair, ({ device, engineName }) => {
      const decode = predictCurve(mistral, device, { phase: "decode", attention, engineName });
      expect(decode.seconds(512 * k) / decode.seconds(4 * k)).toBeCloseTo(1, 6);
      const full = predictCurve(llama, device, { phase: "decode", attention, engineName });
      // So far that PyTorch's host is no longer what decides.
      expect(full.seconds(16 * k * k)).toBeGreaterThan(1.3 * full.seconds(4 * k));
      const prefill = predictCurve(mistral, device, { attention, engineName });
      expect(prefill.exponent(512 * k)).toBeLessThan(1.05);
      expect(predictCurve(llama, device, { attention, engineName }).exponent(512 * k)).toBeGreaterThan(1.5);
    }),
    runs,
  );
});

test("sparse attention is cheaper than dense, and stays superlinear: its indexer scores every earlier token", () => {
  const [selecting, full] = [sparse, dense].map((model) => predictCurve(model, h100));
  const far = 1024 * k;
  expect(selecting?.seconds(128 * k)).toBeLessThan(full?.seconds(128 * k) ?? 0);
  expect(selecting?.exponent(far)).toBeGreaterThan(1.3);
  expect(selecting?.exponent(far)).toBeLessThanOrEqual(2);
});

test("more devices are never slower without saying why", () => {
  fc.assert(
    fc.property(
      anyDevice,
      fc.constantFrom(2, 4, 8),
      fc.constantFrom(1, 32),
      fc.constantFrom(128, 4 * k, 64 * k),
      (device, tensor, batch, n) => {
        const options = { batch, interconnect: device.interconnect?.bandwidth.value ?? 25e9 };
        const many = deploy(llama, device, { ...options, parallel: { ...noParallelism, tensor } });
        const one = deploy(llama, device, options);
        const slower = [
          many.prefill.seconds(n) > one.prefill.seconds(n),
          (many.decode?.seconds(n) ?? 0) > (one.decode?.seconds(n) ?? 0),
        ];
        expect(slowerNotes(many, [n])).toHaveLength(slower.filter(Boolean).length);
      },
    ),
    runs,
  );
});
