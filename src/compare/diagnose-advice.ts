export const causes = [
  "prefix-cache",
  "fixed-overhead",
  "padding",
  "outside-time",
  "unfused",
  "regather",
  "memory-pressure",
  "throttling",
  "queueing",
  "idle-window",
] as const;
export type Cause = (typeof causes)[number];

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
}

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

/** Names of options as of 2026; each engine's documentation has the defaults. */
export const engineOptions: Readonly<Record<Cause, readonly EngineOption[]>> = {
  "prefix-cache": [
    { engine: "vLLM", option: "--no-enable-prefix-caching; --enable-prompt-tokens-details reports cached tokens" },
    { engine: "SGLang", option: "--disable-radix-cache; --enable-cache-report reports cached tokens" },
    { engine: "llama.cpp", option: '--no-cache-prompt, or "cache_prompt": false in the request' },
  ],
  "fixed-overhead": [
    { engine: "vLLM", option: "no --enforce-eager (it forbids captured graphs); --async-scheduling" },
    { engine: "SGLang", option: "no --disable-cuda-graph, no --disable-overlap-schedule" },
    { engine: "llama.cpp", option: "all layers on the GPU (-ngl 99); no other slot busy (--parallel 1)" },
  ],
  padding: [
    {
      engine: "vLLM",
      option: "VLLM_PROMPT_SEQ_BUCKET_STEP (Gaudi), VLLM_TPU_BUCKET_PADDING_GAP (TPU): smaller steps of the buckets",
    },
    { engine: "SGLang", option: "--precompile-token-paddings (TPU): more and finer lengths" },
  ],
  "outside-time": [
    { engine: "vLLM", option: "token ids as the prompt of /v1/completions; --api-server-count 2 and more" },
    { engine: "SGLang", option: "--skip-tokenizer-init with input_ids; --tokenizer-worker-num 2 and more" },
    { engine: "llama.cpp", option: "token ids as the prompt of /v1/completions" },
  ],
  unfused: [
    { engine: "vLLM", option: "--attention-backend FLASH_ATTN or FLASHINFER" },
    { engine: "SGLang", option: "--attention-backend fa3 or flashinfer" },
    { engine: "llama.cpp", option: "--flash-attn on" },
  ],
  regather: [
    { engine: "vLLM", option: "--max-num-batched-tokens: larger" },
    { engine: "SGLang", option: "--chunked-prefill-size: larger" },
    { engine: "llama.cpp", option: "--ubatch-size and --batch-size: larger" },
  ],
  "memory-pressure": [
    { engine: "vLLM", option: "--max-model-len, --kv-cache-dtype fp8, --gpu-memory-utilization" },
    { engine: "SGLang", option: "--context-length, --kv-cache-dtype fp8_e4m3, --mem-fraction-static" },
    { engine: "llama.cpp", option: "--ctx-size, --cache-type-k q8_0 --cache-type-v q8_0, --parallel 1" },
  ],
  throttling: [],
  queueing: [
    { engine: "vLLM", option: "--max-num-seqs: larger; /metrics has vllm:request_queue_time_seconds" },
    { engine: "SGLang", option: "--max-running-requests: larger" },
    { engine: "llama.cpp", option: "--parallel: more slots" },
  ],
  "idle-window": [
    { engine: "vLLM", option: "no --disable-sliding-window, no --disable-hybrid-kv-cache-manager" },
    { engine: "SGLang", option: "no --disable-hybrid-swa-memory" },
    { engine: "llama.cpp", option: "no --swa-full" },
  ],
};
