import { badInput } from "../base/errors.js";
import { type Dtype, type Seconds, bytesPerElement } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import type { Dtypes } from "../model/types.js";
import { runtimeOf } from "./calibrated-runtime.js";
import type { OperatorClass } from "./efficiency.js";
import { type DefaultChunk, atOnce, mlxStep, sglangChunk, ubatch, vllmBudget } from "./engine-chunks.js";
import { engineRows } from "./engine-fits.js";
import { engineKey } from "./engine-key.js";
import { type EngineRow, factored, kinOf, otherBitsSpread, rowsFor } from "./engine-rows.js";
import type { FittedEngine } from "./fitted.js";
import { quantisedToInt8, tiledQuantised, unpackedTo16 } from "./ggml.js";
import { ggmlKernels } from "./kernel-lookup.js";
import { type Bits, bitsOf } from "./kernel-formats.js";
import { nearestNames } from "../base/names.js";
import { peakPerJoule, powerLimit } from "./power.js";
import { type DeviceClass, type DeviceRecord, deviceClasses } from "./record.js";

export const engineNames = [
  "vllm",
  "sglang",
  "tensorrt-llm",
  "hf-eager",
  "hf-sdpa",
  "llama.cpp-cuda",
  "llama.cpp-metal",
  "llama.cpp-cpu",
  "mlx",
  "onnxruntime",
] as const;
export type EngineName = (typeof engineNames)[number];

/** What a runtime makes of a device's kernels. */
export interface Engine {
  readonly name: string;
  /** Whose kernel tables are taken first. */
  readonly kernels: string;
  /** How attention is computed unless asked for otherwise. */
  readonly attention: "fused" | "naive";
  /** Tokens that a prefill is computed in at a time; null for all at once. */
  readonly chunk: number | null;
  /** Seconds of a class of operators over those of the kernels. */
  readonly factors: Partial<Readonly<Record<OperatorClass, number>>>;
  /** Seconds of the arithmetic of products over many rows over those of the kernels; what reading their weights takes it leaves alone. */
  readonly slowProducts: number;
  /** Seconds of a forward pass that belong to no kernel: scheduling, sampling, the host. */
  readonly perStep: Seconds;
  /** Seconds that the host takes to start what the graph launches once, while the device computes; 0 where it is not in the way. */
  readonly hostPerLaunch: Seconds;
  /** Number format that a product runs in where the engine casts; null for the operands' own. */
  readonly operandsOf: (row: OperatorCost) => Dtype | null;
  /** Whether 16-bit products add up in 16 bits, which GeForce cards do at twice the rate. */
  readonly halfSums: boolean;
  /** Bytes that the weights of a product with many rows move beside being read: where they are unpacked to 16 bits first. */
  readonly unpackedBytes: (row: OperatorCost) => number;
  /** Bytes of weights that a product reads anew for every tile of rows, while its arithmetic waits; 0 where both go on together. */
  readonly tiledBytes: (row: OperatorCost) => number;
  /** Standard deviation of log seconds of classes of operators, where samples of the very device say it. */
  readonly spreads?: Partial<Readonly<Record<OperatorClass, number>>>;
  /** How sure whole passes are; `batched`: decode of several sequences. */
  readonly logSpreads: Readonly<Record<"prefill" | "decode" | "batched", EngineSpread>>;
  readonly memory: EngineMemory;
  readonly source: string;
  /** `end-to-end`: fitted to published runs of this engine. `kernels`: of kernels alone. */
  readonly basis: "end-to-end" | "kernels" | "calibrated";
  /** Lengths of the published runs behind it; null where there are none. */
  readonly range: { readonly from: number; readonly to: number } | null;
}

/** Standard deviation of the logarithm of whole passes: one for all, and the share of the classes' own spreads that counts. */
export interface EngineSpread {
  readonly common: number;
  readonly classes: number;
}

const allPasses = (common: number): Engine["logSpreads"] => ({
  prefill: { common, classes: 1 },
  decode: { common, classes: 1 },
  batched: { common, classes: 1 },
});

/** What a runtime takes of memory, in multiples of what the model needs. */
export interface EngineMemory {
  /** Of the weights, at the peak of opening the model. */
  readonly opening: number;
  /** Of the weights, once it is open. */
  readonly resident: number;
  /** Of the cache and the activations. */
  readonly pass: number;
  readonly source: string;
}

