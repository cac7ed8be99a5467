import { describe, expect, test } from "vitest";
import { readConfigFile } from "../reference/data.js";
import { openEngine } from "../../src/measure/onnx-node-engine.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { Layer, ModelDescription } from "../../src/model/types.js";
import { lowerGraph } from "../../src/onnx/lower.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { type WeightSource, syntheticWeights } from "../../src/onnx/weights.js";
import { scaled } from "../../src/variants/scale.js";
import { parseVariant } from "../../src/variants/variant.js";
import { expectAgreement, inPieces, longest, open, relativeError, tokenIds } from "./execute.js";
import { smallModel } from "./shapes.js";

const small = { hidden: 32, heads: 4, kvHeads: 4, headDim: 8, ffn: 48, layers: 4, vocabulary: 50 };
const real = (name: string, hidden: number, layers: number): ModelDescription =>
  scaled(readConfig(readConfigFile("class-defaults", `${name}.json`), name, name), { hidden, layers, vocabulary: 50 });

const tiny = (name: string, keys: object = {}): ModelDescription =>
  readConfig(
    {
      ...readConfigFile("class-defaults", `${name}.json`),
      vocab_size: 50,
      hidden_size: 32,
      num_attention_heads: 4,
      num_hidden_layers: 2,
      intermediate_size: 48,
      ...keys,
    },
    name,
    name,
  );

function reformer(keys: object): ModelDescription {
  return tiny("reformer", {
    axial_pos_shape: [4, 8],
    axial_pos_embds_dim: [12, 20],
    attention_head_size: 8,
    feed_forward_size: 40,
    max_position_embeddings: 32,
    attn_layers: ["local", "lsh"],
    local_attn_chunk_length: 4,
    lsh_attn_chunk_length: 2,
    ...keys,
  });
}

function mobileBert(purpose: string): ModelDescription {
  return tiny("mobilebert", {
    architectures: [`MobileBertFor${purpose}`],
    hidden_size: 40,
    embedding_size: 24,
    intra_bottleneck_size: 16,
    true_hidden_size: 16,
    num_feedforward_networks: 3,
  });
}

describe.each([
  ["BERT: learned positions, segments, norms after the residual, a transform before the logits", real("bert", 128, 2)],
  ["ModernBERT: rotary positions, norms before, one without, windows that look both ways", real("modernbert", 128, 4)],
  ["ALBERT: one set of weights for all layers, a narrow embedding", real("albert", 128, 3)],
  ["RoBERTa: positions behind the padding's", tiny("roberta", { max_position_embeddings: 30 })],
  ["MPNet: one table of relative positions", tiny("mpnet")],
  ["RoFormer: rotary positions", tiny("roformer")],
  [
    "DeBERTa: scores by place",
    tiny("deberta", { relative_attention: true, pos_att_type: "c2p|p2c", max_relative_positions: 6 }),
  ],
  [
    "DeBERTa 3: places that far distances share, projected as content is, from a normed table",
    tiny("deberta-v2", {
      relative_attention: true,
      pos_att_type: ["p2c", "c2p"],
      position_buckets: 6,
      max_relative_positions: -1,
      max_position_embeddings: 32,
      share_att_key: true,
      norm_rel_ebd: "layer_norm",
      position_biased_input: false,
    }),
  ],
  [
    "SqueezeBERT: projections in groups",
    tiny("squeezebert", {
      embedding_size: 32,
      q_groups: 2,
      k_groups: 4,
      v_groups: 2,
      post_attention_groups: 1,
      intermediate_groups: 4,
      output_groups: 2,
    }),
  ],
  ["MobileBERT: bottlenecks, neighbours, norms that norm nothing, a head wider than its table", mobileBert("MaskedLM")],
  ["MobileBERT's pooler", mobileBert("Model")],
  ["ConvBERT: convolutions beside attention", tiny("convbert", { embedding_size: 32, conv_kernel_size: 5 })],
  ["FNet: Fourier transforms, a projection of the embeddings", tiny("fnet")],
  [
    "Funnel: stacks that pool the one before, and one as long as the text behind them",
    tiny("funnel", { d_model: 32, n_head: 4, d_head: 8, d_inner: 48, block_sizes: [1, 2, 1], num_decoder_layers: 1 }),
  ],
  ["Reformer: sorted by hashes, two streams side by side", reformer({})],
  ["Reformer with three rounds of hashes", reformer({ num_hashes: 3, lsh_attn_chunk_length: 3 })],
  ["XLNet: positions of Transformer-XL", tiny("xlnet", { d_model: 32, n_head: 4, d_head: 8, d_inner: 48, n_layer: 2 })],
  ["DistilBERT: no segments", real("distilbert", 128, 2)],
  ["BigBird: a pooler beside the head", real("big_bird", 128, 2)],
  ["Longformer: parameters for global tokens that no token uses", real("longformer", 128, 2)],
])("an encoder like %s", (_name, model) => {
  test.each(["fused", "naive"] as const)("equals the reference with %s attention", async (attention) => {
    const engine = await open(model, attention, "all");
    expect(engine.caches).toHaveLength(0);
    for (const [batch, n] of [
      [1, 1],
      [1, 7],
      [2, longest],
    ] as const) {
      const ids = tokenIds(model, batch, n);
      await expectAgreement(await inPieces(engine, ids, [n]), model, ids);
    }
    await engine.close();
  });
});

