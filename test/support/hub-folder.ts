import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../src/base/random.js";
import type { WeightSource } from "../../src/onnx/weights.js";

/** What a written tensor is stored as; its numbers are exactly representable in all three. */
export type StoredAs = "F32" | "BF16" | "F16";

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  readonly as: StoredAs;
}

/** Multiples of 2⁻⁷ below 1 have at most seven bits: the same in float32, float16 and bfloat16. */
function drawn(shape: readonly number[], random: () => number, centre: number): Float32Array {
  const length = shape.reduce((product, size) => product * size, 1);
  return Float32Array.from({ length }, () => centre + Math.floor((random() - 0.5) * 64) / 128);
}

function bytesOf({ values, as }: Tensor): Uint8Array {
  if (as === "F32") return new Uint8Array(values.buffer);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = Uint16Array.from(words, (word, index) => {
    if (as === "BF16") return word >>> 16;
    const value = values[index] ?? 0;
    if (value === 0) return 0;
    const exponent = Math.floor(Math.log2(Math.abs(value)));
    const mantissa = Math.round((Math.abs(value) / 2 ** exponent - 1) * 1024);
    return ((value < 0 ? 1 : 0) << 15) | ((exponent + 15) << 10) | mantissa;
  });
  return new Uint8Array(halves.buffer);
}

function fileOf(tensors: readonly Tensor[]): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const contents = tensors.map(bytesOf);
  let at = 0;
  tensors.forEach(({ name, shape, as }, index) => {
    const size = contents[index]?.length ?? 0;
    header[name] = { dtype: as, shape, data_offsets: [at, at + size] };
    at += size;
  });
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return Buffer.concat([length, json, ...contents]);
}

export interface HubFolder {
  readonly config: Record<string, unknown>;
  /** The same numbers under this project's names. */
  readonly source: WeightSource;
  /** The tokenizer's words, by their ids. */
  readonly words: readonly string[];
}

interface HubOptions {
  readonly modelType: "llama" | "qwen2" | "qwen3" | "mistral";
  readonly stored: StoredAs;
  readonly tied: boolean;
  readonly sharded: boolean;
  readonly ropeScaling?: Readonly<Record<string, unknown>>;
  readonly chatTemplate?: string;
}

const sizes = { hidden: 32, ffn: 48, layers: 2, heads: 4, kvHeads: 2, headDim: 8, vocabulary: 24 };

/** Writes a small model as the hub lays it out: config, weights in one or two files, a tokenizer of words. */
export function writeHubFolder(
  folder: string,
  { modelType, stored, tied, sharded, ropeScaling, chatTemplate }: HubOptions,
): HubFolder {
  mkdirSync(folder, { recursive: true });
  const { hidden, ffn, layers, heads, kvHeads, headDim, vocabulary } = sizes;
  const config = {
    model_type: modelType,
    hidden_size: hidden,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    vocab_size: vocabulary,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: tied,
    hidden_act: "silu",
    eos_token_id: 1,
    ...(modelType === "mistral" ? { sliding_window: null } : {}),
    ...(ropeScaling === undefined ? {} : { rope_scaling: ropeScaling }),
  };
  const random = seededRandom(11);
  const tensors: Tensor[] = [];
  const ours = new Map<string, Tensor>();
  const add = (own: string, name: string, shape: readonly number[], centre = 0): void => {
    const tensor = { name, shape, values: drawn(shape, random, centre), as: stored };
    tensors.push(tensor);
    ours.set(own, tensor);
  };
  add("embedding.table", "model.embed_tokens.weight", [vocabulary, hidden]);
  for (let layer = 0; layer < layers; layer += 1) {
    const of = (own: string, name: string, shape: readonly number[], centre = 0): void => {
      add(`layers.${layer}.${own}`, `model.layers.${layer}.${name}`, shape, centre);
    };
    of("mixer.pre_norm.weight", "input_layernorm.weight", [hidden], 1);
    for (const [own, name, width] of [
      ["query", "q_proj", heads * headDim],
      ["key", "k_proj", kvHeads * headDim],
      ["value", "v_proj", kvHeads * headDim],
    ] as const) {
      of(`mixer.${own}.weight`, `self_attn.${name}.weight`, [width, hidden]);
      if (modelType === "qwen2") of(`mixer.${own}.bias`, `self_attn.${name}.bias`, [width]);
    }
    if (modelType === "qwen3") {
      of("mixer.query_norm.weight", "self_attn.q_norm.weight", [headDim], 1);
      of("mixer.key_norm.weight", "self_attn.k_norm.weight", [headDim], 1);
    }
    of("mixer.output.weight", "self_attn.o_proj.weight", [hidden, heads * headDim]);
    of("ffn.pre_norm.weight", "post_attention_layernorm.weight", [hidden], 1);
    of("ffn.gate.weight", "mlp.gate_proj.weight", [ffn, hidden]);
    of("ffn.up.weight", "mlp.up_proj.weight", [ffn, hidden]);
    of("ffn.down.weight", "mlp.down_proj.weight", [hidden, ffn]);
  }
  add("final_norm.norm.weight", "model.norm.weight", [hidden], 1);
  if (!tied) add("head.weight", "lm_head.weight", [vocabulary, hidden]);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  if (sharded) {
    const files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
    const half = Math.ceil(tensors.length / 2);
    writeFileSync(join(folder, files[0]), fileOf(tensors.slice(0, half)));
    writeFileSync(join(folder, files[1]), fileOf(tensors.slice(half)));
    const map = Object.fromEntries(tensors.map(({ name }, index) => [name, files[index < half ? 0 : 1]]));
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
  } else {
    writeFileSync(join(folder, "model.safetensors"), fileOf(tensors));
  }
  const words = [
    "<unk>",
    "<end>",
    ..."the square of a number grows fast and slow lines do not so we wait for it".split(" "),
  ];
  while (words.length < vocabulary) words.push(`w${words.length}`);
  writeTokenizer(folder, words.slice(0, vocabulary), chatTemplate);
  return {
    config,
    words,
    source: {
      read: (name, _weight, target) => {
        const tensor = ours.get(name);
        if (tensor === undefined) throw new Error(`no tensor ${name}`);
        target.set(tensor.values);
        return Promise.resolve();
      },
    },
  };
}

function writeTokenizer(folder: string, words: readonly string[], chatTemplate: string | undefined): void {
  const special = (id: number) => ({
    id,
    content: words[id],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [special(0), special(1)],
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: Object.fromEntries(words.map((word, id) => [word, id])), unk_token: "<unk>" },
  };
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  writeFileSync(
    join(folder, "tokenizer_config.json"),
    JSON.stringify({
      tokenizer_class: "PreTrainedTokenizerFast",
      unk_token: "<unk>",
      eos_token: { content: "<end>" },
      chat_template: chatTemplate,
    }),
  );
}