const plainMemory: EngineMemory = { opening: 1, resident: 1, pass: 1, source: "the model's own bytes" };
/*
 * Measured as resident memory of the process, ONNX Runtime 1.30 on the CPU in float32. SmolLM2-135M and Qwen2.5-0.5B
 * (513 and 1885 MiB of weights): 1.3 to 1.9 times the weights once open, since products multiply by packed copies and
 * a tied table is kept besides; up to 3.0 times while opening; 1.1 to 1.5 times cache and activations, since its arena
 * grows by powers of two. A prediction says the middle; what guards a measurement against running out (onnx/memory.ts)
 * takes more than the largest.
 */
const onnxMemory: EngineMemory = {
  opening: 3,
  resident: 1.6,
  pass: 1.4,
  source: "measured on two models: 1.3 to 1.9 times the weights, 1.1 to 1.5 times cache and activations",
};

const ownOperands = (): null => null;

const noBytes = (): number => 0;

/** What an engine is known by without any timing. */
interface Character {
  readonly kernels: string;
  readonly attention: Engine["attention"];
  readonly chunk: DefaultChunk;
  readonly operandsOf: Engine["operandsOf"];
  readonly halfSums: boolean;
  readonly unpackedBytes: Engine["unpackedBytes"];
  readonly tiledBytes: Engine["tiledBytes"];
  readonly memory: EngineMemory;
  readonly about: string;
}

const served = {
  attention: "fused",
  operandsOf: ownOperands,
  halfSums: false,
  unpackedBytes: noBytes,
  tiledBytes: noBytes,
  memory: plainMemory,
} as const;

const characters: Readonly<Record<EngineName, Character>> = {
  vllm: { ...served, kernels: "vllm", chunk: vllmBudget, about: "FlashAttention" },
  sglang: { ...served, kernels: "sglang", chunk: sglangChunk, about: "FlashInfer or FlashAttention" },
  "tensorrt-llm": { ...served, kernels: "tensorrt-llm", chunk: atOnce, about: "its own kernels, prefill at once" },
  "hf-eager": { ...served, attention: "naive", kernels: "vllm", chunk: atOnce, about: "PyTorch, scores in memory" },
  "hf-sdpa": { ...served, kernels: "vllm", chunk: atOnce, about: "PyTorch, scaled_dot_product_attention" },
  "llama.cpp-cuda": {
    ...served,
    kernels: ggmlKernels,
    chunk: ubatch,
    operandsOf: quantisedToInt8,
    halfSums: true,
    tiledBytes: tiledQuantised,
    about: "batches of 512 (n_ubatch), flash attention, quantised weights at int8 rates",
  },
  "llama.cpp-metal": {
    ...served,
    kernels: "other",
    chunk: ubatch,
    about: "batches of 512 (n_ubatch), flash attention",
  },
  "llama.cpp-cpu": { ...served, kernels: "other", chunk: ubatch, about: "batches of 512 (n_ubatch)" },
  mlx: { ...served, kernels: "other", chunk: mlxStep, about: "mlx_lm" },
  onnxruntime: {
    ...served,
    kernels: "other",
    chunk: atOnce,
    memory: onnxMemory,
    about: "GroupQueryAttention",
  },
};

/**
 * Builds of llama.cpp before July 2024, or without flash attention: scores in memory; CUDA kernels multiplied quantised
 * weights after unpacking them to 16 bits. Most published runs are of these.
 */
const unfused: Partial<Readonly<Record<EngineName, Partial<Character>>>> = {
  "llama.cpp-cuda": {
    attention: "naive",
    operandsOf: ownOperands,
    unpackedBytes: unpackedTo16,
    tiledBytes: noBytes,
    about:
      "batches of 512 (n_ubatch), builds of May 2024 (no flash attention, weights unpacked to 16 bits); for current builds --attention fused",
  },
  "llama.cpp-metal": {
    attention: "naive",
    about: "batches of 512 (n_ubatch), builds of May 2024 (no flash attention); for current builds --attention fused",
  },
};
/** The attention of the builds that were timed: those of the device, or most of the engine's. */
function timedAttention(name: EngineName, device: DeviceRecord): Engine["attention"] {
  const other = unfused[name];
  if (other === undefined) return characters[name].attention;
  const timed = (attention: Engine["attention"], devices: string): boolean => {
    const key = engineKey(name, attention, device);
    return engineRows.some((row) => row[0] === key && row[1] === devices);
  };
  if (timed("naive", device.name)) return "naive";
  return timed("fused", device.name) || !timed("naive", "any") ? "fused" : "naive";
}

