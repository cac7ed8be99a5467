// Published whole runs as predictions see them: model, device, engine, formats, lengths. What cannot be predicted fairly is
// left out by rule, with the reason.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { devices } from "../dist/hardware/index.js";
import { readConfig } from "../dist/model/index.js";
import { ownFormats, withFormats } from "../dist/predict/formats.js";

/** @typedef {import("./hardware-data.mjs").Row} Row */
/** @typedef {import("../dist/model/index.js").ModelDescription} ModelDescription */
/** @typedef {import("../dist/hardware/index.js").DeviceRecord} DeviceRecord */
/**
 * @typedef {object} Run
 * @property {"prefill" | "decode"} phase
 * @property {string} source
 * @property {ModelDescription} model in the formats of the run
 * @property {import("../dist/predict/formats.js").Formatted["operands"]} operands what products with weights cast to
 * @property {string} modelKey
 * @property {string} dtype
 * @property {DeviceRecord} device
 * @property {string} engine
 * @property {number} gpus
 * @property {number} batch
 * @property {number} n new tokens of a prefill, context of a decode step
 * @property {number} depth
 * @property {number | null} chunk tokens of a batch of the prefill; the engine's where null
 * @property {"fused" | "naive" | null} attention the engine's where null
 * @property {number} seconds
 */

/** Config that describes a model of the tables (null where none is at hand), and what it has otherwise. @type {Record<string, [string | null, Record<string, unknown>?]>} */
const configs = {
  "Llama-2-7B": ["meta-llama__Llama-2-7b-hf"],
  "Llama-2-70B": [
    "meta-llama__Llama-2-7b-hf",
    {
      num_hidden_layers: 80,
      hidden_size: 8192,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      intermediate_size: 28_672,
    },
  ],
  "Llama-3.2-3B": [
    "meta-llama__Llama-3.2-1B",
    { num_hidden_layers: 28, hidden_size: 3072, num_attention_heads: 24, head_dim: 128, intermediate_size: 8192 },
  ],
  "Llama-3-8B": ["meta-llama__Meta-Llama-3.1-8B"],
  "Llama-3-70B": ["meta-llama__Meta-Llama-3-70B-Instruct"],
  "Mistral-7B": ["mistralai__Mistral-7B-Instruct-v0.3"],
  "Qwen2-7B": ["Qwen__Qwen2-7B"],
  "Qwen3-0.6B": ["Qwen__Qwen3-0.6B"],
  "Qwen3-1.7B": ["Qwen__Qwen3-1.7B"],
  "Qwen3-8B": ["Qwen__Qwen3-8B"],
  "Qwen3-32B": ["Qwen__Qwen3-32B"],
  "Qwen3-30B-A3B": ["Qwen__Qwen3-30B-A3B"],
  "Qwen3-235B-A22B": ["Qwen__Qwen3-VL-235B-A22B-Instruct"],
  "Qwen3.5/3.6-35B-A3B": ["Qwen__Qwen3.5-35B-A3B"],
  "Qwen3.5/3.6-27B": ["nvidia__Qwen3.6-27B-NVFP4"],
  "Qwen3.5-122B-A10B": ["Qwen__Qwen3.5-122B-A10B"],
  "gpt-oss-20b": ["openai__gpt-oss-20b"],
  "gpt-oss-120b": ["openai__gpt-oss-20b", { num_hidden_layers: 36, num_local_experts: 128, layer_types: null }],
  "Gemma-3-12B": ["google__gemma-3-12b-it"],
  "Gemma-3-4B": [
    "google__gemma-3-12b-it",
    {
      text_config: {
        num_hidden_layers: 34,
        hidden_size: 2560,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        intermediate_size: 10_240,
      },
    },
  ],
  "Ministral-3-14B": [
    "mistralai__Ministral-3-3B-2512",
    {
      text_config: { num_hidden_layers: 40, hidden_size: 5120, intermediate_size: 16_384, tie_word_embeddings: false },
    },
  ],
  // As llama.cpp's load log in pull request 370 of ik_llama.cpp has it.
  "GLM-4-32B-0414": [
    null,
    {
      model_type: "glm4",
      num_hidden_layers: 61,
      hidden_size: 6144,
      num_attention_heads: 48,
      num_key_value_heads: 2,
      head_dim: 128,
      intermediate_size: 23_040,
      vocab_size: 151_552,
    },
  ],
  "gemma-4-26B-A4B": ["google__gemma-4-26B-A4B"],
  "DeepSeek-V3/R1": ["deepseek-ai__DeepSeek-R1"],
  "DeepSeek-V2-Lite": ["deepseek-ai__DeepSeek-V2-Lite"],
  "Kimi-K2.5": ["moonshotai__Kimi-K2-Instruct"],
  "GLM-5": ["zai-org__GLM-5"],
  "MiniMax-M2.x": ["MiniMaxAI__MiniMax-M2.5"],
};

/** @type {Record<string, string>} */
const formats = {
  F16: "float16",
  fp16: "float16",
  "fp16/bf16": "float16",
  BF16: "bfloat16",
  bf16: "bfloat16",
  Q4_0: "Q4_0",
  "Q4_K - Medium": "Q4_K_M",
  Q4_K_M: "Q4_K_M",
  Q8_0: "Q8_0",
  IQ4_XS: "IQ4_XS",
  MXFP4: "MXFP4",
  fp8: "float8",
  fp4: "float4",
};

