import { significant } from "../base/format.js";
import { studentQuantile } from "../math/distributions.js";
import type { SampleSet } from "../runs/import/types.js";
import { type Run, cellKey, isUsable } from "../runs/schema.js";

/** How much longer the machine took for a workload that has nothing to do with the model. */
export interface MachineChange {
  /** Logarithm of the reference's time over that in the baseline. */
  readonly log: number;
  /** Standard error of that. */
  readonly error: number;
  readonly degreesOfFreedom: number;
}

/** Runners whose reference is a workload of its own; those of others are short prefills of the model that is timed. */
const ownReference: ReadonlySet<string> = new Set(["onnx-node"]);
const fewestReferences = 3;

function logsOf({ samples }: Run): number[] {
  return samples
    .filter(({ phase }) => phase === "reference")
    .filter(isUsable)
    .map(({ seconds }) => Math.log(seconds));
}

/** What the reference workloads of two runs say of the machine; null where they have none that can be compared. */
export function machineChange({ run: now }: SampleSet, { run: before }: SampleSet): MachineChange | null {
  if (now === null || before === null) return null;
  const comparable = [now, before].every(({ runtime }) => ownReference.has(runtime.runner));
  const [cell, other] = [now, before].map(({ plan }) => (plan.reference === null ? null : cellKey(plan.reference)));
  if (!comparable || cell === null || cell !== other) return null;
  const parts = [now, before].map(logsOf).map((logs) => {
    const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
    const squares = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0);
    return { count: logs.length, mean, variance: squares / (logs.length - 1) / logs.length };
  });
  const [left, right] = parts;
  if (left === undefined || right === undefined || Math.min(left.count, right.count) < fewestReferences) return null;
  return {
    log: left.mean - right.mean,
    error: Math.sqrt(left.variance + right.variance),
    degreesOfFreedom: left.count + right.count - 2,
  };
}

/** The machine's change in words. */
export function machineText({ log, error, degreesOfFreedom }: MachineChange, level: number): string {
  const reach = studentQuantile((1 + level) / 2, degreesOfFreedom) * error;
  const [ratio, low, high] = [log, log - reach, log + reach].map((value) => significant(Math.exp(value)));
  return `its reference workload, which is not the model's, took ${ratio ?? ""} times as long (${low ?? ""} – ${high ?? ""})`;
}

/** Doubts about a comparison that neither run has alone: what executed it, and what each run says of itself. */
export function doubtsOf(current: SampleSet, baseline: SampleSet): { code: string; message: string }[] {
  const own = [current, baseline].flatMap(({ path, notes }) =>
    notes.map(({ code, message }) => ({ code, message: `${path}: ${message}` })),
  );
  const [now, before] = [current.run, baseline.run];
  if (now === null || before === null) return own;
  const fields = ({ runtime: { options, ...plain } }: Run): Record<string, string | number | boolean | null> => ({
    ...plain,
    ...Object.fromEntries(Object.entries(options).map(([key, value]) => [`options.${key}`, value])),
  });
  const [left, right] = [fields(now), fields(before)];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  const differing = [...keys].filter((key) => (left[key] ?? null) !== (right[key] ?? null));
  const runtime = differing.map((key) => ({
    code: "runtime-differs",
    message: `runtime.${key} is ${String(left[key] ?? "unknown")} here and ${String(right[key] ?? "unknown")} in the baseline`,
  }));
  return [...runtime, ...own];
}