/** Seconds between kernels of PyTorch's eager mode, over those of captured graphs. */
const eagerOverhead = 2;
/**
 * Seconds that Python and PyTorch's dispatcher take for one launch of the graph, which is several kernels there (a norm alone is
 * six). Llama-2-7B in PyTorch takes 39.2 ms per token on an A100, limited by the host (pytorch.org/blog/accelerating-generative-ai-2,
 * 30 November 2023: 25.5 tokens/s); the graph of such a step launches 452 times.
 */
const eagerHost = 0.0392 / 452;
/** Spread of published end-to-end prefills over the roofline of their models (10th/90th percentile 1.6/3.7). */
const unknownSpread = 0.3;

function rowFor(name: string, device: DeviceRecord, bits: Bits): EngineRow | undefined {
  const own = engineRows.filter(([engine]) => engine === name);
  return rowsFor(device, bits)
    .map(([devices, width]) => own.find((row) => row[1] === devices && row[2] === width))
    .find((found) => found !== undefined);
}

function profileOf(name: EngineName, device: DeviceRecord, bits: Bits, attention: Engine["attention"]): Engine {
  const { about, chunk, ...rest } = { ...characters[name], ...(attention === "naive" ? unfused[name] : {}) };
  const character = { ...rest, chunk: chunk(device) };
  // Where only builds with the other attention were timed, products and all else are as there.
  const timed = ([attention, attention === "naive" ? "fused" : "naive"] as const)
    .map((builds) => ({ builds, row: rowFor(engineKey(name, builds, device), device, bits) }))
    .find(({ row: found }) => found !== undefined);
  const row = timed?.row;
  const eager = name === "hf-eager" || name === "hf-sdpa";
  const hosted = eager && gpus.some((one) => one === device.class);
  if (row === undefined) {
    return {
      name,
      ...character,
      factors: eager ? { overhead: eagerOverhead } : {},
      slowProducts: 1,
      perStep: 0,
      hostPerLaunch: hosted ? eagerHost : 0,
      logSpreads: allPasses(unknownSpread),
      source: `${about}; derived from kernels${hosted ? ", the host's time from one published decode step" : ""}: no published runs`,
      basis: "kernels",
      range: null,
    };
  }
  const [engine, devices, width, runs, [from, to], [prefill, decode, batched], perStep, values, sustained] = row;
  const borrowed = timed !== undefined && timed.builds !== attention;
  const format =
    width !== "any" || engineRows.some((one) => one[0] === engine && one[2] === bits) ? 0 : otherBitsSpread;
  const own = !borrowed && (devices === device.name || devices === kinOf(device));
  const where = devices === device.name ? " on it" : devices === kinOf(device) ? "" : " on other devices";
  const builds = borrowed ? ` of builds ${attention === "fused" ? "without" : "with"} flash attention` : "";
  const factors = Object.fromEntries(factored.map((key, index) => [key, values[index] ?? 1]));
  return {
    name,
    ...character,
    factors: { ...factors, gemm: 1, lookup: factors["vector"] ?? 1 },
    slowProducts: (factors["gemm"] ?? 1) * powerLimit(peakPerJoule(device), sustained),
    perStep: perStep / 1e6,
    hostPerLaunch: 0,
    logSpreads: {
      prefill: spreadOf(prefill, own, format),
      decode: spreadOf(decode, own, format),
      batched: spreadOf(batched, own, format),
    },
    source: `${about}; fitted to ${runs} published runs${builds}${where}`,
    basis: "end-to-end",
    range: { from, to },
  };
}

function spreadOf([common, classes]: readonly [number, number], own: boolean, format: number): EngineSpread {
  return { common: Math.hypot(common, own ? 0 : otherClassSpread, format), classes };
}
/** What runs on devices of other classes, or of builds with another attention, say of these is less sure by this much. */
const otherClassSpread = 0.1;

const gpus = ["datacenter-gpu", "workstation-gpu", "consumer-gpu"] as const;
/** Classes of devices that an engine has kernels for. */
const runsOn: Readonly<Record<EngineName, readonly DeviceClass[]>> = {
  vllm: [...gpus, "accelerator", "cpu"],
  sglang: [...gpus, "accelerator", "cpu"],
  "tensorrt-llm": gpus,
  "hf-eager": deviceClasses,
  "hf-sdpa": deviceClasses,
  "llama.cpp-cuda": gpus,
  "llama.cpp-metal": ["apple-gpu"],
  "llama.cpp-cpu": ["cpu"],
  mlx: ["apple-gpu"],
  onnxruntime: [...gpus, "cpu"],
};

const profiles = new Map<string, Engine>();

