import { z } from "zod";
import { badInput } from "../../base/errors.js";
import type { Collector } from "./collect.js";
import { llamaBench } from "./llama-bench.js";
import { type RecordFormat, count, label, parsed } from "./record-format.js";

const serving = z.object({
  model_id: label.optional(),
  backend: label.optional(),
  max_concurrency: z.coerce.number().nullish(),
  completed: count.optional(),
  total_input_tokens: count.optional(),
  total_output_tokens: count.optional(),
  mean_ttft_ms: z.number().optional(),
  std_ttft_ms: z.number().min(0).optional(),
  mean_tpot_ms: z.number().optional(),
  std_tpot_ms: z.number().min(0).optional(),
  input_lens: z.array(count).max(10_000_000).optional(),
  output_lens: z.array(count).max(10_000_000).optional(),
  ttfts: z.array(z.number()).max(10_000_000).optional(),
  itls: z.array(z.array(z.number())).max(10_000_000).optional(),
  errors: z.array(z.string().nullable()).optional(),
  start_times: z.array(z.number()).max(10_000_000).optional(),
});

function underLoad(collector: Collector, concurrency: number | null | undefined): void {
  if (concurrency === 1) return;
  const load = concurrency == null ? "requests may have overlapped" : `${concurrency} requests ran at once`;
  collector.note("under-load", `${load}: such times contain queueing and are not those of a single request`);
}

/** New and cached tokens of a prompt. What the prefix cache had was not computed: it is no length of the prefill but its depth. */
function promptOf(n: number, cached: number | null | undefined, collector: Collector): { n: number; depth: number } {
  // The last token is computed even where all are cached.
  const depth = Math.min(cached ?? 0, n - 1);
  if (depth > 0) {
    collector.note(
      "prompts-cached",
      "the prefix cache had tokens of some prompts: those count as cached before the prefill, the others as its length",
    );
  }
  return { n: n - depth, depth };
}

/** Results of `vllm bench serve --save-result`, each request apart with `--save-detailed` (vllm/benchmarks/serve.py). */
const vllmServe: RecordFormat = {
  name: "vllm-bench-serve",
  recognises: (record) =>
    ("ttfts" in record && "input_lens" in record) || ("mean_ttft_ms" in record && "total_input_tokens" in record),
  read: (record, collector, where) => {
    const result = parsed(serving, record, "vllm bench serve", where);
    if (result.model_id !== undefined) collector.identify("model_id", result.model_id, where);
    if (result.backend !== undefined) collector.identify("backend", result.backend, where);
    collector.identify("max_concurrency", String(result.max_concurrency ?? "none"), where);
    underLoad(collector, result.max_concurrency);
    const { input_lens: inputs, ttfts, itls, output_lens: outputs, errors } = result;
    if (inputs !== undefined && ttfts !== undefined) {
      if (inputs.length !== ttfts.length) {
        throw badInput("record-invalid", {
          where,
          key: "ttfts",
          found: `${ttfts.length} values`,
          expected: `one per request, ${inputs.length} as in input_lens`,
        });
      }
      collector.unit("ttfts and itls in s");
      let failed = 0;
      inputs.forEach((n, i) => {
        const ttft = ttfts[i] ?? 0;
        // A request that failed is kept by the tool with an error and a TTFT of 0.
        if ((errors?.[i] ?? "") !== "" || (outputs?.[i] === 0 && ttft === 0)) {
          failed += 1;
          return;
        }
        const at = `${where} request ${i}`;
        const start = result.start_times?.[i];
        const moment = start === undefined ? {} : { at: start };
        collector.add({ phase: "prefill", n, depth: 0, batch: 1, seconds: ttft, ...moment }, at);
        const total = (itls?.[i] ?? []).reduce((sum, value) => sum + value, 0);
        const steps = (outputs?.[i] ?? 0) - 1;
        if (steps > 0 && total > 0) {
          collector.add({ phase: "decode", n: 1, depth: n + (steps + 1) / 2, batch: 1, seconds: total / steps }, at);
        }
      });
      if (failed > 0)
        collector.note("failed-left-out", `${failed} of ${inputs.length} requests failed and are left out`);
      return;
    }
    const completed = result.completed ?? 0;
    if (completed === 0 || result.total_input_tokens === undefined || result.mean_ttft_ms === undefined) {
      throw badInput("record-invalid", {
        where,
        key: "completed",
        found: completed,
        expected: "at least one completed request with mean_ttft_ms; keep each request with --save-detailed",
      });
    }
    collector.unit("mean_ttft_ms and mean_tpot_ms in ms");
    collector.note(
      "means-only",
      "one mean per result, at the mean input length: keep each request with --save-detailed",
    );
    const n = Math.max(1, Math.round(result.total_input_tokens / completed));
    const ttft = result.mean_ttft_ms / 1000;
    const spread = (result.std_ttft_ms ?? 0) / result.mean_ttft_ms;
    collector.add({ phase: "prefill", n, depth: 0, batch: 1, seconds: ttft, ...(spread > 0 ? { spread } : {}) }, where);
    const tpot = result.mean_tpot_ms ?? 0;
    if (tpot > 0) {
      const generated = (result.total_output_tokens ?? 0) / completed;
      const wide = (result.std_tpot_ms ?? 0) / tpot;
      collector.add(
        {
          phase: "decode",
          n: 1,
          depth: n + generated / 2,
          batch: 1,
          seconds: tpot / 1000,
          ...(wide > 0 ? { spread: wide } : {}),
        },
        where,
      );
    }
  },
};

