import type { StoredTensor } from "../../model/storage.js";
import type { BitsOf } from "./bits-of.js";

/** Names of llama.cpp for one weight; several where it is stored in parts. The first list that is there counts. */
type Names = readonly (readonly string[])[];

const one = (...names: string[]): Names => names.map((name) => [name]);

/** Weights of a layer by the name they have in a block, without the numbers of mixers and networks. */
const inLayer: Readonly<Record<string, Names>> = {
  "mixer.query": one("attn_q", "attn_q_b", "attn_qkv"),
  "mixer.query_down": one("attn_q_a"),
  "mixer.key": one("attn_k", "attn_qkv"),
  "mixer.value": one("attn_v", "attn_qkv", "attn_k"),
  "mixer.latent": one("attn_kv_a_mqa"),
  "mixer.expand": [["attn_k_b", "attn_v_b"], ["attn_kv_b"]],
  "mixer.output": one("attn_output", "attn_o"),
  "mixer.gate": one("attn_gate", "ssm_gate", "attn_q"),
  "mixer.indexer.query": one("indexer.attn_q_b", "indexer.q_proj"),
  "mixer.indexer.key": one("indexer.attn_k", "indexer.k_proj"),
  "mixer.indexer.weights": one("indexer.proj"),
  "mixer.query_key_value": [["attn_qkv"], ["ssm_in"], ["attn_q", "attn_k", "attn_v"]],
  "mixer.decay": one("ssm_alpha", "ssm_ba"),
  "mixer.strength": one("ssm_beta", "ssm_ba"),
  "mixer.in": one("ssm_in", "shortconv.in_proj"),
  "mixer.select": one("ssm_x"),
  "mixer.time": one("ssm_dt"),
  "mixer.out": one("ssm_out", "shortconv.out_proj", "attn_output"),
  "mixer.convolution": one("ssm_conv1d", "shortconv.conv"),
  "mixer.relative_positions": one("attn_rel_b"),
  "ffn.gate": one("ffn_gate", "ffn_up"),
  "ffn.up": one("ffn_up"),
  "ffn.down": one("ffn_down"),
  "ffn.router": one("ffn_gate_inp"),
  "ffn.experts.up": [["ffn_gate_exps", "ffn_up_exps"], ["ffn_gate_up_exps"], ["ffn_up_exps"]],
  "ffn.experts.down": one("ffn_down_exps"),
  "ffn.shared.gate": one("ffn_gate_shexp"),
  "ffn.shared.up": one("ffn_up_shexp"),
  "ffn.shared.down": one("ffn_down_shexp"),
  "ffn.shared_gate": one("ffn_gate_inp_shexp"),
  "extra.per_layer_gate": one("inp_gate"),
  "extra.per_layer_projection": one("proj"),
};

/** Weights outside of the layers, by scope and name. */
const outside: Readonly<Record<string, Names>> = {
  "embedding.table": one("token_embd"),
  "embedding.per_layer": one("per_layer_token_embd"),
  "embedding.positions": one("position_embd"),
  "embedding.types": one("token_types"),
  "head.weight": one("output", "token_embd"),
  "extras.extra.per_layer_projection.weight": one("per_layer_model_proj"),
};

/**
 * Bits per weight as the tensors of a GGUF file have them. A matrix without a tensor of a known name takes the mean of
 * its layer's matrices; vectors, and what is no factor of a product, are float32, as llama.cpp writes them.
 */
export function ggufBits(tensors: readonly StoredTensor[]): BitsOf {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const means = meansByLayer(tensors);
  return (scope, name, { shape }) => {
    const own = bitsOf(found(scope, name, byName));
    if (own !== null) return own;
    const short = shape.filter((size) => size > 1).length < 2 || (prefixOf(scope) !== "" && !name.endsWith(".weight"));
    return short ? 32 : (means.get(prefixOf(scope)) ?? means.get("") ?? null);
  };
}

/** `blk.3.` for `layers.3`; `enc.blk.3.` and `dec.blk.3.` stand beside it in models with both. */
function prefixOf(scope: string): string {
  const [, stack = "", index] = /^(.*\.)?layers\.(\d+)$/.exec(scope) ?? [];
  return index === undefined ? "" : `${stack === "" ? "" : "enc."}blk.${index}.`;
}

function found(scope: string, name: string, byName: ReadonlyMap<string, StoredTensor>): readonly StoredTensor[] {
  const prefix = prefixOf(scope);
  if (prefix === "") return firstPresent(outside[`${scope}.${name}`] ?? [], [""], byName);
  const plain = name.replace(/^(mixer|ffn)\d+\./, "$1.").replace(/\.weight$/, "");
  // Models of one stack number their blocks plainly, an encoder's too.
  const places = prefix.startsWith("enc.") ? [prefix, prefix.slice(4)] : [prefix, `dec.${prefix}`];
  const crossed = name.startsWith("mixer1.") ? crossNames(plain) : [];
  return firstPresent([...crossed, ...(inLayer[plain] ?? [])], places, byName);
}

/** Cross-attention is the second mixer of a decoder's layer. */
function crossNames(plain: string): Names {
  const [, role] = /^mixer\.(query|key|value|output)$/.exec(plain) ?? [];
  const names: Readonly<Record<string, string>> = { query: "q", key: "k", value: "v", output: "o" };
  return role === undefined ? [] : one(`cross_attn_${names[role]}`);
}

function firstPresent(
  names: Names,
  places: readonly string[],
  byName: ReadonlyMap<string, StoredTensor>,
): readonly StoredTensor[] {
  for (const place of places) {
    for (const parts of names) {
      const tensors = parts.map((part) => byName.get(`${place}${part}.weight`));
      const there = tensors.filter((tensor) => tensor !== undefined);
      if (there.length === parts.length && there.length > 0) return there;
    }
  }
  return [];
}

function bitsOf(tensors: readonly StoredTensor[]): number | null {
  const elements = tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
  return elements === 0 ? null : (8 * tensors.reduce((sum, { bytes }) => sum + bytes, 0)) / elements;
}

/** Mean bits of the quantised or short tensors of each layer, and of the whole file under "". */
function meansByLayer(tensors: readonly StoredTensor[]): ReadonlyMap<string, number> {
  const groups = new Map<string, StoredTensor[]>();
  for (const tensor of tensors) {
    // Nearly all float32 tensors are vectors, which have bits of their own.
    if (tensor.type === "F32") continue;
    const [prefix = ""] = /^(enc\.|dec\.)?blk\.\d+\./.exec(tensor.name) ?? [];
    for (const key of new Set(["", prefix])) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [tensor]);
      else group.push(tensor);
    }
  }
  return new Map([...groups].map(([key, group]) => [key, bitsOf(group) ?? 32]));
}
