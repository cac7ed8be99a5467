import { z } from "zod";
import { momentOf } from "./columns.js";
import { type RecordFormat, count, positive, parsed } from "./record-format.js";

/** Rows of `llama-bench -o json`, `jsonl` or `csv` (llama.cpp, tools/llama-bench). */
const llamaRow = z.object({
  n_prompt: count,
  n_gen: count,
  n_depth: count.default(0),
  test_time: z.string().max(100).optional(),
  avg_ns: positive.optional(),
  stddev_ns: z.coerce.number().min(0).optional(),
  avg_ts: positive.optional(),
  stddev_ts: z.coerce.number().min(0).optional(),
  samples_ns: z.array(z.number()).max(100_000).optional(),
});

/** What llama-bench varies that changes times. Two values of one of them are two machines or two models. */
const llamaIdentity = [
  "model_filename",
  "model_type",
  "model_n_params",
  "cpu_info",
  "gpu_info",
  "backends",
  "build_commit",
  "n_batch",
  "n_ubatch",
  "n_threads",
  "type_k",
  "type_v",
  "n_gpu_layers",
  "flash_attn",
  "no_kv_offload",
  "tensor_split",
  "split_mode",
  "main_gpu",
  "devices",
  "n_cpu_moe",
  "tensor_buft_overrides",
  "no_op_offload",
  "no_host",
  "cpu_mask",
] as const;

export const llamaBench: RecordFormat = {
  name: "llama-bench",
  recognises: (record) =>
    "n_prompt" in record && "n_gen" in record && ("avg_ns" in record || "avg_ts" in record || "samples_ns" in record),
  read: (record, collector, where) => {
    const row = parsed(llamaRow, record, "llama-bench", where);
    const fields = parsed(z.record(z.string(), z.unknown()), record, "llama-bench", where);
    for (const field of llamaIdentity) {
      const value = fields[field];
      if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
        collector.identify(field, String(value), where);
      }
    }
    if (row.n_prompt > 0 && row.n_gen > 0) {
      collector.note(
        "mixed-tests-left-out",
        "tests of prompt and generation together (-pg) say neither and are left out",
      );
      return;
    }
    const tokens = row.n_prompt > 0 ? row.n_prompt : row.n_gen;
    if (tokens === 0) return;
    collector.unit(row.samples_ns === undefined ? "avg_ns in ns" : "samples_ns in ns");
    const cell =
      row.n_prompt > 0
        ? { phase: "prefill" as const, n: row.n_prompt, depth: row.n_depth, batch: 1, steps: 1 }
        : // Token i of the generation attends to depth + i tokens before it; the mean step has the mean context.
          { phase: "decode" as const, n: 1, depth: row.n_depth + (row.n_gen - 1) / 2, batch: 1, steps: row.n_gen };
    const { steps, ...at } = cell;
    if (row.samples_ns !== undefined && row.samples_ns.length > 0) {
      // The row's time is when its first sample began.
      let moment = momentOf(row.test_time ?? "");
      for (const nanoseconds of row.samples_ns) {
        const seconds = nanoseconds * 1e-9;
        if (moment !== null) moment += seconds;
        collector.add({ ...at, seconds: seconds / steps, ...(moment === null ? {} : { at: moment }) }, where);
      }
      return;
    }
    const seconds = row.avg_ns !== undefined ? row.avg_ns * 1e-9 : tokens / (row.avg_ts ?? Number.NaN);
    const spread =
      row.avg_ns !== undefined && row.stddev_ns !== undefined
        ? row.stddev_ns / row.avg_ns
        : (row.stddev_ts ?? 0) / (row.avg_ts ?? 1);
    collector.add({ ...at, seconds: seconds / steps, ...(spread > 0 ? { spread } : {}) }, where);
  },
};
