import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { devices, findDevice } from "../hardware/catalog/devices.js";
import { collectiveTime, linkOf } from "../hardware/network.js";
import { readConfig } from "../model/hf/read-config.js";
import type { ModelDescription } from "../model/types.js";
import { noParallelism } from "../variants/shard.js";
import { capacityOf } from "./capacity.js";
import { type DeploymentOptions, deploy } from "./deployment.js";
import { reachOf } from "./latency.js";
import { memoryOfStages } from "./memory.js";
import { predict } from "./predict.js";
import { quantile } from "../math/quantile.js";
import { conversationTime, requestTimes, traceTime } from "./requests.js";

const config = (name: string): ModelDescription => readConfig(readConfigFile("configs", `${name}.json`), name, name);
const llama = config("meta-llama__Llama-3.1-8B-Instruct");
const deepseek = config("deepseek-ai__DeepSeek-V3");
const mistral = config("mistralai__Mistral-7B-v0.1");
const t5 = readConfig(readConfigFile("class-defaults", "t5.json"), "t5", "t5");
const bert = readConfig(readConfigFile("class-defaults", "bert.json"), "bert", "bert");
const next = readConfig(readConfigFile("class-defaults", "qwen3_next.json"), "qwen3_next", "qwen3_next");
const h100 = findDevice("h100");

/** Deployments of all kinds that a model with experts can take. */
const anyDeployment: fc.Arbitrary<Partial<DeploymentOptions>> = fc.record({
  parallel: fc.constantFrom(
    noParallelism,
    { ...noParallelism, tensor: 2 },
    { ...noParallelism, tensor: 2, expert: 2 },
    { ...noParallelism, context: 4 },
    { ...noParallelism, tensor: 2, context: 2 },
  ),
  chunk: fc.constantFrom(null, 256, 2048),
  depth: fc.constantFrom(0, 5000),
  batch: fc.constantFrom(1, 8),
  dtype: fc.constantFrom(null, "float8" as const, "int4" as const, "Q4_K_M" as const),
  kvDtype: fc.constantFrom(null, "float8" as const),
});
const anyModel = fc.constantFrom(llama, mistral, next);
const usable = (model: ModelDescription, options: Partial<DeploymentOptions>): Partial<DeploymentOptions> =>
  model === next || options.parallel?.expert === 1
    ? options
    : { ...options, parallel: { ...noParallelism, tensor: options.parallel?.tensor ?? 1 } };

describe("any deployment", () => {
  test("takes longer and needs more for longer inputs and larger batches", () => {
    fc.assert(
      fc.property(
        anyModel,
        fc.constantFrom(...devices.filter(({ interconnect }) => interconnect != null)),
        anyDeployment,
        fc.integer({ min: 1, max: 60_000 }),
        fc.integer({ min: 1, max: 60_000 }),
        (model, device, anything, a, b) => {
          const options = usable(model, anything);
          const [short, long] = [Math.min(a, b), Math.max(a, b)];
          const made = deploy(model, device, options);
          const more = deploy(model, device, { ...options, batch: 2 * (options.batch ?? 1) });
          const least = 1 - 1e-9;
          expect(made.prefill.seconds(long)).toBeGreaterThanOrEqual(made.prefill.seconds(short) * least);
          expect(made.decode?.seconds(long)).toBeGreaterThanOrEqual((made.decode?.seconds(short) ?? 0) * least);
          expect(made.memory.total(long)).toBeGreaterThanOrEqual(made.memory.total(short) * least);
          expect(more.prefill.seconds(long)).toBeGreaterThanOrEqual(made.prefill.seconds(long) * least);
          expect(more.decode?.seconds(long)).toBeGreaterThanOrEqual((made.decode?.seconds(long) ?? 0) * least);
          expect(more.memory.cache(long)).toBeCloseTo(2 * made.memory.cache(long), -1);
          const { seconds, low, high } = made.prefill.interval(long);
          expect(low).toBeLessThan(seconds);
          expect(high).toBeGreaterThan(seconds);
        },
      ),
      { seed: 7, numRuns: 60 },
    );
  });

  test("keeps less on each device the more devices there are, along every axis", () => {
    for (const axis of ["tensor", "pipeline", "context"] as const) {
      let before = Number.POSITIVE_INFINITY;
      for (const count of [1, 2, 4, 8]) {
        const { memory } = deploy(llama, h100, { parallel: { ...noParallelism, [axis]: count } });
        const bytes = memory.total(100_000);
        expect(bytes).toBeLessThan(before);
        before = bytes;
      }
    }
    const whole = deploy(deepseek, h100).memory;
    const spread = deploy(deepseek, h100, { parallel: { ...noParallelism, expert: 32 } }).memory;
    expect(spread.weights).toBeLessThan(0.1 * whole.weights);
    expect(spread.cache(1000)).toBe(whole.cache(1000));
  });
});

