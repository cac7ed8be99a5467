import { badInput } from "../base/errors.js";
import { tokens } from "../base/format.js";
import { type Physics, diagnose, leastMixSpread, physicsOfSamples } from "../compare/diagnose.js";
import type { EngineOption } from "../compare/diagnose-advice.js";
import type { DiagnosedSample } from "../compare/diagnosed-sample.js";
import { devices } from "../hardware/index.js";
import type { DeviceRecord } from "../hardware/record.js";
import { buildGraph } from "../graph/build.js";
import { median } from "../math/median.js";
import type { ModelDescription } from "../model/types.js";
import { type Curve, predictCurve } from "../predict/curve.js";
import type { DiagnosisReport } from "../report/data.js";
import type { SampleSet } from "../runs/import/types.js";
import { type Run, type Sample, isUsable } from "../runs/schema.js";
import { parseVariant } from "../variants/variant.js";
import type { ExplainDocument } from "./documents/explain.js";
import { depthOf } from "./fit.js";
import { curveOfRun } from "./physical.js";

export interface Explained {
  readonly path: string;
  readonly name: string;
  /** The server's name as it gave it, or the runtime's; null where unknown. */
  readonly engine: string | null;
  readonly samples: readonly DiagnosedSample[];
  /** Left out because the server said that it had their prompts in a cache. */
  readonly refused: readonly DiagnosedSample[];
  /** No prompt was sent twice. */
  readonly fresh: boolean;
  /** Executed by the graph that physics prices. */
  readonly sameGraph: boolean;
  readonly physics: Physics | null;
  readonly device: string | null;
  /** The run whose times are the physics. */
  readonly beside: Beside | null;
  readonly contextLimit: number | null;
}

/** A run of the same server, known to have computed its prompts. */
export interface Beside {
  readonly path: string;
  readonly samples: readonly DiagnosedSample[];
}

const fewestLengths = 5;
/** Predictions of a device that is not calibrated are off by less than this factor. */
const otherPace = 2;
/** Beyond the longest length of the run beside, by this factor, its law is not held against anything. */
const farBeyond = 1.5;
const fewestRepeats = 3;

/** The prefills of a run that were asked for one at a time. */
function prefillsOf(run: Run, wanted: (sample: Sample) => boolean): DiagnosedSample[] {
  const batch = Math.min(...run.plan.cells.map((cell) => cell.batch));
  const depth = depthOf(run, "prefill");
  return run.samples
    .filter((sample) => sample.phase === "prefill" && sample.batch === batch && sample.depth === depth)
    .filter(wanted)
    .flatMap(({ n, seconds, at, request }) => {
      if (seconds === null) return [];
      const serverSeconds = request?.serverPrefillSeconds ?? null;
      const cached = request?.cachedTokens ?? null;
      // The prefix that the cell wants to be cached is none of it.
      return [{ n, seconds, at, serverSeconds, cachedTokens: cached === null ? null : Math.max(0, cached - depth) }];
    });
}

/** The usable ones. */
export function samplesOfRun(run: Run): DiagnosedSample[] {
  return prefillsOf(run, isUsable);
}

/** Those that were rejected, and of which the server says that it found some of the prompt in its cache. */
function cachedSamplesOfRun(run: Run): DiagnosedSample[] {
  return prefillsOf(
    run,
    ({ warmup, rejected, request }) => !warmup && rejected !== null && (request?.cachedTokens ?? 0) > 0,
  );
}

/** The prefills of a file: usable ones of a run, those of another tool in the order of the file. */
export function samplesOfSet(set: SampleSet): DiagnosedSample[] {
  if (set.run !== null) return samplesOfRun(set.run);
  const series = set.series.find(({ phase, axis }) => phase === "prefill" && axis === "length");
  const points = series?.points ?? [];
  // An order of some of them alone would be none.
  const timed = points.every(({ at }) => at !== undefined);
  return points.map(({ n, seconds, at = null }) => ({
    n,
    seconds,
    at: timed ? at : null,
    serverSeconds: null,
    cachedTokens: null,
  }));
}

/** A device that is faster than its record by more than this is not that device. */
const fastest = 0.6;
/** Devices that may share the work of one prefill before it is called impossible. */
const mostDevices = 8;

/**
 * What the model's own operators take on a device, attention apart, and what they would take without its windows.
 *
 * @param run says which attention and batch it ran with; fused, one sequence where there is none
 */
