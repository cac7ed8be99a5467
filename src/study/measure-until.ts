import { badInput } from "../base/errors.js";
import type { DeviceRecord } from "../hardware/record.js";
import { availableMemory } from "../measure/onnx-node.js";
import type { Recorded } from "../measure/record.js";
import type { LoadedModel } from "../model/stored.js";
import type { UntilDocument } from "./documents/measure.js";
import {
  defaultMeasureOptions,
  longestThatFits,
  type MeasuredPhase,
  type MeasureOptions,
  measureModel,
  type MeasureWorld,
} from "./measure.js";
import { longestInLlama, measureGguf } from "./measure-gguf.js";
import { curveToMeasure } from "./physical.js";
import { type Goal, reachedBy, untilRule, type UntilPlan, type UntilRule } from "./until.js";

const defaultStart = [128, 256, 512, 1024];
/** Start lengths stay this far below the goal, so that there is something left to decide. */
const farBelow = 4;

/** First lengths for a goal, where nobody names them. */
export function startLengths(goal: Goal): readonly number[] {
  const start = defaultStart.filter((n) => n * farBelow <= goal.n);
  return start.length >= 3 ? start : [1, 2, 4, 8].map((part) => Math.max(1, Math.round((goal.n * part) / 8)));
}

/** Whether a device's calibration is of what will be executed: its threads, matrices as float32. */
function isCalibrated(device: DeviceRecord | null, options: MeasureOptions): device is DeviceRecord {
  const calibration = device?.calibration ?? null;
  return (
    calibration !== null &&
    (options.threads ?? calibration.threads) === calibration.threads &&
    options.weights === "f32" &&
    options.provider === "cpu"
  );
}

/** @throws NsquaredError where several phases are asked for */
export function onlyPhase(phases: readonly MeasuredPhase[]): MeasuredPhase {
  const [phase, more] = phases;
  if (phase !== undefined && more === undefined) return phase;
  throw badInput("until-phases", {
    where: "--until",
    key: "--phase",
    found: phases.join(","),
    expected: "one phase: the interval is of one law",
  });
}

/**
 * The tokens cached before each prefill: the interval is of the law over the new tokens after them.
 *
 * @throws NsquaredError where several depths are asked for, or one of decode steps, whose length it is
 */
export function onlyDepth(depths: readonly number[], phase: MeasuredPhase): number {
  const [depth = 0, more] = depths;
  const wrong = (expected: string) =>
    badInput("until-depths", { where: "--until", key: "--depths", found: depths.join(","), expected });
  if (more !== undefined) {
    throw wrong(
      "one depth: the interval is of the law over new tokens after so many cached ones; a plain run with several, and nsquared fit, tell the law over both",
    );
  }
  if (depth > 0 && phase !== "prefill") {
    throw wrong(`none with --phase ${phase}: the length of a decode step is its context`);
  }
  return depth;
}

/** What a run that was to reach a goal knows of it. */
export function untilDocument({ run }: Recorded, plan: UntilPlan, rule: UntilRule): UntilDocument {
  const found = reachedBy(run.samples, plan);
  const at = found?.prediction;
  return {
    n: plan.goal.n,
    cached: plan.depth,
    wanted: plan.goal.halfWidth,
    halfWidth: found?.halfWidth ?? null,
    reached: found?.reached ?? false,
    reason: found?.reached === true ? "reached" : run.status === "interrupted" ? "interrupted" : rule.stoppedFor(),
    law: found?.law ?? null,
    seconds: at?.seconds ?? null,
    low: at?.low ?? null,
    high: at?.high ?? null,
    factor: at?.factor ?? null,
    canTell: at?.canTell ?? false,
  };
}

/**
 * Measures a model on this machine until the interval at a length is as narrow as wanted, or the time is spent. Which
 * lengths come next is decided while measuring, by the law so far.
 *
 * @param runtime ONNX Runtime with synthetic weights, or llama.cpp with the file's own
 * @param device this machine's calibration, where there is one: the interval is then the physical law's. It is of ONNX
 *   Runtime, and says nothing of llama.cpp
 * @throws NsquaredError as `measureModel` and `measureGguf` do, and where more than one phase is asked for
 */
export async function measureUntil(
  model: LoadedModel,
  wanted: Partial<MeasureOptions> & { readonly timeLimitSeconds: number },
  goal: Goal,
  { runtime, device }: { readonly runtime: "onnx" | "llama"; readonly device: DeviceRecord | null },
  world: MeasureWorld,
): Promise<{ readonly recorded: Recorded; readonly until: UntilDocument }> {
  const options = { ...defaultMeasureOptions, ...wanted };
  const phase = onlyPhase(options.phases);
  const depth = onlyDepth(options.depths, phase);
  const available = (world.availableBytes ?? availableMemory)();
  const { attention, batch } = options;
  const llama = runtime === "llama";
  const plan = {
    goal,
    phase,
    batch,
    depth,
    start: options.lengths,
    repeat: options.repeat,
    warmups: options.warmups,
    seconds: wanted.timeLimitSeconds,
    longest: llama
      ? Math.max(0, longestInLlama(model, goal.n + depth, options, available) - depth)
      : longestThatFits(model, phase, goal.n, options, available),
    curve:
      !llama && isCalibrated(device, options)
        ? curveToMeasure(model, device, { phase, batch, attention }, depth)
        : null,
  };
  const rule = untilRule(plan);
  const adapted = { ...options, adaptive: { next: rule.next, longest: plan.longest + depth } };
  const recorded = await (llama ? measureGguf : measureModel)(model, adapted, world);
  return { recorded, until: untilDocument(recorded, plan, rule) };
}