const guideRequest = z.object({
  /** Unix seconds. */
  request_start_time: z.number().nullish(),
  prompt_tokens: count.nullish(),
  /** Those of the prompt that the server had in its prefix cache. */
  cached_tokens: count.nullish(),
  output_tokens: count.nullish(),
  time_to_first_token_ms: z.number().nullish(),
  inter_token_latency_ms: z.number().nullish(),
});
const guideReport = z.object({
  metadata: z.object({ guidellm_version: label.optional() }).optional(),
  args: z.looseObject({ model: label.nullish() }).optional(),
  /** Instead of `args` from version 2 of the report on. */
  config: z
    .looseObject({
      spec: z
        .looseObject({ backend: z.looseObject({ model: label.nullish() }).optional().catch(undefined) })
        .optional(),
    })
    .optional()
    .catch(undefined),
  benchmarks: z
    .array(
      z.object({
        config: z
          .looseObject({
            strategy: z
              .looseObject({
                type_: label.optional(),
                streams: z.number().nullish(),
                max_concurrency: z.number().nullish(),
                rate: z.number().nullish(),
              })
              .optional(),
          })
          .optional(),
        requests: z.object({
          successful: z.array(guideRequest).nullish(),
          errored: z.array(z.unknown()).nullish(),
          incomplete: z.array(z.unknown()).nullish(),
        }),
      }),
    )
    .max(10_000),
});

