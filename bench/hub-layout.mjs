// A Llama-like model as ONNX exports for other runtimes lay it out: config.json, onnx/model.onnx and its external data; inputs
// input_ids, attention_mask and past_key_values, outputs logits of the last position and present keys and values. The
// operators are those of such exports: one product per projection, grouped-query attention with its rotary embedding.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ModelBuilder } from "../dist/onnx/builder.js";
import { encodeModel, float, int, microsoft } from "../dist/onnx/proto.js";

/** @typedef {import("../dist/onnx/weights.js").WeightSource} WeightSource */
/** @typedef {import("../dist/model/types.js").ModelDescription} ModelDescription */

/** The sizes of a decoder of equal layers of attention and a gated network. @param {ModelDescription} model */
function sizesOf({ hiddenSize: hidden, vocabularySize: vocabulary, stacks, head }) {
  const layers = stacks[0]?.layers ?? [];
  const mixer = layers[0]?.mixers[0];
  const ffn = layers[0]?.ffns[0];
  if (mixer?.kind !== "attention" || mixer.rotary === null || ffn?.kind !== "dense" || !ffn.gated || !head.tied) {
    throw new Error("expected a Llama-like decoder with a tied head");
  }
  const { heads, kvHeads, keyDim, rotary, scale } = mixer;
  const epsilon = layers[0]?.norm.epsilon ?? 1e-5;
  return {
    hidden,
    vocabulary,
    heads,
    kvHeads,
    headDim: keyDim,
    rotary,
    scale,
    epsilon,
    layers: layers.length,
    ffn: ffn.width,
  };
}

/**
 * @param {string} folder
 * @param {ModelDescription} model
 * @param {WeightSource} source
 * @param {number} positions rows of the rotary tables
 */
