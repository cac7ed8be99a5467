import { NsquaredError } from "../base/errors.js";
import { tokens } from "../base/format.js";
import { type Bytes, type Dtype, bytesPerElement } from "../base/units.js";
import { computeDtype } from "../hardware/roofline.js";
import type { FileType } from "../model/storage.js";
import { type Deployment, type DeploymentOptions, canChunk, deploy } from "./deployment.js";
import { longestThatFits, needs } from "./memory.js";

/** A change to a deployment after which a length fits. */
export interface Remedy {
  /** As an option of the command line. */
  readonly change: string;
  readonly bytes: Bytes;
  /** Longest length that fits then; null where there is no end. */
  readonly longest: number | null;
}

/** A length that does not fit into the memory of a device. */
export interface Exceeded {
  readonly n: number;
  readonly bytes: Bytes;
  readonly available: Bytes;
  /** Bytes that are missing. */
  readonly over: Bytes;
  /** What would fit, the smallest change first; empty where nothing that is tried does. */
  readonly remedies: readonly Remedy[];
}

interface Change {
  readonly change: string;
  readonly options: Partial<DeploymentOptions>;
  /** Whether the weights get smaller. */
  readonly weights?: boolean;
}

const usualChunk = 2048;
const groups = [2, 4, 8, 16, 32, 64];

/**
 * What is missing for a prefill of n tokens, and which changes make it fit: computing it in chunks, an 8-bit cache, weights
 * of fewer bits, more devices, fewer tokens. Null where it fits.
 */
export function exceededAt(deployment: Deployment, n: number): Exceeded | null {
  const { device, memory, options } = deployment;
  const available = device.memory.value;
  const bytes = needs(memory, n);
  if (bytes <= available) return null;
  const remedies: Remedy[] = [];
  const found = (change: Change): boolean => {
    const remedy = remedyOf(deployment, n, change);
    if (remedy !== null) remedies.push(remedy);
    return remedy !== null;
  };
  const smaller = n > usualChunk && canChunk(deployment.model) && (options.chunk ?? n) > usualChunk;
  const chunk = smaller ? { chunk: usualChunk } : {};
  const chunkText = smaller ? ` --chunk ${usualChunk}` : "";
  if (chunkText !== "") found({ change: chunkText.trim(), options: chunk });
  if (device.calibration === null) {
    for (const change of formatChanges(deployment)) found(change);
    if (chunkText !== "" && remedies.length === 0) {
      for (const change of formatChanges(deployment)) {
        found({ change: change.change + chunkText, options: { ...change.options, ...chunk } });
      }
    }
    const alone = remedies.length > 0;
    const more = (change: Change): void => {
      for (const tensor of groups) {
        const parallel = { ...options.parallel, tensor };
        if (tensor <= options.parallel.tensor) continue;
        const text = `${change.change} --tp ${tensor}`.trim();
        if (found({ change: text, options: { ...change.options, parallel } })) return;
        if (
          chunkText !== "" &&
          found({ change: text + chunkText, options: { ...change.options, parallel, ...chunk } })
        ) {
          return;
        }
      }
    };
    more({ change: "", options: {} });
    // Fewer devices where the weights are smaller, too.
    if (!alone) for (const change of formatChanges(deployment).filter(({ weights }) => weights)) more(change);
  }
  const longest = longestThatFits(memory, available);
  if (longest !== null && longest > 0) {
    remedies.push({ change: `at most ${tokens(longest)} tokens`, bytes: needs(memory, longest), longest });
  }
  return { n, bytes, available, over: bytes - available, remedies };
}

function formatChanges({ options, device, plan }: Deployment): readonly Change[] {
  const wide = (dtype: Dtype): boolean => bytesPerElement(dtype) >= 2;
  const { weights, kv } = plan.model.dtypes;
  const eight: Dtype = computeDtype(device, "float8") === "float8" ? "float8" : "int8";
  const shortNames: Partial<Record<Dtype, string>> = { float8: "fp8" };
  const change = (dtype: Dtype | FileType | null, kvDtype: Dtype | null): Change => ({
    change: [
      ...(dtype === null ? [] : [`--dtype ${shortNames[dtype as Dtype] ?? dtype}`]),
      ...(kvDtype === null ? [] : [`--kv-dtype ${shortNames[kvDtype] ?? kvDtype}`]),
    ].join(" "),
    options: { dtype: dtype ?? options.dtype, kvDtype: kvDtype ?? options.kvDtype },
    weights: dtype !== null && kvDtype === null,
  });
  return [
    ...(wide(kv) ? [change(null, eight)] : []),
    ...(wide(weights) ? [change(eight, null), change(eight, eight)] : []),
    ...(weights === "int4" || weights === "float4" ? [] : [change("int4", null), change("int4", eight)]),
  ];
}

function remedyOf(deployment: Deployment, n: number, { change, options }: Change): Remedy | null {
  const available = deployment.device.memory.value;
  try {
    const { memory } = deploy(deployment.model, deployment.device, { ...deployment.options, ...options });
    if (needs(memory, n) > available) return null;
    return { change, bytes: needs(memory, n), longest: longestThatFits(memory, available) };
  } catch (error) {
    // A number of devices that does not divide the heads is no remedy.
    if (error instanceof NsquaredError) return null;
    throw error;
  }
}
