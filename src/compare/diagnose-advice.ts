import type { Ailment } from "../base/ailments.js";

export type Cause = Ailment;

/** In words, for headings. */
export const causeNames: Readonly<Record<Cause, string>> = {
  "prefix-cache": "Prompts came from a cache",
  "fixed-overhead": "A fixed overhead",
  padding: "Prompts are padded",
  "outside-time": "Time outside of the model",
  unfused: "Attention is not fused",
  regather: "Chunks are gathered anew",
  "memory-pressure": "Memory runs short",
  throttling: "The machine slowed down",
  queueing: "Requests waited",
  "idle-window": "A window that saves nothing",
};

export const engines = ["vLLM", "SGLang", "llama.cpp"] as const;

/** An option of a serving engine. */
export interface EngineOption {
  readonly engine: (typeof engines)[number];
  readonly option: string;
  /** Where the engine's own repository names it: repository and path, read in November 2026. */
  readonly source: string;
}

/** Files that name the options. */
const files = {
  vLLM: "vllm-project/vllm: vllm/engine/arg_utils.py",
  serve: "vllm-project/vllm: vllm/entrypoints/openai/cli_args.py",
  SGLang: "sgl-project/sglang: python/sglang/srt/server_args.py",
  "llama.cpp": "ggml-org/llama.cpp: tools/server/README.md",
} as const;

export const advice: Readonly<Record<Cause, string>> = {
  "prefix-cache":
    "these times hold for cached prompts only: send prompts that share no prefix with earlier ones, or switch the cache off while measuring",
  "fixed-overhead":
    "short prompts pay for something that does not depend on them (scheduling, kernel launches without a captured graph, the network): batch several, or find what it is with a request of one token",
  padding: "the server pads prompts to buckets: choose prompt lengths just below a bucket, or give it finer buckets",
  "outside-time":
    "tokenizer, chat template, gateway or upload: send token ids instead of text, keep connections open, profile the front end",
  unfused:
    "scores are written to memory and read back: switch on a fused attention kernel (flash attention), and see in the log that it is used at this head size and format",
  regather:
    "every chunk of the prefill copies or converts all earlier keys and values: use larger chunks, or a kernel that reads them in place; times with another chunk size show whether it is this",
  "memory-pressure":
    "memory runs out near the limit (swapping, evicted or recomputed caches): shorter contexts, fewer sequences at once, a cache of fewer bits, or more memory for it",
  throttling:
    "the machine slowed down while it was measured: let it cool, fix its clock (nvidia-smi -lgc, cpupower frequency-set -g performance), and measure again",
  queueing:
    "other requests are served in between: measure an idle server, or give requests more room at once and report waiting apart",
  "idle-window":
    "the runtime masks the window but computes, or keeps, everything: use a kernel that skips what lies outside of it",
};

const vllm = (option: string, source: string = files.vLLM): EngineOption => ({ engine: "vLLM", option, source });
const sglang = (option: string, source: string = files.SGLang): EngineOption => ({ engine: "SGLang", option, source });
const llamaCpp = (option: string): EngineOption => ({ engine: "llama.cpp", option, source: files["llama.cpp"] });

/** Each engine's documentation has the defaults. */
export const engineOptions: Readonly<Record<Cause, readonly EngineOption[]>> = {
  "prefix-cache": [
    vllm("--no-enable-prefix-caching"),
    vllm("--enable-prompt-tokens-details reports cached tokens", files.serve),
    sglang("--disable-radix-cache; --enable-cache-report reports cached tokens"),
    llamaCpp('--no-cache-prompt, or "cache_prompt": false in the request'),
  ],
  "fixed-overhead": [
    vllm("no --enforce-eager (it forbids captured graphs); --async-scheduling"),
    sglang(
      "no --cuda-graph-backend-prefill disabled, no --cuda-graph-backend-decode disabled (before those names: no --disable-cuda-graph); no --disable-overlap-schedule",
    ),
    llamaCpp("all layers on the GPU (--gpu-layers all); one slot (--parallel 1)"),
  ],
  padding: [
    vllm(
      "VLLM_BUCKETING_STRATEGY=lin and a smaller VLLM_PROMPT_QUERY_BUCKET_STEP (Gaudi; before that name: VLLM_PROMPT_SEQ_BUCKET_STEP)",
      "vllm-project/vllm-gaudi: docs/configuration/env_variables.md",
    ),
    vllm("VLLM_TPU_BUCKET_PADDING_GAP (TPU): smaller steps of the buckets", "vllm-project/vllm: vllm/envs.py"),
    sglang(
      "--precompile-token-paddings (TPU): more and finer lengths",
      "sgl-project/sglang-jax: python/sgl_jax/srt/server_args.py",
    ),
  ],
  "outside-time": [
    vllm("token ids as the prompt of /v1/completions; --api-server-count 2 and more", files.serve),
    sglang("token ids as the prompt of /v1/completions; --tokenizer-worker-num 2 and more"),
    llamaCpp("token ids as the prompt of /v1/completions"),
  ],
  unfused: [
    vllm("--attention-backend FLASH_ATTN or FLASHINFER"),
    sglang("--attention-backend fa3 or flashinfer"),
    llamaCpp("--flash-attn on"),
  ],
  regather: [
    vllm("--max-num-batched-tokens: larger"),
    sglang("--chunked-prefill-size: larger, or -1 for no chunks"),
    llamaCpp("--ubatch-size and --batch-size: larger"),
  ],
  "memory-pressure": [
    vllm("--max-model-len, --kv-cache-dtype fp8, --gpu-memory-utilization"),
    sglang("--context-length, --kv-cache-dtype fp8_e4m3, --mem-fraction-static"),
    llamaCpp("--ctx-size, --cache-type-k q8_0 --cache-type-v q8_0, --parallel 1"),
  ],
  throttling: [],
  queueing: [
    vllm("--max-num-seqs: larger; /metrics has vllm:request_queue_time_seconds"),
    sglang("--max-running-requests: larger"),
    llamaCpp("--parallel: more slots"),
  ],
  "idle-window": [
    vllm("another --attention-backend; --disable-hybrid-kv-cache-manager keeps the whole cache of every layer"),
    sglang("another --attention-backend; --disable-hybrid-swa-memory keeps the whole cache of every layer"),
    llamaCpp("no --swa-full"),
  ],
};