/** `benchmarks.json` of GuideLLM (guidellm/benchmark/schemas, guidellm/schemas/request_stats.py). */
const guideLlm: RecordFormat = {
  name: "guidellm",
  recognises: (record) => Array.isArray(record["benchmarks"]),
  read: (record, collector, where) => {
    const report = parsed(guideReport, record, "GuideLLM", where);
    const model = report.args?.model ?? report.config?.spec?.backend?.model ?? null;
    if (model !== null && model !== "") collector.identify("model", model, where);
    collector.unit("time_to_first_token_ms and inter_token_latency_ms in ms");
    let left = 0;
    const strategyOf = (benchmark: (typeof report.benchmarks)[number]): string => {
      const { type_: type = "unknown", streams, max_concurrency: most, rate } = benchmark.config?.strategy ?? {};
      if (type === "synchronous" || streams === 1 || most === 1) return "synchronous";
      return `${type} ${streams ?? rate ?? ""}`.trimEnd();
    };
    const strategies = new Set(report.benchmarks.map(strategyOf));
    const alone = strategies.has("synchronous");
    if (strategies.size > 1 && !alone) {
      throw badInput("samples-mixed", {
        where,
        key: "strategy",
        found: [...strategies].join(", "),
        expected: "one load a file, or one synchronous benchmark among them: times of different loads do not mix",
      });
    }
    if (strategies.size > 1) {
      const others = [...strategies].filter((one) => one !== "synchronous").join(", ");
      collector.note("loads-left-out", `only the synchronous benchmark is read; under load and left out: ${others}`);
    }
    report.benchmarks.forEach((benchmark, index) => {
      if (alone && strategyOf(benchmark) !== "synchronous") return;
      const { successful, errored, incomplete } = benchmark.requests;
      left += (errored?.length ?? 0) + (incomplete?.length ?? 0);
      (successful ?? []).forEach((request, i) => {
        const at = `${where} benchmarks[${index}].requests.successful[${i}]`;
        const n = request.prompt_tokens;
        const ttft = request.time_to_first_token_ms;
        if (n == null || n === 0 || ttft == null) {
          left += 1;
          return;
        }
        const start = request.request_start_time;
        const moment = start == null ? {} : { at: start };
        const prompt = promptOf(n, request.cached_tokens, collector);
        collector.add({ phase: "prefill", ...prompt, batch: 1, seconds: ttft / 1000, ...moment }, at);
        const itl = request.inter_token_latency_ms;
        const generated = request.output_tokens ?? 0;
        if (itl != null && itl > 0 && generated > 1) {
          const step = { phase: "decode", n: 1, depth: n + generated / 2, batch: 1, seconds: itl / 1000 } as const;
          collector.add({ ...step, ...moment }, at);
        }
      });
    });
    if (!alone) underLoad(collector, null);
    if (left > 0) collector.note("failed-left-out", `${left} requests without a first token are left out`);
  },
};

const metric = z.object({ value: z.union([z.number(), z.array(z.number())]), unit: z.string().max(100) });
const perfRecord = z.object({
  metadata: z
    .looseObject({
      benchmark_phase: label.optional(),
      request_start_ns: z.number().optional(),
      request_end_ns: z.number().optional(),
    })
    .optional(),
  metrics: z.record(z.string(), metric),
  error: z.unknown(),
});
const statistics = z.object({
  unit: z.string().max(100),
  avg: z.number(),
  std: z.number().min(0).optional(),
});
const perfSummary = z.object({
  /** Two spellings of the model's name, of newer and older versions. */
  input_config: z
    .looseObject({
      loadgen: z.looseObject({ concurrency: z.number().nullish() }).optional(),
      models: z.looseObject({ items: z.array(z.looseObject({ name: label.optional() })).optional() }).optional(),
      endpoint: z.looseObject({ model_names: z.array(label).optional() }).optional(),
    })
    .optional()
    .catch(undefined),
  input_sequence_length: statistics,
  output_sequence_length: statistics.optional(),
  time_to_first_token: statistics,
  inter_token_latency: statistics.optional(),
});

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const perfUnits: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, sec: 1, seconds: 1 };

function perfSeconds(value: number, unit: string, where: string): number {
  const seconds = perfUnits[unit];
  if (seconds !== undefined) return value * seconds;
  throw badInput("unit-unknown", { where, key: "unit", found: unit, expected: Object.keys(perfUnits).join(", ") });
}

/** AIPerf's `profile_export.jsonl` (a request a line) and `profile_export_aiperf.json` (means); NVIDIA's JSON export schema. */
const aiPerf: RecordFormat = {
  name: "aiperf",
  recognises: (record) =>
    ("metrics" in record && "metadata" in record) ||
    (isObject(record["input_sequence_length"]) && isObject(record["time_to_first_token"])),
  read: (record, collector, where) => {
    if (typeof record === "object" && record !== null && "metrics" in record) readPerfRecord(record, collector, where);
    else readPerfSummary(record, collector, where);
  },
};

