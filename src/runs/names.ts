import { fnv1a } from "../base/hash.js";
import type { RunHeader } from "./schema.js";

/** How runs are named: safe in every shell and file system, sorted by time. */

const longestName = 80;

/** A name with letters, digits, dots, dashes and underscores only; never hidden, never taken for an option. */
export function safeName(name: string): string {
  const last = name.split(/[\\/]/).findLast((part) => part.trim() !== "") ?? "";
  const plain = last
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/\.{2,}/g, ".")
    .replace(/^[-.]+/, "")
    .slice(0, longestName)
    .replace(/[-.]+$/, "");
  return plain === "" ? "model" : plain;
}

/** `20261123-142205`, in UTC. */
export function timeStamp(created: Date): string {
  return created
    .toISOString()
    .replace(/\.\d+Z$/, "")
    .replace(/[-:]/g, "")
    .replace("T", "-");
}

/** `SmolLM2-135M-20261123-142205`: what a run file is called where nothing else is asked for. */
export function runName(model: string, created: Date): string {
  return `${safeName(model)}-${timeStamp(created)}`;
}

/** A run's id: its name and a digest of everything that was known before it began. */
export function runId(header: Omit<RunHeader, "id">): string {
  const digest = fnv1a(JSON.stringify(header)).toString(16).padStart(8, "0");
  return `${runName(header.model.name, new Date(header.created))}-${digest}`;
}
