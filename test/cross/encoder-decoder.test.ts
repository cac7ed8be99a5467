import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/measure/clock.js";
import { openOnnxNodeRunner } from "../../src/measure/onnx-node.js";
import { passBytes } from "../../src/onnx/memory.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { cellOf } from "../../src/study/measure.js";
import type { Engine } from "../../src/measure/onnx-node-engine.js";
import { seededRandom } from "../../src/base/random.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { readConfigFile } from "../reference/data.js";
import { expectAgreement, inPieces, longest, open, tokenIds } from "./execute.js";

const real = (name: string, sizes: object): ModelDescription =>
  readConfig({ ...readConfigFile("class-defaults", `${name}.json`), vocab_size: 50, ...sizes }, name, name);

const t5 = { d_model: 32, d_kv: 8, num_heads: 4, d_ff: 48, num_layers: 2, num_decoder_layers: 2 };
const bart = {
  d_model: 32,
  encoder_layers: 2,
  decoder_layers: 2,
  encoder_attention_heads: 4,
  decoder_attention_heads: 4,
  encoder_ffn_dim: 48,
  decoder_ffn_dim: 40,
};

const prophetNet = {
  architectures: ["ProphetNetForConditionalGeneration"],
  hidden_size: 32,
  num_encoder_layers: 2,
  num_decoder_layers: 2,
  num_encoder_attention_heads: 4,
  num_decoder_attention_heads: 4,
  encoder_ffn_dim: 48,
  decoder_ffn_dim: 40,
  num_buckets: 6,
  relative_max_distance: 12,
};

/** Gemma 2's layers in both halves, small. */
function t5gemma(): ModelDescription {
  const config = readConfigFile("class-defaults", "t5gemma.json");
  const half = (side: "encoder" | "decoder", hidden: number): object => ({
    ...(config[side] as object),
    vocab_size: 50,
    hidden_size: hidden,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 8,
    intermediate_size: 40,
    sliding_window: 5,
    query_pre_attn_scalar: 8,
    layer_types: ["sliding_attention", "full_attention"],
  });
  const sizes = { encoder: half("encoder", 24), decoder: half("decoder", 32) };
  return readConfig({ ...config, ...sizes, vocab_size: 50 }, "t5gemma", "t5gemma");
}

const models: readonly (readonly [string, ModelDescription])[] = [
  ["T5: relative positions of the first layer, scores without a factor", real("t5", t5)],
  ["UMT5: a table for every layer, gated networks", real("umt5", t5)],
  ["LongT5: local attention in the encoder", real("longt5", { ...t5, local_radius: 4 })],
  ["BART: learned positions, a norm behind them, norms after the residual", real("bart", bart)],
  ["mBART: norms before, one more at the end", real("mbart", bart)],
  ["M2M100: embeddings times the root of their width", real("m2m_100", bart)],
  ["LED: Longformer's encoder", real("led", { ...bart, attention_window: 8 })],
  ["T5Gemma: halves of two widths, a table of tokens for each", t5gemma()],
  ["ProphetNet: streams that predict one and two tokens ahead", real("prophetnet", prophetNet)],
  [
    "Pegasus-X: blocks of the encoder, staggered in every second layer, and global tokens",
    real("pegasus_x", { ...bart, num_global_tokens: 3, block_size: 4 }),
  ],
  ["Pegasus: no norm behind the positions", real("pegasus", bart)],
];

describe.each(models)("%s", (_name, model) => {
  describe.each(["fused", "naive"] as const)("with %s attention", (attention) => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open(model, attention, "all");
    });
    afterAll(() => engine.close());

    const sizes = [
      [1, 1, 1],
      [1, 2, 9],
      [1, 13, 5],
      [2, longest, longest],
    ] as const;
    test.each(attention === "fused" ? sizes : sizes.slice(2, 3))(
      "a batch of %i, %i tokens after an encoder's %i equal the reference",
      async (batch, n, m) => {
        const ids = tokenIds(model, batch, n);
        const encoder = tokenIds(model, batch, m);
        await expectAgreement(await inPieces(engine, ids, [n], encoder), model, ids, encoder);
      },
    );

    test("a prefill and decode steps with cached keys equal the whole at once", async () => {
      const ids = tokenIds(model, 1, longest);
      const encoder = tokenIds(model, 1, 11);
      await expectAgreement(await inPieces(engine, ids, [5, 1, 1, 7, 1, 1, 3], encoder), model, ids, encoder);
    });

    test("two sequences, token by token, equal the whole at once", async () => {
      const ids = tokenIds(model, 2, longest);
      const encoder = tokenIds(model, 2, 6);
      const steps = Array<number>(longest).fill(1);
      await expectAgreement(await inPieces(engine, ids, steps, encoder), model, ids, encoder);
    });
  });
});