test.each([
  ["XLNet's distances", tiny("xlnet", { d_model: 16, n_head: 2, d_head: 8, d_inner: 24, n_layer: 1 }), 131],
  ["DeBERTa's places", manyPlaces(), 131],
  [
    "Funnel's distances between pools",
    tiny("funnel", { d_model: 16, n_head: 2, d_head: 8, d_inner: 24, block_sizes: [1, 1, 1], num_decoder_layers: 1 }),
    271,
  ],
])("%s in several blocks of queries equal the reference", async (_name, model, n) => {
  const engine = await open(model, "fused", "all");
  const ids = tokenIds(model, 1, n);
  await expectAgreement(await inPieces(engine, ids, [n]), model, ids);
  await engine.close();
});

function manyPlaces(): ModelDescription {
  return tiny("deberta-v2", {
    num_hidden_layers: 1,
    relative_attention: true,
    pos_att_type: ["p2c", "c2p"],
    position_buckets: 32,
    max_relative_positions: -1,
    max_position_embeddings: 100,
    position_biased_input: false,
  });
}

describe("decoders of other shapes", () => {
  test.each([
    ["GPT-2: learned positions that go on from the cache", real("gpt2", 128, 2)],
    ["OPT: positions that begin at the third row", tiny("opt", { ffn_dim: 48, word_embed_proj_dim: 32 })],
    ["one cache for two layers", parseVariant("share-kv").apply(smallModel({ ...small, name: "cla" }))],
    [
      "one cache for three, two KV heads",
      parseVariant("share-kv:3").apply(smallModel({ ...small, name: "cla3", kvHeads: 2 })),
    ],
    ["shared layers and caches", parseVariant("share-layers+share-kv").apply(smallModel({ ...small, name: "both" }))],
  ])("%s: equals the reference, whole and in pieces", async (_name, model) => {
    for (const attention of ["fused", "naive"] as const) {
      const engine = await open(model, attention, "all");
      const ids = tokenIds(model, 1, 13);
      await expectAgreement(await inPieces(engine, ids, [13]), model, ids);
      await expectAgreement(await inPieces(engine, ids, [6, 1, 4, 1, 1]), model, ids);
      await engine.close();
    }
  });

  test("shared weights give the same numbers as copies, from one copy in memory", async () => {
    const copies = smallModel({ ...small, name: "copies" });
    const shared = parseVariant("share-layers").apply(copies);
    const plain = syntheticWeights(7);
    // Each copy is the shared layer's weights under its own name.
    const copied: WeightSource = {
      read: (name, weight, target) => plain.read(name.replace(/^layers\.\d+\./, "shared.0."), weight, target),
    };
    const ids = tokenIds(copies, 2, 9);
    const run = async (model: ModelDescription, source: WeightSource) => {
      const lowered = lowerGraph(runnableGraph(model, "fused", "all"), { positions: longest });
      const engine = await openEngine(lowered, await lowered.parameters(source), { threads: 1, profilePrefix: null });
      const logits = await inPieces(engine, ids, [5, 1, 1, 1, 1]);
      await engine.close();
      return { logits, bytes: lowered.parameterBytes };
    };
    const [one, four] = [await run(shared, plain), await run(copies, copied)];
    one.logits.forEach((sequence, index) => {
      expect(relativeError(sequence, four.logits[index] ?? [])).toBeLessThan(1e-6);
    });
    const layers = four.bytes - one.bytes;
    const perLayer = 4 * (4 * 32 * 32 + 3 * 32 * 48 + 2 * 32);
    expect(layers / (3 * perLayer)).toBeCloseTo(1, 1);
  });

  test("a layer that reads a cache before any layer keeps one is refused", () => {
    const model = smallModel({ ...small, name: "none before" }, { attention: { keyValue: "shared" } });
    expect(() => lowerGraph(runnableGraph(model, "fused"), { positions: 1 })).toThrow("no layer before it keeps");
  });
});

test("depth is a parameter: a stack twice as deep is the stack run twice with its weights shared", async () => {
  const shallow = parseVariant("share-layers").apply(smallModel({ ...small, name: "shallow", layers: 2 }));
  const deep = scaled(shallow, { layers: 6 });
  expect(new Set(deep.stacks[0]?.layers.map((layer: Layer) => layer.weightsOf))).toEqual(new Set(["shared.0"]));
  const engine = await open(deep, "fused", "all");
  const ids = tokenIds(deep, 1, 11);
  await expectAgreement(await inPieces(engine, ids, [11]), deep, ids);
  await engine.close();
});
