import { bytes, parameterCount, seconds, tokens } from "../base/format.js";
import type { Fact, ReportData } from "./data.js";
import { aboutTokens } from "./labels.js";

export interface FactGroup {
  readonly title: string;
  readonly facts: readonly Fact[];
}

/** Everything a reader needs to know to repeat the report, in groups. */
export function factGroups(data: ReportData): FactGroup[] {
  return [
    { title: "Model", facts: modelFacts(data) },
    ...runFacts(data),
    ...(data.prediction === null
      ? []
      : [
          {
            title: "Prediction",
            facts: [
              { label: "Device", value: data.prediction.device },
              { label: "Engine", value: data.prediction.engine },
              ...data.prediction.facts,
              ...limitFacts(data),
            ],
          },
        ]),
  ];
}

function known(label: string, value: string | null): Fact[] {
  return value === null ? [] : [{ label, value }];
}

function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

function modelFacts({ model }: ReportData): Fact[] {
  const { total, active, embedding } = model.parameters;
  const parameters = `${grouped(total)} (${parameterCount(total)}), of them ${grouped(embedding)} in the embedding`;
  return [
    { label: "Name", value: model.name },
    { label: "Source", value: model.source },
    {
      label: "Parameters",
      value: active === total ? parameters : `${parameters}; ${grouped(active)} active per token`,
    },
    ...known("Made for", model.contextLength === null ? null : `${tokens(model.contextLength)} tokens`),
    ...known("KV cache", model.cache === null ? null : `${bytes(model.cache.bytesPerToken)} per token`),
    ...known("FLOPs of a prefill", model.flops.prefill),
    ...known("FLOPs of a decode step", model.flops.decode),
    ...model.facts,
  ];
}

function runFacts({ run }: ReportData): FactGroup[] {
  if (run === null) return [];
  const { machine, runtime } = run;
  const options = Object.entries(runtime.options).map(([label, value]) => ({ label, value: String(value) }));
  return [
    {
      title: "Machine",
      facts: [
        { label: "CPU", value: machine.cpu },
        { label: "Cores", value: String(machine.cores) },
        { label: "Memory", value: bytes(machine.memoryBytes) },
        { label: "System", value: machine.os },
        { label: "Node.js", value: machine.node },
        ...known("Governor", machine.governor),
        ...known("Power", machine.power),
        ...known("Load before", machine.load === null ? null : String(machine.load)),
      ],
    },
    {
      title: "Run",
      facts: [
        { label: "Name", value: run.id },
        ...known("File", run.path),
        { label: "Measured on", value: run.created },
        { label: "Status", value: run.status },
        { label: "Measuring took", value: seconds(run.seconds) },
        { label: "Runtime", value: `${runtime.name} ${runtime.version}` },
        ...known("Provider", runtime.provider),
        ...known("Threads", runtime.threads === null ? null : String(runtime.threads)),
        ...known("Arithmetic", runtime.dtype),
        ...known("Attention", runtime.attention),
        ...options,
        { label: "Seed", value: String(run.seed) },
        {
          label: "Repeats",
          value: `${run.repeat}, after ${run.warmups} ${run.warmups === 1 ? "warm-up" : "warm-ups"} per length`,
        },
      ],
    },
  ];
}

function limitFacts({ limits }: ReportData): Fact[] {
  return known(
    "Longest that fits memory",
    limits.memory === null ? null : `about ${aboutTokens(limits.memory.n)} tokens`,
  );
}