function physicsOf(run: Run | null, model: ModelDescription, device: DeviceRecord): Physics {
  const curve = curveFor(run, model, device);
  const spread = (name: string): number => curve.components.find((part) => part.name === name)?.logSpread ?? 0;
  const full = windowed(model) ? curveFor(run, parseVariant("full").apply(model), device) : null;
  return {
    seconds: curve.seconds,
    attention: attentionOf(curve),
    withoutWindow: full?.seconds ?? null,
    least: (n) => fastest * curve.seconds(n),
    paceKnown: true,
    mixSpread: Math.max(leastMixSpread, Math.hypot(spread("attention"), spread("gemm"))),
  };
}

/**
 * What the model alone says: how attention grows beside everything else. How fast they are to each other differs from device
 * to device, by as much as it does over the catalog; the one in the middle stands for all.
 */
function physicsOfModel(run: Run | null, model: ModelDescription): Physics {
  const long = 32_768;
  const known = devices.map((device) => {
    const { seconds, components } = curveFor(run, model, device);
    const attention = attentionOf({ components })(long);
    return { device, seconds: seconds(long), mix: Math.log(attention / (seconds(long) - attention)) };
  });
  const sorted = known.filter(({ mix }) => Number.isFinite(mix)).sort((left, right) => left.mix - right.mix);
  const middle = sorted[sorted.length >> 1];
  const quickest = known.reduce((best, each) => (each.seconds < best.seconds ? each : best));
  if (middle === undefined) throw new Error("no device of the catalog gives this model a time of attention");
  const spread = 1.4826 * median(sorted.map(({ mix }) => Math.abs(mix - middle.mix)));
  const least = curveFor(run, model, quickest.device).seconds;
  return {
    ...physicsOf(run, model, middle.device),
    least: (n) => least(n) / mostDevices,
    paceKnown: false,
    mixSpread: Math.max(leastMixSpread, spread),
  };
}

function attentionOf({ components }: Pick<Curve, "components">): (n: number) => number {
  const attention = components.filter(({ name }) => name === "attention");
  return (n) => attention.reduce((sum, part) => sum + part.seconds(n), 0);
}

function windowed(model: ModelDescription): boolean {
  return buildGraph(model, { phase: "prefill", attention: "fused", head: "last" }).instances.some(({ block }) =>
    [...block.caches.values()].some(({ span }) => span !== undefined && span.kind !== "full"),
  );
}

function curveFor(run: Run | null, model: ModelDescription, device: DeviceRecord): Curve {
  if (run !== null) return curveOfRun(run, model, device, "prefill");
  return predictCurve(model, device, { phase: "prefill", batch: 1, attention: "fused" });
}

function explainedRun(run: Run, path: string, model: ModelDescription | null, device: DeviceRecord | null): Explained {
  const limit = run.probe?.["context limit"];
  return {
    path,
    name: run.model.name,
    engine: run.runtime.name,
    samples: samplesOfRun(run),
    refused: cachedSamplesOfRun(run),
    fresh: true,
    sameGraph: run.runtime.runner === "onnx-node",
    physics: physicsFor(run, model, device),
    device: device?.name ?? null,
    beside: null,
    contextLimit: typeof limit === "number" ? limit : null,
  };
}

/** A file of samples with what is known of it; a run of ours says more than others' do. */
export function explainedSet(
  set: SampleSet,
  path: string,
  model: ModelDescription | null,
  device: DeviceRecord | null,
): Explained {
  if (set.run !== null) return explainedRun(set.run, path, model, device);
  return {
    path,
    name: set.model ?? "model",
    engine: null,
    samples: samplesOfSet(set),
    refused: [],
    fresh: false,
    sameGraph: false,
    physics: physicsFor(null, model, device),
    device: device?.name ?? null,
    beside: null,
    contextLimit: null,
  };
}

/** As much physics as is known: of the model on its device, of the model, or none. */
function physicsFor(run: Run | null, model: ModelDescription | null, device: DeviceRecord | null): Physics | null {
  if (model === null) return null;
  return device === null ? physicsOfModel(run, model) : physicsOf(run, model, device);
}

/** What the samples were held against, in words. */
export function againstText({
  against,
  device,
  beside,
}: Pick<ExplainDocument, "against" | "device" | "beside">): string {
  if (against === "run") return String(beside);
  if (against === "device") return `physics of ${String(device)}`;
  return against === "model" ? "the model's own mix of work" : "nothing else";
}

/** What a report says of a run's prefills; null where too few lengths were measured to say anything. */
export function diagnosisReport(
  run: Run,
  model: ModelDescription | null,
  device: DeviceRecord | null,
): DiagnosisReport | null {
  const explained = explainedRun(run, run.id, model, device);
  if (new Set([...explained.samples, ...explained.refused].map(({ n }) => n)).size < fewestLengths) return null;
  const document = explainDocumentOf(explained);
  return { ...document, against: againstText(document) };
}

