import { describe, expect, test } from "vitest";
import {
  type GgufTensorContent,
  type GgufValue,
  decoderMetadata,
  ggufHeader,
  sparseSource,
} from "../../../test/support/gguf.js";
import { describeModel } from "../../study/describe.js";
import { knownArchitectures } from "./families.js";
import { readGguf } from "./read-gguf.js";

const sizes = { layers: 4, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 96, vocabulary: 320 };
const { layers, hidden, ffn, vocabulary } = sizes;
const [queries, keys, experts, width] = [64, 32, 8, 48];

type Shapes = Readonly<Record<string, readonly number[]>>;

const projections: Shapes = {
  "attn_q.weight": [hidden, queries],
  "attn_k.weight": [hidden, keys],
  "attn_v.weight": [hidden, keys],
  "attn_output.weight": [queries, hidden],
};
const preNorms: Shapes = { "attn_norm.weight": [hidden], "ffn_norm.weight": [hidden] };
const postNorms: Shapes = { "post_attention_norm.weight": [hidden], "post_ffw_norm.weight": [hidden] };
const headNorms: Shapes = { "attn_q_norm.weight": [16], "attn_k_norm.weight": [16] };
const inputBiases: Shapes = { "attn_q.bias": [queries], "attn_k.bias": [keys], "attn_v.bias": [keys] };
const plain: Shapes = { "ffn_up.weight": [hidden, ffn], "ffn_down.weight": [ffn, hidden] };
const gated: Shapes = { ...plain, "ffn_gate.weight": [hidden, ffn] };
const routed: Shapes = {
  "ffn_gate_inp.weight": [hidden, experts],
  "ffn_gate_exps.weight": [hidden, width, experts],
  "ffn_up_exps.weight": [hidden, width, experts],
  "ffn_down_exps.weight": [width, hidden, experts],
};
const shared = (wide: number): Shapes => ({
  "ffn_gate_shexp.weight": [hidden, wide],
  "ffn_up_shexp.weight": [hidden, wide],
  "ffn_down_shexp.weight": [wide, hidden],
});
const expertCounts = { expert_count: experts, expert_used_count: 2, expert_feed_forward_length: width };
const llama: Shapes = { ...preNorms, ...projections, ...gated };

interface Case {
  /** Tensors of one layer under llama.cpp's names. */
  readonly layer: Shapes | ((index: number) => Shapes);
  readonly keys?: Readonly<Record<string, GgufValue>>;
  readonly untied?: true;
}