describe("several devices", () => {
  test("exchange what Megatron's tensor parallelism exchanges", () => {
    const tensor = 8;
    const { prefill, plan } = deploy(llama, h100, { parallel: { ...noParallelism, tensor } });
    const time = collectiveTime("all-reduce", linkOf(h100), tensor);
    const factor = plan.engine.factors.network ?? 1;
    const reduce = prefill.operators.find(({ name }) => name === "all_reduce");
    // Two branches in each of 32 layers and the embedding, n × 4096 values of 2 bytes each.
    const n = 5000;
    expect(reduce?.work(n)).toBeCloseTo(factor * 65 * (time.latency + time.perByte * n * 4096 * 2), 9);
    expect(time.perByte).toBeCloseTo((2 * 7) / 8 / (450e9 * 0.82), 15);
    expect(collectiveTime("all-reduce", linkOf(h100), 1)).toEqual({ latency: 0, perByte: 0 });
    expect(deploy(llama, h100).prefill.operators.some(({ part }) => part === "network")).toBe(false);
  });

  test("say why where they are slower than one", () => {
    const tiny = config("HuggingFaceTB__SmolLM2-135M");
    const parallel = { ...noParallelism, tensor: 3 };
    const { notes, points } = predict(tiny, h100, { lengths: [128, 131_072], parallel });
    expect(points[0]?.prefill.seconds).toBeGreaterThan(deploy(tiny, h100).prefill.seconds(128));
    expect(notes.join("\n")).toMatch(/a prefill is slower than on one device .* exchange between devices/);
    const alone = predict(llama, h100, { lengths: [4096], parallel: { ...noParallelism, tensor: 2 } });
    expect(alone.notes.join("\n")).not.toContain("a prefill is slower");
  });

  test("of a pipeline hold all layers between them and wait for each other", () => {
    const pipeline = 4;
    const parallel = { ...noParallelism, pipeline };
    const { plan, prefill } = deploy(llama, h100, { parallel });
    const stages = memoryOfStages(plan);
    const whole = deploy(llama, h100).memory.weights;
    expect(stages.reduce((sum, { weights }) => sum + weights, 0)).toBe(whole);
    // One sequence passes all stages, so that it is no faster; eight fill the pipeline.
    const one = deploy(llama, h100).prefill;
    expect(prefill.seconds(4096)).toBeGreaterThan(one.seconds(4096));
    const filled = deploy(llama, h100, { parallel, batch: 8 }).prefill.seconds(4096);
    const alone = deploy(llama, h100, { batch: 8 }).prefill.seconds(4096);
    expect(filled / alone).toBeGreaterThan(1 / pipeline);
    expect(filled / alone).toBeLessThan((4 + pipeline - 1) / 4 / pipeline + 0.05);
  });

  test("that split the sequence hide the ring behind attention once it is long", () => {
    const { prefill } = deploy(llama, h100, { parallel: { ...noParallelism, context: 4 }, chunk: null });
    const ring = prefill.operators.find(({ name }) => name === "ring_keys_values");
    expect(ring?.work(2000)).toBeGreaterThan(0);
    expect(ring?.work(200_000)).toBe(0);
    expect(prefill.seconds(200_000) / deploy(llama, h100, { chunk: null }).prefill.seconds(200_000)).toBeCloseTo(
      1 / 4,
      2,
    );
  });
});