/** @param {string} engine */
function engineOf(engine) {
  // ROCm builds are the same kernels, compiled by HIP.
  if (/^llama\.cpp (CUDA|ROCm)/.test(engine) && !engine.includes("MLA")) return "llama.cpp-cuda";
  if (engine.startsWith("llama.cpp Metal")) return "llama.cpp-metal";
  if (engine === "llama.cpp CPU fa") return "llama.cpp-cpu";
  if (/^(vllm|vLLM|vLLM-based.*)$/.test(engine)) return "vllm";
  if (/^(trtllm|TensorRT-LLM)$/.test(engine)) return "tensorrt-llm";
  if (engine === "sglang") return "sglang";
  if (engine.startsWith("Rapid-MLX")) return "mlx";
  return null;
}

/** Before CUDA graphs: what such engines take per kernel says nothing of those that people run. */
const launchedByHost = /^vLLM-based/;
/** Tokens of a prefill whose products of a large model hide that. */
const longEnough = 512;

/** @type {Map<string, ModelDescription | null>} */
const models = new Map();

/** A config with other values, also in its parts. @param {Record<string, unknown>} config @param {Record<string, unknown>} changes */
function changed(config, changes) {
  const entries = Object.entries(changes).map(([key, value]) => [
    key,
    typeof value === "object" && value !== null ? { .../** @type {object} */ (config[key]), ...value } : value,
  ]);
  return { ...config, ...Object.fromEntries(entries) };
}

/**
 * Runs of InferenceX in 8 and 4 bits keep keys and values in 8, as its launch scripts ask (SemiAnalysisAI/InferenceX@843c6254,
 * `benchmarks/single_node/fixed_seq_len`; of Llama 70B `benchmarks/70b_*` before 2582bce), but for these on Hopper.
 */
const keeps8Bits = /^(Llama-3-70B|DeepSeek-V3\/R1|GLM-5|Kimi-K2.5|MiniMax-M2.x|gpt-oss-120b)$/;
/** Model, format, engine, device. */
const keeps16Bits = /^(gpt-oss-120b .* H[12]00|(DeepSeek-V3\/R1|GLM-5) fp8 sglang H200|MiniMax-M2.x fp8 vllm H100)/;

/** Whether a published run's cache is of 8 bits. @param {Row} row */
function cachesIn8Bits({ model_key = "", dtype = "", engine = "", hw_key = "", source = "" }) {
  if (!source.startsWith("silicon_sample") || (dtype !== "fp8" && dtype !== "fp4")) return false;
  return keeps8Bits.test(model_key) && !keeps16Bits.test(`${model_key} ${dtype} ${engine} ${hw_key}`);
}

/** A model as its config has it. @param {string} key */
function modelOf(key) {
  const known = models.get(key);
  if (known !== undefined) return known;
  const entry = configs[key];
  let model = null;
  if (entry !== undefined) {
    const [file, changes = {}] = entry;
    const path = fileURLToPath(new URL(`../test/data/models/configs/${file}.json`, import.meta.url));
    const config = file === null ? changes : changed(JSON.parse(readFileSync(path, "utf8")), changes);
    model = readConfig(config, path, key);
  }
  models.set(key, model);
  return model;
}

/**
 * Runs that can be predicted fairly, and how many were left out for which reason.
 *
 * @param {Row[]} prefill @param {Row[]} decode
 * @returns {{runs: Run[], left: Map<string, number>}}
 */
export function runsOf(prefill, decode) {
  /** @type {Map<string, number>} */
  const left = new Map();
  /** @param {string} reason */
  const leave = (reason) => {
    left.set(reason, (left.get(reason) ?? 0) + 1);
  };
  /** @type {Run[]} */
  const runs = [];
  for (const [phase, rows] of /** @type {const} */ ([
    ["prefill", prefill],
    ["decode", decode],
  ])) {
    for (const row of rows) {
      const found = runOf(phase, row);
      if (typeof found === "string") leave(`${phase}: ${found}`);
      else runs.push(found);
    }
  }
  return { runs, left };
}

/** The run, or why it is left out. @param {"prefill" | "decode"} phase @param {Row} row @returns {Run | string} */
function runOf(phase, row) {
  const format = formats[row.dtype ?? ""];
  const engine = engineOf(row.engine ?? "");
  const device = devices.find(({ name }) => name === row.hw_key);
  const gpus = Number(row.gpus);
  if (device === undefined) return "the device is not known";
  if (engine === null) return "another engine, or kernels known to be slow";
  if (format === undefined) return "a mix of formats that is not modelled, or not said";
  if (/TTFT (under|median|, concurrency)|^TTFT$/.test(row.metric ?? ""))
    return "time to the first token under load: queueing";
  if (gpus > 1 && (engine.startsWith("llama.cpp") || engine === "mlx"))
    return "several devices that take layers in turn";
  const n = Number(phase === "prefill" ? row.n_tokens : row.context);
  if (launchedByHost.test(row.engine ?? "") && (phase === "decode" || n < longEnough)) {
    return "a fork of vLLM of 2023: kernels launched one by one by the host, which decide short passes";
  }
  const model = modelOf(row.model_key ?? "");
  if (model === null) return "the model's config is not known";
  const seconds = phase === "prefill" ? Number(row.seconds) : Number(row.ms_per_token) / 1000;
  if (!(seconds > 0) || seconds === 999) return "a time-out written down as a time";
  const dtype = /** @type {any} */ (format);
  const kvDtype = cachesIn8Bits(row) ? "float8" : null;
  const formatted = withFormats(model, device, { ...ownFormats, dtype, kvDtype });
  return {
    phase,
    source: row.source ?? "",
    model: formatted.model,
    operands: formatted.operands,
    modelKey: row.model_key ?? "",
    dtype: format,
    device,
    engine,
    gpus,
    batch: Number(row.batch),
    n,
    depth: phase === "prefill" ? Number(row.depth) : 0,
    chunk: row.ubatch === undefined || row.ubatch === "" ? null : Number(row.ubatch),
    attention: row.flash === "1" ? "fused" : row.flash === "0" ? "naive" : null,
    seconds,
  };
}