export async function writeHubLayout(folder, model, source, positions) {
  const sizes = sizesOf(model);
  const { hidden, vocabulary, heads, kvHeads, headDim, rotary, scale, epsilon, layers, ffn } = sizes;
  mkdirSync(join(folder, "onnx"), { recursive: true });
  const path = "model.onnx_data";
  const file = openSync(join(folder, "onnx", path), "w");
  const builder = new ModelBuilder();
  /** @type {import("../dist/onnx/proto.js").OnnxInitializer[]} */
  const external = [];
  let offset = 0;
  /** @param {string} name @param {number[]} shape @param {Float32Array} values */
  const keep = (name, shape, values) => {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    external.push({ name, type: "float32", shape, data: { path, offset, length: bytes.length } });
    offset += writeSync(file, bytes);
    return name;
  };
  /** @param {string} name @param {number[]} shape @param {"matrix" | "one"} init */
  const read = async (name, shape, init) => {
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    await source.read(name, /** @type {any} */ ({ shape, init }), values);
    return values;
  };
  /** A matrix [out, in] as a product wants it, [in, out]. @param {string} name @param {number} out @param {number} inner */
  const turned = async (name, out, inner) => {
    const values = await read(name, [out, inner], "matrix");
    const result = new Float32Array(values.length);
    for (let row = 0; row < out; row += 1) {
      for (let column = 0; column < inner; column += 1) result[column * out + row] = values[row * inner + column] ?? 0;
    }
    return keep(name, [inner, out], result);
  };
  try {
    const ids = builder.input("input_ids", "int64", ["batch_size", "sequence_length"]);
    const mask = builder.input("attention_mask", "int64", ["batch_size", "total_sequence_length"]);
    const summed = builder.node("mask_sum", "ReduceSum", [mask, builder.integers([1])], {
      attributes: { keepdims: int(0) },
    });
    const before = builder.node("mask_last", "Sub", [summed, builder.integer(1)]);
    const last = builder.node("seqlens_k", "Cast", [before], { attributes: { to: int(6) } });
    const shape = builder.node("mask_shape", "Shape", [mask]);
    const length = builder.node("mask_length", "Gather", [shape, builder.integer(1)], { attributes: { axis: int(0) } });
    const total = builder.node("total", "Cast", [length], { attributes: { to: int(6) } });
    const half = rotary.dims / 2;
    const [cos, sin] = /** @type {const} */ (["cos", "sin"]).map((kind) => {
      const table = new Float32Array(positions * half);
      for (let position = 0; position < positions; position += 1) {
        for (let i = 0; i < half; i += 1) {
          table[position * half + i] = Math[kind](position * rotary.theta ** ((-2 * i) / rotary.dims));
        }
      }
      return keep(`${kind}_cache`, [positions, half], table);
    });
    const table = keep(
      "embedding.table",
      [vocabulary, hidden],
      await read("embedding.table", [vocabulary, hidden], "matrix"),
    );
    const norm = { epsilon: float(epsilon) };
    /** @param {string} name @param {string} input @param {string} added the residual, or nothing @param {string} own */
    const normalise = async (name, input, added, own) => {
      const weight = keep(own, [hidden], await read(own, [hidden], "one"));
      if (added === "") {
        builder.node(name, "SimplifiedLayerNormalization", [input, weight], { attributes: { ...norm, axis: int(-1) } });
        return input;
      }
      const options = { attributes: norm, domain: microsoft };
      builder.nodeWithOutputs(
        name,
        "SkipSimplifiedLayerNormalization",
        [input, added, weight],
        [name, "", "", `${name}.sum`],
        options,
      );
      return `${name}.sum`;
    };
    let stream = builder.node("embed", "Gather", [table, ids]);
    let branch = "";
    for (let layer = 0; layer < layers; layer += 1) {
      const at = `layers.${layer}`;
      /** @param {string} output @param {string} input @param {string} name @param {number} out @param {number} inner */
      const product = async (output, input, name, out, inner) =>
        builder.node(`${at}.${output}`, "MatMul", [input, await turned(`${at}.${name}.weight`, out, inner)]);
      stream = await normalise(`${at}.normed`, stream, branch, `${at}.mixer.pre_norm.weight`);
      const query = await product("query", `${at}.normed`, "mixer.query", heads * headDim, hidden);
      const key = await product("key", `${at}.normed`, "mixer.key", kvHeads * headDim, hidden);
      const value = await product("value", `${at}.normed`, "mixer.value", kvHeads * headDim, hidden);
      const past = ["key", "value"].map((side) =>
        builder.input(`past_key_values.${layer}.${side}`, "float32", [
          "batch_size",
          kvHeads,
          "past_sequence_length",
          headDim,
        ]),
      );
      const present = ["key", "value"].map((side) => `present.${layer}.${side}`);
      builder.nodeWithOutputs(
        `${at}.mixed`,
        "GroupQueryAttention",
        [query, key, value, ...past, last, total, cos ?? "", sin ?? ""],
        [`${at}.mixed`, ...present],
        {
          domain: microsoft,
          attributes: { num_heads: int(heads), kv_num_heads: int(kvHeads), scale: float(scale), do_rotary: int(1) },
        },
      );
      const output = await product("attended", `${at}.mixed`, "mixer.output", hidden, heads * headDim);
      stream = await normalise(`${at}.normed_again`, stream, output, `${at}.ffn.pre_norm.weight`);
      const gate = await product("gate", `${at}.normed_again`, "ffn.gate", ffn, hidden);
      const up = await product("up", `${at}.normed_again`, "ffn.up", ffn, hidden);
      const opened = builder.node(`${at}.sigmoid`, "Sigmoid", [gate]);
      const gated = builder.node(`${at}.silu`, "Mul", [gate, opened]);
      branch = await product("down", builder.node(`${at}.gated`, "Mul", [gated, up]), "ffn.down", hidden, ffn);
    }
    await normalise("final", stream, branch, "final_norm.norm.weight");
    const one = builder.node("last_position", "Slice", [
      "final",
      builder.integers([-1]),
      builder.integers([2 ** 31]),
      builder.integers([1]),
    ]);
    builder.node("logits", "FusedMatMul", [one, table], { domain: microsoft, attributes: { transB: int(1) } });
    builder.output("logits", "float32", ["batch_size", 1, vocabulary]);
    for (let layer = 0; layer < layers; layer += 1) {
      for (const side of ["key", "value"]) {
        builder.output(`present.${layer}.${side}`, "float32", [
          "batch_size",
          kvHeads,
          "total_sequence_length",
          headDim,
        ]);
      }
    }
  } finally {
    closeSync(file);
  }
  writeFileSync(join(folder, "onnx", "model.onnx"), encodeModel(builder.build(model.name, external)));
  const config = {
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    vocab_size: vocabulary,
    hidden_size: hidden,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    max_position_embeddings: positions,
    rope_theta: rotary.theta,
    rms_norm_eps: epsilon,
    tie_word_embeddings: true,
    "transformers.js_config": { use_external_data_format: true },
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
}
