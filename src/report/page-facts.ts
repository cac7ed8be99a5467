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
  return [
    { label: "Name", value: model.name },
    { label: "Source", value: model.source },
    ...known("Parameters", model.parameters === null ? null : parametersText(model.parameters)),
    ...known("Made for", model.contextLength === null ? null : `${tokens(model.contextLength)} tokens`),
    ...known("KV cache", model.cache === null ? null : `${bytes(model.cache.bytesPerToken)} per token`),
    ...known("FLOPs of a prefill", model.flops.prefill),
    ...known("FLOPs of a decode step", model.flops.decode),
    ...model.facts,
  ];
}

function parametersText({ total, active, embedding }: NonNullable<ReportData["model"]["parameters"]>): string {
  const all = `${grouped(total)} (${parameterCount(total)}), of them ${grouped(embedding)} in the embedding`;
  return active === total ? all : `${all}; ${grouped(active)} active per token`;
}

function runFacts({ run }: ReportData): FactGroup[] {
  if (run === null) return [];
  const { machine, runtime, server } = run;
  const options = Object.entries(runtime.options).map(([label, value]) => ({ label, value: String(value) }));
  const asked =
    server === null
      ? []
      : [
          { label: "Address", value: server.address },
          { label: "Engine", value: server.engine },
        ];
  return [
    ...(server === null ? [] : [{ title: "Server", facts: [...asked, ...server.facts] }]),
    {
      title: server === null ? "Machine" : "Machine of the client",
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
        ...known("Runtime", server === null ? `${runtime.name} ${runtime.version}` : null),
        ...known("Provider", server === null ? runtime.provider : null),
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