/** @throws NsquaredError `no-samples` where there is no prefill to explain */
export function explainDocumentOf(explained: Explained): ExplainDocument {
  const { path, name, engine, samples, refused, device, beside } = explained;
  if (samples.length === 0 && refused.length === 0) {
    const expected = "samples of prefill over the length: measure with --phase prefill";
    throw badInput("no-samples", { where: path, key: "usable prefills", found: 0, expected });
  }
  const physics = beside === null ? explained.physics : physicsBeside(beside);
  const { findings, noise, lengths } = diagnose(samples, {
    ...explained,
    physics,
    // The run beside may have been of another graph.
    sameGraph: explained.sameGraph && beside === null,
  });
  const own = findings.map((finding) => ({
    ...finding,
    alike: [...finding.alike],
    options: optionsOf(finding.options, engine),
  }));
  return {
    schema: "nsquared/explain@1",
    run: path,
    model: name,
    against: beside !== null ? "run" : physics === null ? "samples" : physics.paceKnown ? "device" : "model",
    device,
    beside: beside?.path ?? null,
    samples: samples.length,
    lengths,
    noise,
    looksLikePhysics: findings.length === 0 && lengths >= fewestLengths,
    findings: own,
    warnings: warningsOf({ ...explained, physics }, lengths),
  };
}

/** @throws NsquaredError where the run beside has too few lengths to be a law */
function physicsBeside({ path, samples }: Beside): Physics {
  const found = new Set(samples.map(({ n }) => n)).size;
  if (found >= fewestLengths) return physicsOfSamples(samples);
  const expected = `${fewestLengths} and more`;
  throw badInput("few-lengths", { where: path, key: "lengths of usable prefills", found, expected });
}

/** Those of the engine that served, where it is one of them; else of all. */
function optionsOf(options: readonly EngineOption[], engine: string | null): EngineOption[] {
  const plain = (engine ?? "").toLowerCase().replace(/[^a-z]/g, "");
  const own = options.filter((option) => plain.includes(option.engine.toLowerCase().replace(/[^a-z]/g, "")));
  return own.length > 0 ? own : [...options];
}

function warningsOf({ samples, physics, beside }: Explained, lengths: number): ExplainDocument["warnings"] {
  const warnings: ExplainDocument["warnings"] = [];
  if (lengths < fewestLengths) {
    const message = `only ${lengths} lengths: shapes such as steps and plateaus need ${fewestLengths} and more`;
    warnings.push({ code: "few-lengths", message });
  }
  if (samples.length < fewestRepeats * lengths) {
    const message = `fewer than ${fewestRepeats} repeats of a length: the scatter, and with it every finding, is hardly known`;
    warnings.push({ code: "few-repeats", message });
  }
  if (samples.some(({ at }) => at === null)) {
    const message = "the file does not say when each sample was taken: a drift over the run cannot be seen";
    warnings.push({ code: "no-times", message });
  }
  if (beside !== null) {
    const own = diagnose(beside.samples, { physics: null, contextLimit: null, fresh: true }).findings;
    if (own.length > 0) {
      const message = `the run beside has something itself: ${own.map(({ cause }) => cause).join(", ")}`;
      warnings.push({ code: "beside-ill", message });
    }
    const known = Math.max(...beside.samples.map(({ n }) => n));
    const longest = Math.max(...samples.map(({ n }) => n));
    if (longest > farBeyond * known) {
      const message = `the run beside ends at ${tokens(known)}; up to ${tokens(longest)} its law is extrapolated`;
      warnings.push({ code: "beside-short", message });
    }
  } else if (physics === null) {
    const message =
      "without the model's physics (--model, better with --on) or a run of fresh prompts on the same server (--beside) cached prefixes, unfused attention and idle windows cannot be told from another machine";
    warnings.push({ code: "no-physics", message });
  } else if (physics.paceKnown) {
    const pace = samples.length === 0 ? 1 : median(samples.map(({ n, seconds }) => seconds / physics.seconds(n)));
    if (pace > otherPace) {
      const message = `they take ${pace.toFixed(1)} times what physics says for this device (median): another device or clock, other builds of its kernels, or a machine that had other work`;
      warnings.push({ code: "slower-than-physics", message });
    }
  } else {
    const message =
      "the device is unknown (--on): how fast attention is beside the rest is that of the catalog's middle device, and prompts that are too fast for it cannot be seen (a run of fresh prompts on the same server shows them: --beside)";
    warnings.push({ code: "no-device", message });
  }
  return warnings;
}