describe("a prefill in chunks", () => {
  test.each([
    ["h100", "vllm", 8192],
    ["a100-80gb", "vllm", 2048],
    ["rtx4090", "vllm", 2048],
    ["tpu v5e", "vllm", null],
    ["rtx4090", "sglang", 2048],
    ["l40s", "sglang", 4096],
    ["h200", "sglang", 8192],
    ["b200", "sglang", 16_384],
    ["h100", "tensorrt-llm", null],
    ["rtx4090", "llama.cpp-cuda", 512],
    ["m2-ultra", "mlx", 2048],
    ["h100", "hf-sdpa", null],
  ])("is as on %s under %s where nothing is asked for: %s tokens", (on, engineName, chunk) => {
    expect(deploy(llama, findDevice(on), { engineName }).options.chunk).toBe(chunk);
  });

  test("is refused to an encoder, as are tokens computed before; no engine computes it in parts", () => {
    const cpp = { engineName: "llama.cpp-cuda" };
    for (const model of [bert, t5]) {
      expect(deploy(model, h100, cpp).options.chunk).toBeNull();
      expect(() => deploy(model, h100, { chunk: 512 })).toThrow(/chunk is 512; none: its encoder sees every position/);
      expect(() => deploy(model, h100, { cachedShare: 0.5 })).toThrow(/cached share is 0.5; 0: its encoder/);
    }
    expect(() => deploy(bert, h100, { depth: 100 })).toThrow(/depth is 100; 0: its encoder/);
    expect(deploy(bert, h100, cpp).prefill.exponent(50_000)).toBeGreaterThan(1.8);
  });

  test("is a plain one up to one chunk, and never faster", () => {
    for (const model of [llama, mistral, next]) {
      const plain = deploy(model, h100).prefill;
      const chunked = deploy(model, h100, { chunk: 1024 }).prefill;
      for (const n of [1, 700, 1024]) expect(chunked.seconds(n)).toBeCloseTo(plain.seconds(n), 12);
      for (const n of [1025, 4096, 50_000]) expect(chunked.seconds(n)).toBeGreaterThan(plain.seconds(n));
    }
  });

  test("is the sum of its chunks, each after those before it, with logits once", () => {
    const chunk = 2048;
    const curve = deploy(llama, h100, { chunk, depth: 512 }).prefill;
    let expected = 0;
    for (let k = 0; k < 5; k += 1) {
      const pass = deploy(llama, h100, { depth: 512 + k * chunk }).prefill;
      expected += pass.outside(chunk);
      for (const operator of pass.operators) {
        if (operator.part === "head" && k < 4) continue;
        expected += operator.work(chunk) + operator.overhead(chunk);
      }
    }
    expect(curve.seconds(5 * chunk) / expected).toBeCloseTo(1, 9);
  });

  test("counts the tokens of all sequences: several whole ones at a time, or one after the other", () => {
    const packed = deploy(llama, h100, { chunk: 2048, batch: 8 });
    const together = deploy(llama, h100, { batch: 4 });
    const alone = deploy(llama, h100, { chunk: 2048 });
    expect(packed.prefill.seconds(512)).toBeCloseTo(2 * together.prefill.seconds(512), 12);
    for (const n of [1025, 2048, 9000]) {
      expect(packed.prefill.seconds(n)).toBeCloseTo(8 * alone.prefill.seconds(n), 12);
      expect(packed.memory.activations(n)).toBe(alone.memory.activations(n));
    }
    expect(packed.memory.activations(512)).toBe(together.memory.activations(512));
    expect(packed.memory.cache(9000)).toBe(8 * alone.memory.cache(9000));
  });
});

describe("a cached prefix", () => {
  test("leaves the rest to compute, after it", () => {
    const curve = deploy(llama, h100, { cachedShare: 0.75 }).prefill;
    const after = deploy(llama, h100, { depth: 6000 }).prefill;
    expect(curve.seconds(8000)).toBeCloseTo(after.seconds(2000), 12);
    const { memory } = deploy(llama, h100, { cachedShare: 0.75 });
    expect(memory.cache(8000)).toBe(deploy(llama, h100).memory.cache(8000));
    expect(memory.activations(8000)).toBe(deploy(llama, h100).memory.activations(2000));
  });
});

describe("a whole request", () => {
  test("is its prefill and a decode step at every context", () => {
    const deployment = deploy(llama, h100);
    const { prefill, decode, total, perToken } = requestTimes(deployment)({ input: 3000, output: 800 });
    let steps = 0;
    for (let c = 3000; c < 3000 + 799; c += 1) steps += deployment.decode?.seconds(c) ?? 0;
    expect(decode.seconds / steps).toBeCloseTo(1, 9);
    expect(total.seconds).toBeCloseTo(prefill.seconds + decode.seconds, 12);
    expect(perToken).toBeCloseTo(steps / 799, 12);
  });

  test("of one token is a prefill", () => {
    const { decode, total, prefill, perToken } = requestTimes(deploy(llama, h100))({ input: 100, output: 1 });
    expect(decode.seconds).toBe(0);
    expect(total.seconds).toBeCloseTo(prefill.seconds, 15);
    expect(perToken).toBeNull();
  });

  test("of an encoder–decoder model runs its encoder once", () => {
    const stated = deploy(t5, h100, { encoderLength: 4096 });
    const short = deploy(t5, h100, { encoderLength: 1 });
    expect(stated.prefill.seconds(1)).toBeGreaterThan(short.prefill.seconds(1));
    // Decode reads the keys and values of the encoder, no more.
    const kept = 6 * 2 * 8 * 64 * 2;
    const difference = (stated.decode?.seconds(10) ?? 0) - (short.decode?.seconds(10) ?? 0);
    expect(difference).toBeGreaterThan((4095 * kept) / h100.bandwidth.value);
    expect(stated.memory.cache(10) - short.memory.cache(10)).toBe(4095 * kept);
    const unstated = requestTimes(deploy(t5, h100))({ input: 512, output: 10 });
    const same = requestTimes(deploy(t5, h100, { encoderLength: 512 }))({ input: 512, output: 10 });
    expect(unstated.total.seconds).toBeCloseTo(same.total.seconds, 12);
  });

  test("is none for an encoder, which has no decode at all", () => {
    const deployment = deploy(bert, h100);
    expect(deployment.decode).toBeNull();
    expect(() => requestTimes(deployment)).toThrow(/no decoder/);
    expect(predict(bert, h100, { lengths: [128] }).points[0]?.decode).toBeNull();
  });
});

