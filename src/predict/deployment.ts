import { badInput } from "../base/errors.js";
import { once } from "../base/once.js";
import type { Dtype } from "../base/units.js";
import type { GraphOptions } from "../graph/types.js";
import { type Engine, engineOf, engineOfFiles } from "../hardware/engine.js";
import type { DeviceRecord } from "../hardware/record.js";
import { type FileType, fileTypes } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";
import { type Parallelism, noParallelism } from "../variants/shard.js";
import { type Curve, curveOf } from "./curve.js";
import { type Formats, ownFormats, withFormats } from "./formats.js";
import { type MemoryCurve, memoryOf } from "./memory.js";
import { type Plan, makePlan } from "./plan.js";
import { type Schedule, defaultSchedule } from "./schedule.js";

/** How a model is deployed: formats, parallelism, and how requests are run through it. */
export interface DeploymentOptions extends Formats, Schedule {
  readonly attention: GraphOptions["attention"];
  readonly parallel: Parallelism;
  /** Bytes/s of one direction between devices; the device's own where null. */
  readonly interconnect: number | null;
  /** Tokens of an encoder's input; as many as the length where null. */
  readonly encoderLength: number | null;
  /** Runtime that runs it; where null the measured one, llama.cpp for the types of GGUF files, or what people mostly run on the device. */
  readonly engineName: string | null;
}

export const defaultDeployment: DeploymentOptions = {
  ...ownFormats,
  ...defaultSchedule,
  attention: "fused",
  parallel: noParallelism,
  interconnect: null,
  encoderLength: null,
  engineName: null,
};

/** What is not asked for, as the engine does it: its attention, and the chunks that it computes a prefill in. */
export function deploymentOptions(
  model: ModelDescription,
  device: DeviceRecord,
  options: Partial<DeploymentOptions>,
): DeploymentOptions {
  const engineName = options.engineName ?? fileEngine(model, device, options.dtype ?? null);
  const engine = engineOf(device, engineName);
  return { ...defaultDeployment, attention: engine.attention, chunk: chunkOf(model, engine), ...options, engineName };
}

/** What runs weights in a GGUF file's types, where nothing was measured on the device; null for other weights. */
function fileEngine(model: ModelDescription, device: DeviceRecord, dtype: Formats["dtype"]): string | null {
  const kind = model.storage?.kind;
  const filed = dtype === null ? kind === "file-type" || kind === "gguf" : fileTypes.some((type) => type === dtype);
  const measured = device.calibration !== null || (device.fitted?.engines.length ?? 0) > 0;
  return filed && !measured ? engineOfFiles(device.class) : null;
}

/** Tokens of a prefill that an engine computes at once unless told otherwise; null for all. */
export function chunkOf(model: ModelDescription, { chunk }: Pick<Engine, "chunk">): number | null {
  return canChunk(model) ? chunk : null;
}

/** Whether no position sees a later one, so that a prompt can be computed part by part. */
export function canChunk(model: ModelDescription): boolean {
  return model.stacks.every(
    ({ kind, length }) => kind === "decoder" || length?.kind === "absent" || length?.kind === "constant",
  );
}

/** A model on hardware, ready to be asked. */
export interface Deployment {
  readonly options: DeploymentOptions;
  /** As it was given, before any formats. */
  readonly model: ModelDescription;
  readonly device: DeviceRecord;
  readonly plan: Plan;
  /** Of the weights, in one word. */
  readonly dtype: Dtype | FileType;
  readonly prefill: Curve;
  /** Null where the model generates nothing: an encoder. */
  readonly decode: Curve | null;
  readonly memory: MemoryCurve;
  /** Curves under another schedule. */
  readonly curve: (phase: "prefill" | "decode", schedule: Partial<Schedule>) => Curve;
}

/** Whether the model generates tokens one after the other. */
export function generates(model: ModelDescription): boolean {
  return model.stacks.at(-1)?.kind === "decoder";
}

/** Whether an encoder's input has a length of its own. */
export function hasEncoder(model: ModelDescription): boolean {
  return model.stacks.some(({ length }) => length?.kind === "encoder");
}

function checkParts(model: ModelDescription, { chunk, cachedShare, depth }: DeploymentOptions): void {
  if (canChunk(model)) return;
  const refused = (key: string, found: number | string, expected: string): Error =>
    badInput("encoder-parts", { where: model.name, key, found, expected });
  const whole = "its encoder sees every position at once, so that no part of the input is computed before the rest";
  if (chunk !== null) throw refused("chunk", chunk, `none: ${whole}`);
  if (cachedShare > 0) throw refused("cached share", cachedShare, `0: ${whole}`);
  if (depth > 0 && !generates(model)) throw refused("depth", depth, `0: ${whole}`);
}

/** @throws NsquaredError `parallel-divide`, `no-interconnect`, `engine-unknown`, `engine-device`, `encoder-parts` */
export function deploy(
  model: ModelDescription,
  device: DeviceRecord,
  options: Partial<DeploymentOptions> = {},
): Deployment {
  const chosen = deploymentOptions(model, device, options);
  checkParts(model, chosen);
  const formatted = withFormats(model, device, chosen);
  const { attention, parallel, interconnect, encoderLength, engineName } = chosen;
  const plan = makePlan(formatted.model, device, {
    attention,
    parallel,
    interconnect,
    engineName,
    encoderLength: hasEncoder(model) ? encoderLength : 0,
    operands: formatted.operands,
  });
  const curve = (phase: "prefill" | "decode", schedule: Partial<Schedule>): Curve =>
    curveOf(plan, phase, { ...chosen, ...schedule });
  // Made when they are asked for: what looks for a deployment that fits needs the memory alone.
  const prefill = once(() => curve("prefill", {}));
  const decode = once(() => (generates(model) ? curve("decode", {}) : null));
  const memory = once(() => memoryOf(plan, chosen));
  return {
    options: chosen,
    model,
    device,
    plan,
    dtype: formatted.dtype,
    get prefill() {
      return prefill();
    },
    get decode() {
      return decode();
    },
    get memory() {
      return memory();
    },
    curve,
  };
}
