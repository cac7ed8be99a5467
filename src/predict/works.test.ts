import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { operatorClasses } from "../hardware/efficiency.js";
import { findDevice } from "../hardware/catalog/devices.js";
import { chunkedMixers, mixerTimes } from "../hardware/mixers.js";
import { rooflineTime } from "../hardware/roofline.js";
import { readConfig } from "../model/hf/read-config.js";
import type { ModelDescription } from "../model/types.js";
import { noParallelism } from "../variants/shard.js";
import type { Curve } from "./curve.js";
import { type DeploymentOptions, deploy } from "./deployment.js";
import { valuesOf } from "./operators.js";
import { splitAt } from "./split.js";

/* Operators of a curve share executions and are added up before a length is known; here each is timed by itself. */

const config = (name: string): ModelDescription => readConfig(readConfigFile("configs", `${name}.json`), name, name);
const names = [
  "meta-llama__Llama-3.1-8B-Instruct",
  "deepseek-ai__DeepSeek-V3",
  "deepseek-ai__DeepSeek-V3.2",
  "google__gemma-4-E2B",
  "google__gemma-3-12b-it",
  "google__recurrentgemma-2b",
  "openai__gpt-oss-20b",
  "moonshotai__Kimi-K3",
  "mistralai__Mamba-Codestral-7B-v0.1",
  "nvidia__DeepSeek-V3.1-NVFP4",
  "FacebookAI__roberta-base",
  "google__umt5-xxl-encoder",
];
const deviceNames = ["h100", "rtx-4090", "m2-ultra", "mi300x", "tpu-v5e"];
const lengths = [1, 17, 512, 4096, 5000, 131_072];

const relative = (got: number, wanted: number): number => Math.abs(got - wanted) / Math.max(wanted, 1e-15);

/** Seconds of a pass whose operators are timed one by one, with nothing shared. */
function oneByOne({ plan, options }: ReturnType<typeof deploy>, phase: "prefill" | "decode") {
  const variable = phase === "prefill" ? "n" : "c";
  const setting = { phase, variable, newTokens: 1, depth: options.depth, batch: options.batch } as const;
  const { device, engine, operands } = plan;
  const values = { variable, values: valuesOf(plan, setting, 1), operands } as const;
  const rows = plan.rows(phase);
  const mixers = new Map(
    chunkedMixers(rows, values).flatMap((mixer) => [...mixerTimes(mixer, device, values, engine)]),
  );
  const times = rows.map((row) => ({ row, time: mixers.get(row) ?? rooflineTime(row, device, values, engine) }));
  return (length: number) => {
    const classes = new Map<string, number>([["overhead", engine.perStep]]);
    const add = (name: string, seconds: number) => classes.set(name, (classes.get(name) ?? 0) + seconds);
    for (const { row, time } of times) {
      add(time.class, time.work(length) * row.times);
      add("overhead", time.overhead * row.times);
    }
    return classes;
  };
}

describe("a curve", () => {
  test.each(names)("of %s is the sum of its operators timed one by one", (name) => {
    const model = config(name);
    for (const on of deviceNames) {
      const later = model.stacks.every(({ kind }) => kind === "decoder") ? [{ depth: 3000 }] : [];
      for (const options of [{}, { batch: 16, dtype: "float8" }, ...later] as const) {
        const made = deploy(model, findDevice(on), { ...options, chunk: null });
        for (const [phase, curve] of [
          ["prefill", made.prefill],
          ["decode", made.decode],
        ] as const) {
          if (curve === null) continue;
          const expected = oneByOne(made, phase);
          for (const length of lengths) {
            const classes = expected(length);
            for (const group of operatorClasses) {
              const got = curve.components.find((component) => component.name === group)?.seconds(length) ?? 0;
              expect(relative(got, classes.get(group) ?? 0)).toBeLessThan(1e-11);
            }
          }
        }
      }
    }
  });

  const schedules: readonly Partial<DeploymentOptions>[] = [
    { chunk: 512 },
    { chunk: 48, depth: 1000 },
    { cachedShare: 0.4 },
    { cachedShare: 0.4, chunk: 1024, batch: 4 },
    { parallel: { ...noParallelism, tensor: 4 } },
    { parallel: { ...noParallelism, pipeline: 2 }, chunk: 2048, batch: 8 },
    { parallel: { ...noParallelism, context: 2 } },
  ];
  test.each(schedules)("with its operators under %j adds up, whichever way it is split", (options) => {
    for (const name of ["meta-llama__Llama-3.1-8B-Instruct", "mistralai__Mistral-7B-v0.1", "google__gemma-4-26B-A4B"]) {
      const made = deploy(config(name), findDevice("h100"), options);
      for (const curve of [made.prefill, made.decode].filter((one): one is Curve => one !== null)) {
        for (const length of lengths) {
          const seconds = curve.operators.reduce(
            (sum, { work, overhead }) => sum + work(length) + overhead(length),
            curve.outside(length),
          );
          expect(relative(curve.seconds(length), seconds)).toBeLessThan(1e-11);
          const { parts, classes, degrees } = splitAt(curve, length);
          for (const split of [parts, classes, degrees]) {
            expect(
              relative(
                split.reduce((sum, one) => sum + one.seconds, 0),
                seconds,
              ),
            ).toBeLessThan(1e-11);
          }
        }
      }
    }
  });
});