test("the runner's encoder reads as many tokens as it was opened for, whatever the decoder's length", async () => {
  const model = real("t5", t5);
  const options = { attention: "fused", threads: 1, seed: 1, maxLength: 40, availableBytes: () => 2 ** 40 } as const;
  const world = { clock: systemClock, signal: new AbortController().signal };
  const runner = await openOnnxNodeRunner(model, { ...options, encoderLength: 23 });
  expect(runner.describe().options).toMatchObject({ "encoder length": 23 });
  for (const cell of [cellOf("prefill", 5, 2), cellOf("decode", 9, 1)]) {
    expect(await runner.run(cell, world)).toMatchObject({ status: "ok" });
  }
  await runner.close();
  const graph = runnableGraph(model, "fused");
  const bytes = (encoder: number): number => passBytes(graph, { batch: 1, n: 1, depth: 9, encoder });
  // Keys and values of two layers, read where they are, and what the largest block would make of them.
  expect(bytes(1000) - bytes(100)).toBe(900 * (2 + 1) * 2 * 32 * 4);
});

test("Whisper: convolutions over a spectrum, an encoder of fixed length", async () => {
  const model = real("whisper", { ...bart, num_mel_bins: 6, max_source_positions: 10, max_target_positions: 24 });
  const random = seededRandom(3);
  const features = [0, 1].map(() =>
    Array.from({ length: 6 }, () => Float64Array.from({ length: 20 }, () => Math.fround(random() - 0.5))),
  );
  const flat = (count: number): Float32Array =>
    Float32Array.from(features.slice(0, count).flatMap((one) => one.flatMap((bin) => [...bin])));
  for (const attention of ["fused", "naive"] as const) {
    const engine = await open(model, attention, "all");
    for (const [batch, pieces] of [
      [1, [1]],
      [1, [7, 1, 1, 4]],
      [2, [3, 1, 1]],
    ] as const) {
      const ids = tokenIds(
        model,
        batch,
        pieces.reduce((sum: number, n) => sum + n, 0),
      );
      await expectAgreement(await inPieces(engine, ids, pieces, ids, flat(batch)), model, ids, ids, features);
    }
    await engine.close();
  }
});

test("Moonshine: plain sound through convolutions, as many samples as the encoder has tokens for", async () => {
  const sides = Object.fromEntries(
    ["encoder", "decoder"].flatMap((side) => [
      [`${side}_num_hidden_layers`, 2],
      [`${side}_num_attention_heads`, 4],
      [`${side}_num_key_value_heads`, side === "encoder" ? 4 : 2],
    ]),
  );
  const model = real("moonshine", { ...sides, hidden_size: 48, intermediate_size: 40 });
  const random = seededRandom(4);
  for (const attention of ["fused", "naive"] as const) {
    const engine = await open(model, attention, "all");
    for (const [batch, pieces, m] of [
      [1, [1], 1],
      [1, [7, 1, 1, 4], 5],
      [2, [3, 1, 1], 2],
    ] as const) {
      const n = pieces.reduce((sum: number, piece) => sum + piece, 0);
      const sounds = Array.from({ length: batch }, () => [
        Float64Array.from({ length: 384 * m + 511 }, () => Math.fround(random() - 0.5)),
      ]);
      const flat = Float32Array.from(sounds.flatMap(([sound]) => [...(sound ?? [])]));
      const [ids, encoder] = [tokenIds(model, batch, n), tokenIds(model, batch, m)];
      await expectAgreement(await inPieces(engine, ids, pieces, encoder, flat), model, ids, encoder, sounds);
    }
    await engine.close();
  }
});

test.each([
  ["T5", real("t5", { ...t5, num_layers: 1, num_decoder_layers: 1 })],
  ["ProphetNet", real("prophetnet", { ...prophetNet, num_encoder_layers: 1, num_decoder_layers: 1 })],
])(
  "%s: positions in several blocks of queries, whole and after what is cached, equal the reference",
  async (_, model) => {
    const engine = await open(model, "fused", "all", { positions: 150 });
    const ids = tokenIds(model, 1, 141);
    const encoder = tokenIds(model, 1, 150);
    for (const pieces of [[141], [5, 1, 135]]) {
      await expectAgreement(await inPieces(engine, ids, pieces, encoder), model, ids, encoder);
    }
    await engine.close();
  },
);