interface Span {
  readonly start: number;
  readonly end: number;
}

/** When the requests that were read last ran, in nanoseconds. A file has them as they were worked through, not as they began. */
const lately = new WeakMap<Collector, Span[]>();
const mostLately = 64;

/** Whether a request ran while one of those read before it did. */
function overlaps(span: Span, collector: Collector): boolean {
  const before = lately.get(collector) ?? [];
  lately.set(collector, [...before.slice(1 - mostLately), span]);
  return before.some(({ start, end }) => span.start < end && start < span.end);
}

function readPerfRecord(record: unknown, collector: Collector, where: string): void {
  const { metadata, metrics, error } = parsed(perfRecord, record, "AIPerf", where);
  if (metadata?.benchmark_phase === "warmup") return;
  const { request_start_ns: start, request_end_ns: end } = metadata ?? {};
  if (start !== undefined && end !== undefined && overlaps({ start, end }, collector)) underLoad(collector, null);
  const value = (name: string): { value: number; unit: string } | null => {
    const found = metrics[name];
    return found === undefined || typeof found.value !== "number" ? null : { value: found.value, unit: found.unit };
  };
  const n = value("input_sequence_length");
  const ttft = value("time_to_first_token");
  if (error != null || n === null || ttft === null) {
    collector.note("failed-left-out", "requests that failed or had no first token are left out");
    return;
  }
  collector.unit(`time_to_first_token in ${ttft.unit}`);
  const seconds = perfSeconds(ttft.value, ttft.unit, where);
  const moment = start === undefined ? {} : { at: start / 1e9 };
  const prompt = promptOf(n.value, value("usage_prompt_cache_read_tokens")?.value, collector);
  collector.add({ phase: "prefill", ...prompt, batch: 1, seconds, ...moment }, where);
  const itl = value("inter_token_latency");
  const generated = value("output_sequence_length")?.value ?? 0;
  if (itl !== null && generated > 1) {
    const step = perfSeconds(itl.value, itl.unit, where);
    const depth = n.value + generated / 2;
    collector.add({ phase: "decode", n: 1, depth, batch: 1, seconds: step, ...moment }, where);
  }
}

function readPerfSummary(record: unknown, collector: Collector, where: string): void {
  const summary = parsed(perfSummary, record, "AIPerf", where);
  const { input_sequence_length: input, time_to_first_token: ttft, inter_token_latency: itl } = summary;
  collector.note("means-only", "one mean per result, at the mean input length: profile_export.jsonl has each request");
  collector.unit(`time_to_first_token in ${ttft.unit}`);
  const { models, endpoint, loadgen } = summary.input_config ?? {};
  underLoad(collector, loadgen?.concurrency);
  const model = models?.items?.[0]?.name ?? endpoint?.model_names?.[0];
  if (model !== undefined) collector.identify("model", model, where);
  const n = Math.max(1, Math.round(input.avg));
  const spreadOf = ({ std, avg }: { avg: number; std?: number | undefined }) =>
    std === undefined || std === 0 ? {} : { spread: std / avg };
  const seconds = perfSeconds(ttft.avg, ttft.unit, where);
  collector.add({ phase: "prefill", n, depth: 0, batch: 1, seconds, ...spreadOf(ttft) }, where);
  if (itl !== undefined) {
    const depth = n + (summary.output_sequence_length?.avg ?? 0) / 2;
    const step = perfSeconds(itl.avg, itl.unit, where);
    collector.add({ phase: "decode", n: 1, depth, batch: 1, seconds: step, ...spreadOf(itl) }, where);
  }
}

export const recordFormats: readonly RecordFormat[] = [llamaBench, vllmServe, guideLlm, aiPerf];
