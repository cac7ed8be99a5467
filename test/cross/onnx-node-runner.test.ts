import { describe, expect, test } from "vitest";
import { profileOnnxNode, sumBy } from "../../src/measure/onnx-node-profile.js";
import { openOnnxNodeRunner, type OnnxNodeOptions } from "../../src/measure/onnx-node.js";
import { systemClock } from "../../src/measure/clock.js";
import type { Runner } from "../../src/measure/runner.js";
import { type WeightSource, syntheticWeights } from "../../src/onnx/weights.js";
import type { Cell } from "../../src/runs/schema.js";
import { runnerContract } from "../contract/runner-contract.js";
import { smallModel } from "./shapes.js";

const model = smallModel({
  name: "tiny",
  hidden: 64,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffn: 128,
  layers: 2,
  vocabulary: 200,
});
const gigabyte = 2 ** 30;
const options: OnnxNodeOptions = {
  attention: "fused",
  threads: 1,
  seed: 1,
  maxLength: 256,
  availableBytes: () => gigabyte,
};

function cell(phase: Cell["phase"], n: number, depth = 0, batch = 1): Cell {
  return { phase, n, depth, batch };
}

describe.each(["fused", "naive"] as const)("onnx-node with %s attention", (attention) => {
  runnerContract("onnx-node", async () => ({
    runner: await openOnnxNodeRunner(model, { ...options, attention }),
    cells: {
      prefill: [cell("prefill", 16), cell("prefill", 64, 32)],
      decode: [cell("decode", 1, 16), cell("decode", 1, 200)],
      "decode-uncached": [cell("decode-uncached", 17), cell("decode-uncached", 65)],
      reference: [cell("reference", 1), cell("reference", 2)],
    },
  }));
});

async function attempt(runner: Runner, what: Cell): Promise<unknown> {
  const context = { clock: systemClock, signal: new AbortController().signal };
  try {
    await runner.prepare?.(what, context);
    return await runner.run(what, context);
  } finally {
    await runner.close();
  }
}

describe("onnx-node refuses", () => {
  test("a model that does not fit, before it reads any weight, with both numbers", async () => {
    let read = 0;
    const counting: WeightSource = {
      read: () => {
        read += 1;
        return Promise.resolve();
      },
    };
    const large = smallModel({
      name: "large",
      hidden: 4096,
      heads: 32,
      kvHeads: 8,
      headDim: 128,
      ffn: 14_336,
      layers: 32,
      vocabulary: 128_256,
    });
    const opening = openOnnxNodeRunner(large, { ...options, weights: counting });
    await expect(opening).rejects.toThrow(/^large: memory needed is .*GiB.*; 1 GiB are available; /);
    await expect(opening).rejects.toMatchObject({ code: "memory", exitCode: 2 });
    expect(read).toBe(0);
  });

  test("a length whose naive scores do not fit, and says so with both numbers", async () => {
    const runner = await openOnnxNodeRunner(model, {
      ...options,
      attention: "naive",
      maxLength: 8192,
      availableBytes: () => gigabyte,
    });
    await expect(attempt(runner, cell("prefill", 8192))).rejects.toThrow(
      /prefill of 8k tokens: memory needed is .*GiB.*; 1 GiB are available; .*fused/,
    );
  });

  test("nothing of that length with fused attention, which holds no scores", async () => {
    const runner = await openOnnxNodeRunner(model, { ...options, maxLength: 8192 });
    await expect(attempt(runner, cell("prefill", 8192))).resolves.toMatchObject({ status: "ok" });
  });

  test("a length beyond the positions that it was opened for", async () => {
    const runner = await openOnnxNodeRunner(model, options);
    await expect(attempt(runner, cell("prefill", 200, 100))).rejects.toThrow(/length is 300; at most 256/);
  });

  test("to continue two sequences at once with fused attention", async () => {
    const runner = await openOnnxNodeRunner(model, options);
    await expect(attempt(runner, cell("prefill", 8, 8, 2))).rejects.toThrow(/batch is 2; .*naive attention/);
  });

  test("logits that are not finite", async () => {
    const honest = syntheticWeights(1);
    const broken: WeightSource = {
      read: async (name, weight, target) => {
        await honest.read(name, weight, target);
        if (name === "final_norm.norm.weight") target[0] = Number.NaN;
      },
    };
    const runner = await openOnnxNodeRunner(model, { ...options, weights: broken });
    await expect(attempt(runner, cell("prefill", 8))).resolves.toEqual({
      status: "failed",
      reason: "the logits are not all finite",
    });
  });
});

test("a model with a part that has no lowering is refused by its name", async () => {
  const attention = { projectionExperts: { experts: 4, chosen: 2 } };
  const refused = smallModel(
    { name: "jetmoe", hidden: 32, heads: 2, kvHeads: 1, headDim: 16, ffn: 32, layers: 1, vocabulary: 20 },
    { attention },
  );
  await expect(openOnnxNodeRunner(refused, options)).rejects.toMatchObject({
    code: "unsupported-operator",
    message: expect.stringContaining("attention.projectionExperts cannot be run yet"),
  });
});

test("the runtime's own profile of a pass names the graph's operators and adds up", async () => {
  const profile = await profileOnnxNode(model, cell("prefill", 32), options);
  const sum = profile.nodes.reduce((all, node) => all + node.seconds, 0);
  expect(sum).toBeGreaterThan(0);
  expect(sum).toBeLessThanOrEqual(profile.seconds);
  const attention = profile.nodes.filter(({ operator }) => operator === "mixer.attention");
  expect(new Set(attention.map(({ part }) => part))).toEqual(new Set(["attention"]));
  expect(attention.filter(({ op }) => op === "GroupQueryAttention")).toHaveLength(2);
  const parts = new Map(sumBy(profile, ({ part }) => part ?? "none"));
  for (const part of ["embedding", "projection", "attention", "ffn", "norm", "residual", "head"]) {
    expect(parts.get(part)).toBeGreaterThan(0);
  }
});
