import { badInput } from "../base/errors.js";
import { type Physics, diagnose } from "../compare/diagnose.js";
import type { DiagnosedSample } from "../compare/diagnosed-sample.js";
import type { DeviceRecord } from "../hardware/record.js";
import { buildGraph } from "../graph/build.js";
import type { ModelDescription } from "../model/types.js";
import { type Curve, predictCurve } from "../predict/curve.js";
import type { SampleSet } from "../runs/import/types.js";
import { type Run, isUsable } from "../runs/schema.js";
import { parseVariant } from "../variants/variant.js";
import type { ExplainDocument } from "./documents/explain.js";
import { depthOf } from "./fit.js";
import { curveOfRun } from "./physical.js";

export interface Explained {
  readonly path: string;
  readonly name: string;
  readonly samples: readonly DiagnosedSample[];
  readonly physics: Physics | null;
  readonly device: string | null;
  readonly contextLimit: number | null;
}

const fewestLengths = 5;
const fewestRepeats = 3;

/** The prefills of a run that were asked for one at a time. */
export function samplesOfRun(run: Run): DiagnosedSample[] {
  const batch = Math.min(...run.plan.cells.map((cell) => cell.batch));
  const depth = depthOf(run, "prefill");
  return run.samples
    .filter((sample) => sample.phase === "prefill" && sample.batch === batch && sample.depth === depth)
    .filter(isUsable)
    .map(({ n, seconds, at, request }) => ({
      n,
      seconds,
      at,
      serverSeconds: request?.serverPrefillSeconds ?? null,
      cachedTokens: request?.cachedTokens ?? null,
    }));
}

/** The prefills of a file of another tool, in the order of the file. */
export function samplesOfSet(set: SampleSet): DiagnosedSample[] {
  const series = set.series.find(({ phase, axis }) => phase === "prefill" && axis === "length");
  return (series?.points ?? []).map(({ n, seconds }, at) => ({
    n,
    seconds,
    at,
    serverSeconds: null,
    cachedTokens: null,
  }));
}

/**
 * What the model's own operators take on a device, attention apart, and what they would take without its windows.
 *
 * @param run says which attention and batch it ran with; fused, one sequence where there is none
 */
export function physicsOf(run: Run | null, model: ModelDescription, device: DeviceRecord): Physics {
  const curve = curveFor(run, model, device);
  const attention = curve.components.filter(({ name }) => name === "attention");
  const windowed = buildGraph(model, { phase: "prefill", attention: "fused", head: "last" }).instances.some(
    ({ block }) => [...block.caches.values()].some(({ span }) => span !== undefined && span.kind !== "full"),
  );
  return {
    seconds: curve.seconds,
    attention: (n) => attention.reduce((sum, part) => sum + part.seconds(n), 0),
    withoutWindow: windowed ? curveFor(run, parseVariant("full").apply(model), device).seconds : null,
  };
}

function curveFor(run: Run | null, model: ModelDescription, device: DeviceRecord): Curve {
  if (run !== null) return curveOfRun(run, model, device, "prefill");
  return predictCurve(model, device, { phase: "prefill", batch: 1, attention: "fused" });
}

/** @throws NsquaredError `no-samples` where there is no prefill to explain */
export function explainDocumentOf({ path, name, samples, physics, device, contextLimit }: Explained): ExplainDocument {
  if (samples.length === 0) {
    const expected = "samples of prefill over the length: measure with --phase prefill";
    throw badInput("no-samples", { where: path, key: "usable prefills", found: 0, expected });
  }
  const { findings, noise, lengths } = diagnose(samples, { physics, contextLimit });
  const warnings: ExplainDocument["warnings"] = [];
  if (lengths < fewestLengths) {
    const message = `only ${lengths} lengths: shapes such as steps and plateaus need ${fewestLengths} and more`;
    warnings.push({ code: "few-lengths", message });
  }
  if (samples.length / lengths < fewestRepeats) {
    const message = `fewer than ${fewestRepeats} repeats of a length: the scatter, and with it every finding, is hardly known`;
    warnings.push({ code: "few-repeats", message });
  }
  if (physics === null) {
    const message =
      "without the model's physics (--model and --on) cached prefixes, unfused attention and idle windows are hard to see";
    warnings.push({ code: "no-physics", message });
  }
  return {
    schema: "nsquared/explain@1",
    run: path,
    model: name,
    device,
    samples: samples.length,
    lengths,
    noise,
    looksLikePhysics: findings.length === 0,
    findings: findings.map((finding) => ({ ...finding })),
    warnings,
  };
}
