import type { DeviceRecord } from "./record.js";

/** Tokens of a prompt that an engine computes at a time where nothing is said and the request is alone; null for all at once. */
export type DefaultChunk = (device: Pick<DeviceRecord, "name" | "class" | "memory">) => number | null;

const gib = 2 ** 30;

export const atOnce: DefaultChunk = () => null;
/** llama.cpp's `n_ubatch`. */
export const ubatch: DefaultChunk = () => 512;
/** `prefill_step_size` of mlx_lm/generate.py. */
export const mlxStep: DefaultChunk = () => 2048;

/**
 * The token budget of a step of `vllm serve`: `max_num_batched_tokens` of vllm/engine/arg_utils.py. Since its version 1 the engine
 * always splits longer prompts. Plug-ins for other accelerators bring budgets of their own.
 */
export const vllmBudget: DefaultChunk = ({ name, class: kind, memory }) => {
  if (kind === "accelerator") return null;
  return memory.value >= 70 * gib && !name.startsWith("A100") ? 8192 : 2048;
};

/** `chunked_prefill_size` of sglang/srt/server_args.py, by the memory of the device. */
export const sglangChunk: DefaultChunk = ({ class: kind, memory }) => {
  if (kind === "accelerator" || kind === "cpu") return null;
  if (memory.value < 35 * gib) return 2048;
  if (memory.value < 60 * gib) return 4096;
  return memory.value < 160 * gib ? 8192 : 16_384;
};