describe("a conversation", () => {
  test("grows one context, and saves the more the longer it lasts", () => {
    const deployment = deploy(llama, h100);
    const { turns, total, totalUncached, context } = conversationTime(deployment, {
      count: 8,
      input: 900,
      output: 100,
    });
    expect(context).toBe(8000);
    expect(turns.map((turn) => turn.context)).toEqual([0, 1000, 2000, 3000, 4000, 5000, 6000, 7000]);
    expect(total.seconds).toBeCloseTo(
      turns.reduce((sum, turn) => sum + turn.prefill.seconds + turn.decode.seconds, 0),
      9,
    );
    expect(turns[5]?.prefill.seconds).toBeCloseTo(deploy(llama, h100, { depth: 5000 }).prefill.seconds(900), 12);
    expect(totalUncached.seconds).toBeGreaterThan(total.seconds);
    const inChunks = conversationTime(deploy(llama, h100, { chunk: 256 }), { count: 3, input: 900, output: 100 });
    expect(inChunks.turns[2]?.prefill.seconds).toBeCloseTo(
      deploy(llama, h100, { depth: 2000, chunk: 256 }).prefill.seconds(900),
      12,
    );
  });
});

describe("a trace of lengths", () => {
  test("has a mean of times that is no less than the time of the mean: time is convex", () => {
    const deployment = deploy(llama, h100);
    fc.assert(
      fc.property(
        fc.array(fc.record({ input: fc.integer({ min: 1, max: 200_000 }), output: fc.integer({ min: 1, max: 500 }) }), {
          minLength: 1,
          maxLength: 20,
        }),
        (requests) => {
          const { prefill, total } = traceTime(deployment, requests);
          expect(prefill.ratio).toBeGreaterThan(1 - 1e-9);
          const each = requests.map(({ input }) => deployment.prefill.seconds(input));
          expect(prefill.percentiles.p90).toBeCloseTo(quantile(each, 0.9), 12);
          expect(prefill.percentiles.p50).toBeLessThanOrEqual(prefill.percentiles.p99);
          const sum = requests.reduce((all, { input }) => all + deployment.prefill.seconds(input), 0);
          expect(prefill.mean.seconds / (sum / requests.length)).toBeCloseTo(1, 9);
          if (total !== null) expect(total.mean.seconds).toBeGreaterThan(prefill.mean.seconds);
        },
      ),
      { seed: 2, numRuns: 60 },
    );
  });
});

describe("sequences that fit at once", () => {
  test("fill the memory, and one more would not fit", () => {
    const deployment = deploy(llama, h100);
    const { sequences, step, tokensPerSecond } = capacityOf(deployment)(8192);
    const { memory, decode } = deploy(llama, h100, { batch: sequences });
    const first = deployment.memory.activations(8192);
    const needed = (count: number): number => memory.weights + (memory.cache(8192) * count) / sequences + first;
    expect(needed(sequences)).toBeLessThanOrEqual(h100.memory.value);
    expect(needed(sequences + 1)).toBeGreaterThan(h100.memory.value);
    expect(step?.seconds).toBeCloseTo(decode?.seconds(8192) ?? 0, 12);
    expect(tokensPerSecond?.value).toBeCloseTo(sequences / (step?.seconds ?? 1), 9);
    expect(capacityOf(deploy(deepseek, h100))(8192)).toEqual({ sequences: 0, step: null, tokensPerSecond: null });
  });
});

describe("a latency wanted", () => {
  test("is kept up to the length given, surely up to less, perhaps up to more", () => {
    const deployment = deploy(llama, h100);
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 100, noNaN: true }), (seconds) => {
        const { reach } = reachOf(deployment, { text: "", metric: "ttft", seconds }, { network: 0.01, tokenizer: 0 });
        const n = reach.n ?? 0;
        expect(reach.low ?? 0).toBeLessThanOrEqual(n);
        expect(reach.high ?? 0).toBeGreaterThanOrEqual(n);
        if (n > 0) expect(deployment.prefill.seconds(n) + 0.01).toBeLessThanOrEqual(seconds);
        expect(deployment.prefill.seconds(n + 1) + 0.01).toBeGreaterThan(seconds * (1 - 1e-6));
      }),
      { seed: 5, numRuns: 60 },
    );
  });
});
