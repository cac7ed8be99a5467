import { percent, significant, tokens } from "../base/format.js";
import type { Dtype } from "../base/units.js";
import { revisionOf, runtimeOf } from "../hardware/calibrated-runtime.js";
import type { DeviceRecord } from "../hardware/record.js";
import { type QuantisedStorage, castsOf, weightFormat } from "../model/storage.js";
import { computeDtype } from "../hardware/roofline.js";
import type { Deployment } from "./deployment.js";
import { generates, hasEncoder } from "./deployment.js";
import type { Terms } from "./requests.js";
import { groupsOf } from "./schedule.js";
import type { LatencyWanted } from "./latency.js";

/** What a prediction takes for granted or leaves out, in words. */
export function notesOf(deployment: Deployment, terms: Terms | null, limits: readonly LatencyWanted[] = []): string[] {
  const untimed = terms === null && limits.some(({ metric }) => metric === "ttft");
  return [
    ...(untimed ? ["the limit on TTFT holds the prefill alone: --network and --tokenizer add theirs"] : []),
    ...scopeNotes(deployment, terms),
    ...formatNotes(deployment),
    ...parallelNotes(deployment),
    ...deviceNotes(deployment),
  ];
}

function scopeNotes({ model, options }: Deployment, terms: Terms | null): string[] {
  const outside = terms === null ? "no network, no tokenizer" : "network and tokenizer as stated";
  const notes = [
    options.batch === 1
      ? `one request at a time: no queueing, ${outside}; no speculative decoding`
      : `${options.batch} sequences in step: no queueing, ${outside}; no speculative decoding`,
  ];
  if (!generates(model)) notes.push("an encoder: it generates nothing, so there is no decode");
  if (hasEncoder(model)) {
    notes.push(
      options.encoderLength === null
        ? "the encoder's input is as long as n (in decode: as the context); --encoder-length sets it"
        : `the encoder's input has ${tokens(options.encoderLength)} tokens; the prefill runs it, decode reads the keys and values it left`,
    );
  }
  if (options.chunk !== null) {
    notes.push(
      `prefill in chunks of ${tokens(options.chunk)} tokens, each reading the keys and values before it again`,
    );
  }
  if (options.cachedShare > 0) {
    notes.push(`${percent(options.cachedShare)} of the prompt's keys and values are cached already`);
  }
  return notes;
}

function formatNotes({ device, dtype, plan, options }: Deployment): string[] {
  const notes: string[] = [];
  const { weights, activations } = plan.model.dtypes;
  const { calibration } = device;
  if (calibration !== null) {
    const other = [options.dtype, options.kvDtype, options.activationDtype].find(
      (asked) => asked !== null && asked !== calibration.dtype,
    );
    if (other != null) notes.push(`${device.name} was measured in ${calibration.dtype}, not ${other}`);
    if (runtimeOf(calibration).keepsWeights && weights !== calibration.dtype) {
      notes.push(
        `products with weights in ${weightFormat(plan.model.storage, weights)} were not timed: taken to compute as fast as with ${calibration.dtype}, give or take a factor of two`,
      );
    }
    return notes;
  }
  const { storage } = plan.model;
  if (storage?.kind === "quantised" && plan.operands === null) return storageNotes(storage, activations, device);
  const asked = plan.operands ?? activations;
  const runs = computeDtype(device, asked);
  if (runs !== asked) notes.push(`${device.name} has no ${asked} arithmetic: ${runs} runs instead`);
  if (plan.operands === null && weights !== activations) {
    const lacking = (weights === "float8" || weights === "int8") && device.peaks[weights] === undefined;
    const why = lacking ? `${device.name} has no ${weights} arithmetic: ` : "";
    notes.push(
      `${why}weights in ${dtype === activations ? weights : dtype} are expanded to ${activations} for products`,
    );
  }
  return notes;
}

/** In which format products with the weights of a quantised checkpoint run. */
function storageNotes(storage: QuantisedStorage, activations: Dtype, device: DeviceRecord): string[] {
  const casts = castsOf(storage);
  const run = casts.filter((dtype) => device.peaks[dtype] !== undefined);
  const left = casts.filter((dtype) => device.peaks[dtype] === undefined);
  return [
    ...run.map(
      (dtype) =>
        `activations are cast to ${dtype} before products with weights that the checkpoint (${storage.method}) has for that`,
    ),
    ...left.map(
      (dtype) =>
        `${device.name} has no ${dtype} arithmetic: weights of the checkpoint (${storage.method}) are expanded to ${activations} for products`,
    ),
    ...(casts.length === 0
      ? [`weights of the checkpoint (${storage.method}) are expanded to ${activations} for products`]
      : []),
  ];
}

function parallelNotes({ plan, options }: Deployment): string[] {
  const { parallel, link, devices, replicas } = plan;
  if (link === null) return [];
  const { pipeline, expert } = parallel;
  const rate = `${significant(link.bandwidth / 1e9)} GB/s`;
  const notes = [
    `${devices} devices in one group over ${link.name}, ${rate} in one direction of use${link.uncertain ? " (uncertain)" : ""}: all-to-all reachable, no slower links between nodes`,
  ];
  if (pipeline > 1) {
    const { groups, size } = groupsOf(plan, options.batch);
    const idle = (pipeline - 1) / (groups + pipeline - 1);
    notes.push(
      `pipeline of ${pipeline} stages, filled with ${groups} ${groups === 1 ? "group" : "groups"} of ${size}: in a prefill each device waits ${percent(idle)} of the time`,
    );
  }
  if (replicas > 1) {
    notes.push(
      `attention in ${replicas} replicas with ${Math.ceil(options.batch / replicas)} of the ${options.batch} sequences each; experts over all ${expert} devices, routing taken as even`,
    );
  } else if (expert > 1) notes.push("routing taken as even over the experts");
  return notes;
}

function deviceNotes({ device, plan }: Deployment): string[] {
  const notes: string[] = [];
  const { memory, name, source } = plan.engine;
  if (memory.resident !== 1) notes.push(`memory as ${name} takes it: ${memory.source}`);
  if (plan.engine.basis !== "calibrated") notes.push(`${name}: ${source}`);
  const { calibration } = device;
  const current = calibration === null ? 0 : revisionOf(runtimeOf(calibration), device.class);
  if (calibration !== null && calibration.plan < current) {
    notes.push(
      `the record of ${device.name} was timed in a way that this version no longer uses (plan ${calibration.plan}, now ${current}): calibrate again`,
    );
  }
  const runs = computeDtype(device, plan.operands ?? plan.model.dtypes.activations);
  const uncertain = [
    ...Object.entries(device.peaks).flatMap(([dtype, peak]) =>
      peak.uncertain && dtype === runs ? [`${dtype} peak`] : [],
    ),
    ...(device.bandwidth.uncertain ? ["bandwidth"] : []),
    ...(device.launch.uncertain ? ["launch overhead"] : []),
  ];
  if (uncertain.length > 0) notes.push(`uncertain numbers of ${device.name}: ${uncertain.join(", ")}`);
  return notes;
}
