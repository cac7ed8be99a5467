import type { Cell, Machine, Run, RunHeader, Sample } from "../../src/runs/schema.js";

export function prefill(n: number): Cell {
  return { phase: "prefill", n, depth: 0, batch: 1 };
}

export function sample(change: Partial<Sample> = {}): Sample {
  return { ...prefill(128), seconds: 0.25, steps: 1, block: 0, warmup: false, rejected: null, at: 1, ...change };
}

export const machine: Machine = {
  cpu: "Test CPU",
  cores: 2,
  memoryBytes: 8 * 2 ** 30,
  os: "linux 6.1 x64",
  node: "v20.20.0",
  governor: null,
  power: null,
  load: 0.1,
};

export function header(change: Partial<RunHeader> = {}): RunHeader {
  return {
    id: "tiny-20261123-120000-00000000",
    created: "2026-11-23T12:00:00.000Z",
    model: { name: "tiny", source: "built-in", digest: "sha256:1" },
    runtime: {
      runner: "synthetic",
      name: "nsquared",
      version: "1",
      provider: "cpu",
      threads: 2,
      dtype: "float32",
      attention: "fused",
      options: { arena: true },
    },
    machine,
    seed: 1,
    plan: { cells: [prefill(128)], reference: null, repeat: 3, warmups: 1, timeLimitSeconds: null },
    parent: null,
    mergedFrom: [],
    ...change,
  };
}

export function run(change: Partial<Run> = {}): Run {
  return {
    schema: "nsquared/run@1",
    ...header(),
    status: "complete",
    seconds: 4,
    warnings: [],
    samples: [sample({ block: -1, warmup: true }), sample({ at: 2 }), sample({ at: 3, block: 1 })],
    ...change,
  };
}
