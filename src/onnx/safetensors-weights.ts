import { badInput } from "../base/errors.js";
import type { ByteSource } from "../files/byte-source.js";
import { fromFloat16Bits } from "../math/float16.js";
import { type PlacedTensor, readPlacedTensors } from "../model/safetensors/header.js";
import type { ModelDescription, NormPlacement } from "../model/types.js";
import type { WeightSource } from "./weights.js";

/** Families whose checkpoints name their tensors as Llama's do. */
const families = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "gemma2", "olmo2", "granite", "stablelm"];

/** Names of a layer's norms by where they stand. */
const norms: Readonly<Record<NormPlacement, Readonly<Record<string, string>> | null>> = {
  pre: { "mixer.pre_norm": "input_layernorm", "ffn.pre_norm": "post_attention_layernorm" },
  "post-branch": { "mixer.post_norm": "post_attention_layernorm", "ffn.post_norm": "post_feedforward_layernorm" },
  sandwich: {
    "mixer.pre_norm": "input_layernorm",
    "mixer.post_norm": "post_attention_layernorm",
    "ffn.pre_norm": "pre_feedforward_layernorm",
    "ffn.post_norm": "post_feedforward_layernorm",
  },
  "post-residual": null,
};

const parts: Readonly<Record<string, string>> = {
  "mixer.query": "self_attn.q_proj",
  "mixer.key": "self_attn.k_proj",
  "mixer.value": "self_attn.v_proj",
  "mixer.output": "self_attn.o_proj",
  "mixer.query_norm": "self_attn.q_norm",
  "mixer.key_norm": "self_attn.k_norm",
  "ffn.gate": "mlp.gate_proj",
  "ffn.up": "mlp.up_proj",
  "ffn.down": "mlp.down_proj",
};

const whole: Readonly<Record<string, string>> = {
  "embedding.table": "model.embed_tokens.weight",
  "final_norm.norm.weight": "model.norm.weight",
  "final_norm.norm.bias": "model.norm.bias",
  "head.weight": "lm_head.weight",
  "head.bias": "lm_head.bias",
};

/** The checkpoint's name of a parameter, or null where it has none. */
function checkpointName(name: string, placement: NormPlacement): string | null {
  const known = whole[name];
  if (known !== undefined) return known;
  const match = /^layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  const [, layer, part, side] = match ?? [];
  if (layer === undefined || part === undefined || side === undefined) return null;
  const own = parts[part] ?? norms[placement]?.[part];
  return own === undefined ? null : `model.layers.${layer}.${own}.${side}`;
}

/**
 * A model's parameters from its safetensors files, as float32: from float32, float16 or bfloat16.
 *
 * @throws NsquaredError where the family's names are not known, a tensor is missing, or has another shape or type
 */
export async function safetensorsWeights(model: ModelDescription, files: readonly ByteSource[]): Promise<WeightSource> {
  const placement = model.stacks[0]?.layers[0]?.normPlacement ?? "pre";
  if (!families.includes(model.modelType) || norms[placement] === null) {
    throw badInput("weights-unknown", {
      where: model.name,
      key: "model_type",
      found: model.modelType,
      expected: `weights can be loaded of ${families.join(", ")}`,
    });
  }
  const tensors = new Map<string, { readonly file: ByteSource; readonly tensor: PlacedTensor }>();
  for (const file of files) {
    for (const tensor of await readPlacedTensors(file)) tensors.set(tensor.name, { file, tensor });
  }
  return {
    read: async (name, weight, target) => {
      const wanted = checkpointName(name, placement);
      const found = wanted === null ? undefined : tensors.get(wanted);
      if (found === undefined) {
        throw badInput("tensor-missing", {
          where: files[0]?.name ?? model.name,
          key: wanted ?? name,
          expected: `the model needs it as [${weight.shape.join(", ")}]`,
        });
      }
      const { file, tensor } = found;
      if (tensor.shape.join() !== weight.shape.join()) {
        throw badInput("tensor-shape", {
          where: file.name,
          key: `shape of ${tensor.name}`,
          found: tensor.shape,
          expected: `[${weight.shape.join(", ")}], as the config says`,
        });
      }
      await readNumbers(file, tensor, target);
    },
  };
}

/** Bytes read at once. */
const piece = 64 * 1024 * 1024;

async function readNumbers(file: ByteSource, tensor: PlacedTensor, target: Float32Array): Promise<void> {
  const convert = conversions[tensor.type];
  if (convert === undefined) {
    throw badInput("tensor-type", {
      where: file.name,
      key: `dtype of ${tensor.name}`,
      found: tensor.type,
      expected: Object.keys(conversions).join(", "),
    });
  }
  const width = tensor.bytes / Math.max(1, tensor.elements);
  for (let at = 0; at < tensor.bytes; at += piece) {
    const end = Math.min(tensor.bytes, at + piece);
    const bytes = await file.read(tensor.from + at, tensor.from + end);
    if (bytes.length < end - at) {
      throw badInput("truncated", {
        where: file.name,
        key: tensor.name,
        found: bytes.length,
        expected: "the file is cut off",
      });
    }
    const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
    convert(aligned, target.subarray(at / width, end / width));
  }
}

/** From little-endian bytes to float32. */
const conversions: Readonly<Record<string, (bytes: Uint8Array, target: Float32Array) => void>> = {
  F32: (bytes, target) => {
    target.set(new Float32Array(bytes.buffer, bytes.byteOffset, target.length));
  },
  BF16: (bytes, target) => {
    // The upper half of a float32.
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, target.length);
    const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
    halves.forEach((half, index) => {
      words[index] = half << 16;
    });
  },
  F16: (bytes, target) => {
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, target.length);
    halves.forEach((half, index) => {
      target[index] = fromFloat16Bits(half);
    });
  },
};