const cases: Readonly<Record<string, Case>> = {
  llama: { layer: llama },
  mistral3: { layer: llama, untied: true },
  smollm3: { layer: llama },
  gemma: { layer: llama },
  qwen2: { layer: { ...llama, ...inputBiases } },
  seed_oss: { layer: { ...llama, ...inputBiases }, untied: true },
  qwen3: { layer: { ...llama, ...headNorms } },
  gemma2: { layer: { ...llama, ...postNorms } },
  gemma3: { layer: { ...llama, ...postNorms, ...headNorms }, keys: { "attention.sliding_window": 16 } },
  arcee: { layer: { ...preNorms, ...projections, ...plain }, untied: true },
  phi3: {
    layer: {
      ...preNorms,
      "attn_qkv.weight": [hidden, queries + 2 * keys],
      "attn_output.weight": [queries, hidden],
      "ffn_up.weight": [hidden, 2 * ffn],
      "ffn_down.weight": [ffn, hidden],
    },
    untied: true,
  },
  olmo2: {
    layer: {
      ...projections,
      ...gated,
      ...postNorms,
      "attn_q_norm.weight": [queries],
      "attn_k_norm.weight": [keys],
    },
    untied: true,
  },
  "command-r": { layer: { "attn_norm.weight": [hidden], ...projections, ...gated } },
  cohere2: {
    layer: { "attn_norm.weight": [hidden], ...projections, ...gated },
    keys: { "attention.sliding_window": 16, "attention.layer_norm_epsilon": 0.5 },
  },
  olmoe: {
    layer: {
      ...preNorms,
      ...projections,
      ...routed,
      "attn_q_norm.weight": [queries],
      "attn_k_norm.weight": [keys],
    },
    keys: { ...expertCounts, feed_forward_length: width },
    untied: true,
  },
  qwen3moe: { layer: { ...preNorms, ...projections, ...headNorms, ...routed }, keys: expertCounts, untied: true },
  qwen2moe: {
    layer: {
      ...preNorms,
      ...projections,
      ...inputBiases,
      ...routed,
      ...shared(72),
      "ffn_gate_inp_shexp.weight": [hidden],
    },
    keys: { ...expertCounts, expert_shared_feed_forward_length: 72 },
    untied: true,
  },
  "gpt-oss": {
    layer: {
      ...preNorms,
      ...projections,
      ...inputBiases,
      ...routed,
      "attn_output.bias": [hidden],
      "attn_sinks.weight": [4],
      "ffn_gate_inp.bias": [experts],
      "ffn_gate_exps.bias": [width, experts],
      "ffn_up_exps.bias": [width, experts],
      "ffn_down_exps.bias": [hidden, experts],
    },
    keys: { ...expertCounts, "attention.sliding_window": 16 },
    untied: true,
  },
  glm4moe: {
    layer: (index) => ({
      "attn_norm.weight": [hidden],
      "post_attention_norm.weight": [hidden],
      ...projections,
      ...inputBiases,
      ...headNorms,
      ...(index === 0 ? gated : { ...routed, ...shared(width), "exp_probs_b.bias": [experts] }),
    }),
    keys: { ...expertCounts, expert_shared_count: 1, leading_dense_block_count: 1 },
    untied: true,
  },
  deepseek2: {
    layer: (index) => ({
      ...preNorms,
      "attn_q_a.weight": [hidden, 24],
      "attn_q_a_norm.weight": [24],
      "attn_q_b.weight": [24, 4 * 20],
      "attn_kv_a_mqa.weight": [hidden, 16 + 8],
      "attn_kv_a_norm.weight": [16],
      "attn_k_b.weight": [12, 16, 4],
      "attn_v_b.weight": [16, 10, 4],
      "attn_output.weight": [40, hidden],
      ...(index === 0 ? gated : { ...routed, ...shared(2 * width), "exp_probs_b.bias": [experts] }),
    }),
    keys: {
      ...expertCounts,
      expert_shared_count: 2,
      leading_dense_block_count: 1,
      "attention.head_count_kv": 1,
      "attention.q_lora_rank": 24,
      "attention.kv_lora_rank": 16,
      "attention.key_length": 24,
      "attention.value_length": 16,
      "attention.key_length_mla": 20,
      "attention.value_length_mla": 10,
      "rope.dimension_count": 8,
    },
    untied: true,
  },
};

function headerOf(arch: string, { layer, keys: more = {}, untied }: Case): Uint8Array {
  const entries = Object.entries(more).map(([key, value]) => [`${arch}.${key}`, value]);
  const tensors: GgufTensorContent[] = [
    { name: "token_embd.weight", shape: [hidden, vocabulary] },
    { name: "output_norm.weight", shape: [hidden] },
    ...(untied === true ? [{ name: "output.weight", shape: [hidden, vocabulary] }] : []),
  ];
  for (let index = 0; index < layers; index += 1) {
    const shapes = typeof layer === "function" ? layer(index) : layer;
    for (const [name, shape] of Object.entries(shapes)) tensors.push({ name: `blk.${index}.${name}`, shape });
  }
  return ggufHeader({ metadata: { ...decoderMetadata(arch, sizes), ...Object.fromEntries(entries) }, tensors });
}

describe("the description has exactly the parameters of the tensors", () => {
  test("for every architecture that is known", () => {
    expect(Object.keys(cases).sort()).toEqual(knownArchitectures());
  });

  test.each(Object.entries(cases))("%s", async (arch, example) => {
    const model = await readGguf(sparseSource(headerOf(arch, example), 1e9), "m");
    const { parameters, notes } = describeModel(model);
    expect(model.modelType).toBe(arch);
    expect([parameters.total, notes.filter((note) => note.includes("than the description"))]).toEqual([
      model.stored?.parameters,
      [],
    ]);
  });

  test("llama with experts, which is Mixtral", async () => {
    const layer = { ...preNorms, ...projections, ...routed };
    const counts = { expert_count: experts, expert_used_count: 2, feed_forward_length: width };
    const model = await readGguf(sparseSource(headerOf("llama", { layer, keys: counts, untied: true }), 1e9), "m");
    expect(model.stacks[0]?.layers[0]?.ffns[0]).toMatchObject({ kind: "moe", experts: 8, chosen: 2, width: 48 });
    expect(describeModel(model).parameters.total).toBe(model.stored?.parameters);
  });
});