/** @throws NsquaredError `engine-unknown`, with the nearest names; `engine-device` where it has no kernels for the device */
function engineNamed(name: string, device: DeviceRecord, bits: Bits, asked: Engine["attention"] | null): Engine {
  const known = engineNames.find((one) => one === name.toLowerCase());
  if (known === undefined) {
    const near = nearestNames(name, engineNames);
    throw badInput("engine-unknown", {
      where: "--engine",
      key: "engine",
      found: name,
      expected: `${near.length > 0 ? `perhaps ${near.join(", ")}? ` : ""}one of ${engineNames.join(", ")}`,
    });
  }
  const attention = asked ?? timedAttention(known, device);
  const key = `${known} ${attention} ${device.name} ${device.class} ${bits}`;
  if (!runsOn[known].includes(device.class)) {
    throw badInput("engine-device", {
      where: "--engine",
      key: "engine",
      found: known,
      expected: `it does not run on ${device.name} (${device.class}); ${engineNames.filter((one) => runsOn[one].includes(device.class)).join(", ")} do`,
    });
  }
  const profile = profiles.get(key) ?? profileOf(known, device, bits, attention);
  profiles.set(key, profile);
  return profile;
}

/** Bits that products with the weights run in under an engine. */
function productBits(name: string, { weights, activations }: Pick<Dtypes, "weights" | "activations">): Bits {
  const narrow = bitsOf(weights);
  if (narrow === "16") return "16";
  return name === "llama.cpp-cuda" ? "8" : bytesPerElement(activations) < 2 || narrow === "8" ? narrow : "4";
}

/** The engine that people mostly run on a class of devices. */
function usualEngine(device: DeviceClass): EngineName {
  if (device === "apple-gpu") return "llama.cpp-metal";
  if (device === "cpu") return "llama.cpp-cpu";
  return "vllm";
}

/** The build of llama.cpp that runs GGUF files on a class of devices; null where there is none. */
export function engineOfFiles(device: DeviceClass): EngineName | null {
  return engineNames.find((name) => name.startsWith("llama.cpp") && runsOn[name].includes(device)) ?? null;
}

const plainDtypes = { weights: "bfloat16", activations: "bfloat16" } as const;

/**
 * The engine a prediction is for: the measured one on a calibrated machine, otherwise the one that is asked for, or what
 * people mostly run on such a device.
 *
 * @param attention that is asked for; that of the builds that were timed where null
 * @throws NsquaredError `engine-unknown`, `engine-device`
 */
export function engineOf(
  device: DeviceRecord,
  name: string | null = null,
  dtypes: Pick<Dtypes, "weights" | "activations"> = plainDtypes,
  attention: Engine["attention"] | null = null,
): Engine {
  const { calibration } = device;
  if (calibration !== null && (name === null || name === calibration.engine)) {
    return {
      ...served,
      name: calibration.engine,
      kernels: "other",
      chunk: runtimeOf(calibration).inPieces ? ubatch(device) : null,
      factors: {},
      slowProducts: 1,
      perStep: 0,
      hostPerLaunch: 0,
      // A shared machine moved by about this between calibrating and measuring: docs/performance.md.
      logSpreads: allPasses(0.1),
      memory: calibration.engine === "onnxruntime" ? onnxMemory : plainMemory,
      source: "calibrated on kernels of this engine on this machine",
      basis: "calibrated",
      range: null,
    };
  }
  const sampled = device.fitted?.engines ?? [];
  const chosen = name ?? sampled[0]?.engine ?? usualEngine(device.class);
  const profile = engineNamed(chosen, device, productBits(chosen.toLowerCase(), dtypes), attention);
  const own = sampled.find(({ engine }) => engine === profile.name);
  return own === undefined ? profile : corrected(profile, own);
}

/** Samples of a device make its intervals no wider than those of its published profile. */
function narrowed({ common, classes }: EngineSpread, spread: number): EngineSpread {
  return { common: Math.min(common, spread), classes };
}

/** A profile as samples of this very device correct it. */
function corrected(profile: Engine, { factors, spreads, spread, samples }: FittedEngine): Engine {
  const own = { ...factors, lookup: factors.vector };
  const product = Object.fromEntries(
    Object.entries(own).map(([key, factor]) => [key, factor * (profile.factors[key as keyof typeof own] ?? 1)]),
  );
  return {
    ...profile,
    factors: { ...profile.factors, ...product },
    perStep: profile.perStep * factors.overhead,
    spreads,
    logSpreads: {
      prefill: narrowed(profile.logSpreads.prefill, spread),
      decode: narrowed(profile.logSpreads.decode, spread),
      batched: narrowed(profile.logSpreads.batched, spread),
    },
    source: `fitted to ${samples} samples of this device`,
    basis: "end-to-end",
  };
}
