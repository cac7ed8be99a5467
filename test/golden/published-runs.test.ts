import { describe, expect, it } from "vitest";
import { readTimings } from "../../bench/hardware-data.mjs";
import { runsOf } from "../../bench/runs-data.mjs";
import { curveOptions } from "../../bench/timed-run.mjs";
import { ownFormats, withFormats } from "../../src/predict/formats.js";

const { runs } = runsOf([], readTimings("decode", undefined));
const run = (model: string, dtype: string, engine: string, device: string) =>
  runs.find(
    (one) =>
      one.modelKey === model && one.dtype === dtype && one.engine === engine && one.device.name.startsWith(device),
  );

describe("published runs", () => {
  it.each([
    ["Llama-3-8B", "float8", "vllm", "H200", null],
    ["Qwen3-32B", "float8", "tensorrt-llm", "H100", null],
    ["Llama-3-70B", "float8", "vllm", "H100", "float8"],
    ["Llama-3-70B", "float4", "tensorrt-llm", "B200", "float8"],
    ["DeepSeek-V3/R1", "float8", "sglang", "H200", null],
    ["DeepSeek-V3/R1", "float8", "tensorrt-llm", "H200", "float8"],
    ["gpt-oss-120b", "float4", "vllm", "H200", null],
    ["gpt-oss-120b", "float4", "vllm", "B200", "float8"],
  ] as const)(
    "%s in %s by %s on %s runs in the formats that predict takes, its cache in %s",
    (model, dtype, engine, device, kvDtype) => {
      const found = run(model, dtype, engine, device);
      if (found === undefined) throw new Error("no such run");
      const expected = withFormats(found.model, found.device, { ...ownFormats, dtype, kvDtype });
      expect(found.model.dtypes).toEqual(expected.model.dtypes);
      expect(found.model.dtypes.activations).toBe("bfloat16");
      expect(curveOptions(found).operands).toBe(expected.operands);
    },
  );
});
