import type { Block } from "../types.js";

/**
 * Names that the reference implementations give the modules of our weights, as lists of modules that are (not)
 * quantised have them. Families spell them differently; where a weight is one of several fused ones the fused name is
 * among them, and one expert speaks for all.
 */
type Names = Readonly<Record<string, readonly string[]>>;

const attention: Names = {
  query: ["q_proj", "q_b_proj", "wq_b", "qkv_proj", "c_attn", "query_key_value", "Wqkv"],
  query_down: ["q_a_proj", "wq_a"],
  key: ["k_proj", "wkv", "qkv_proj", "c_attn", "query_key_value", "Wqkv"],
  value: ["v_proj", "qkv_proj", "c_attn", "query_key_value", "Wqkv"],
  latent: ["kv_a_proj_with_mqa", "kv_a_proj"],
  expand: ["kv_b_proj"],
  gate: ["g_proj", "gate_proj", "q_proj"],
  output: ["o_proj", "wo_b", "out_proj", "c_proj", "dense"],
  output_group: ["wo_a"],
  "indexer.query": ["indexer.wq_b", "index_q_proj"],
  "indexer.key": ["indexer.wk", "index_k_proj"],
  "indexer.weights": ["indexer.weights_proj", "indexers_proj"],
};

const compressed: Names = {
  ...attention,
  "indexer.key": ["indexer.compressor.wkv"],
  "indexer.gate": ["indexer.compressor.wgate"],
  "compressor.key": ["compressor.wkv"],
  "compressor.gate": ["compressor.wgate"],
};

const linearAttention: Names = {
  query_key_value: ["in_proj_qkv", "in_proj_qkvz", "q_proj", "qkv_proj"],
  query: ["q_proj", "qkv_proj"],
  key: ["k_proj", "qkv_proj"],
  value: ["v_proj", "qkv_proj"],
  gate: ["in_proj_z", "in_proj_qkvz", "g_proj", "g_b_proj", "output_gate"],
  decay: ["in_proj_a", "in_proj_ba", "f_b_proj"],
  decay_down: ["f_a_proj"],
  decay_up: ["f_b_proj"],
  gate_down: ["g_a_proj"],
  gate_up: ["g_b_proj"],
  strength: ["in_proj_b", "in_proj_ba", "b_proj"],
  out: ["out_proj", "o_proj"],
  output: ["out_proj", "o_proj"],
};

const recurrent: Names = { in: ["in_proj"], out: ["out_proj"], select: ["x_proj"], time: ["dt_proj"] };

const ffn: Names = {
  gate: ["gate_proj", "w1", "gate_up_proj", "fc1"],
  up: ["up_proj", "w3", "gate_up_proj", "fc1", "c_fc", "dense_h_to_4h"],
  down: ["down_proj", "w2", "fc2", "c_proj", "dense_4h_to_h"],
  router: ["gate", "router"],
  "experts.up": ["experts.0.gate_proj", "experts.0.w1", "experts.gate_up_proj", "experts.0.up_proj"],
  "experts.down": ["experts.0.down_proj", "experts.0.w2", "experts.down_proj"],
  "shared.gate": ["shared_experts.gate_proj", "shared_expert.gate_proj", "share_expert.gate_proj", "shared_experts.w1"],
  "shared.up": ["shared_experts.up_proj", "shared_expert.up_proj", "share_expert.up_proj", "shared_experts.w3"],
  "shared.down": ["shared_experts.down_proj", "shared_expert.down_proj", "share_expert.down_proj", "shared_experts.w2"],
  shared_gate: ["shared_expert_gate"],
  latent_in: ["fc1_latent_proj", "routed_expert_down_proj"],
  latent_out: ["fc2_latent_proj", "routed_expert_up_proj"],
};

/** Linear attention of these families lies in modules that are called like softmax attention's. */
const calledSelfAttention = /^(?:kimi|minimax)/;

/**
 * Names of the module that holds a weight of a layer, after `layers.3.`; none where no list would name it. Layers of a
 * kind share their weights' names: each is worked out once.
 */
export function namesByWeight(modelType: string): (weight: string, block: Block) => readonly string[] {
  const known = new Map<string, readonly string[]>();
  return (weight, block) => {
    const kind = weight.startsWith("mixer") ? mixerKind(weight, block) : "";
    const key = `${kind} ${weight}`;
    const names = known.get(key) ?? namesInLayer(weight, kind, modelType);
    known.set(key, names);
    return names;
  };
}

/** What mixer of a layer a weight belongs to. */
function mixerKind(weight: string, block: Block): string {
  const name = weight.slice(0, weight.indexOf("."));
  return block.modules.find((module) => module.name === name)?.description.kind ?? "attention";
}

function namesInLayer(weight: string, kind: string, modelType: string): readonly string[] {
  const [, part = "", number = "", role = ""] = /^(mixer|ffn)(\d*)\.(.+)\.weight$/.exec(weight) ?? [];
  const [places, roles] = part === "mixer" ? mixerNames(kind, modelType) : ffnNames(number, role);
  return (roles[role] ?? []).flatMap((name) => places.map((place) => (place === "" ? name : `${place}.${name}`)));
}

function mixerNames(kind: string, modelType: string): [readonly string[], Names] {
  if (kind === "attention") return [["self_attn", "attn", "attention", "self_attention"], attention];
  if (kind === "latent") return [["self_attn", "attn"], attention];
  if (kind === "compressed") return [["self_attn", "attn"], compressed];
  if (kind === "mamba1" || kind === "mamba2") return [["mixer", "mamba"], recurrent];
  if (kind === "short-convolution") return [["conv"], recurrent];
  return [calledSelfAttention.test(modelType) ? ["self_attn"] : ["linear_attn", "mixer"], linearAttention];
}

/** Where a layer has a dense network beside its experts, `mlp` is the dense one (Gemma 4). */
function ffnNames(number: string, role: string): [readonly string[], Names] {
  const places = ["mlp", "block_sparse_moe", "ffn", "feed_forward", "mixer", "moe"];
  const routed = /^(?:router|experts|shared|latent)/.test(role);
  return [number !== "" && routed ? ["", ...places.slice(1)] : places, ffn];
}

/** Names of weights that lie in no layer. */
export const namesBeside: Names = {
  "embedding.table": ["embed_tokens", "wte", "embed", "word_embeddings"],
  "head.weight": ["lm_head", "head", "output"],
};
