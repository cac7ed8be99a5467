import { runtimeOf } from "../hardware/calibrated-runtime.js";
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

/** Whether a device's calibration is of what will be executed: its runtime and threads, matrices or attention as timed. */
function isCalibrated(
  device: DeviceRecord | null,
  runtime: "onnx" | "llama",
  { threads, weights, provider, attention }: MeasureOptions,
): device is DeviceRecord {
  const calibration = device?.calibration ?? null;
  if (calibration === null || (threads ?? calibration.threads) !== calibration.threads) return false;
  if (runtimeOf(calibration).name !== runtime) return false;
  return runtime === "llama" ? attention === "fused" : weights === "f32" && provider === "cpu";
}

/** Each law that is to be known: of every phase, and of prefills after every number of cached tokens. */
function lawsWanted(
  phases: readonly MeasuredPhase[],
  depths: readonly number[],
): { readonly phase: MeasuredPhase; readonly depth: number }[] {
  return phases.flatMap((phase) => (phase === "prefill" ? depths : [0]).map((depth) => ({ phase, depth })));
}

function documentOf({ run }: Recorded, plan: UntilPlan, rule: UntilRule): UntilDocument {
  const found = reachedBy(run.samples, plan);
  const at = found?.prediction;
  return {
    phase: plan.phase,
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

/** What a run that was to reach a goal knows of it, law by law. */
export function untilDocuments(recorded: Recorded, plans: readonly UntilPlan[], rule: UntilRule): UntilDocument[] {
  return plans.map((plan) => documentOf(recorded, plan, rule));
}

/**
 * Measures a model on this machine until the interval at a length is as narrow as wanted, or the time is spent. Which
 * lengths come next is decided while measuring, by the law so far.
 *
 * @param runtime ONNX Runtime with synthetic weights, or llama.cpp with the file's own
 * @param device this machine's calibration with that runtime, where there is one: the interval is then the physical law's
 * @throws NsquaredError as `measureModel` and `measureGguf` do
 */
export async function measureUntil(
  model: LoadedModel,
  wanted: Partial<MeasureOptions> & { readonly timeLimitSeconds: number },
  goal: Goal,
  { runtime, device }: { readonly runtime: "onnx" | "llama"; readonly device: DeviceRecord | null },
  world: MeasureWorld,
): Promise<{ readonly recorded: Recorded; readonly until: readonly UntilDocument[] }> {
  const options = { ...defaultMeasureOptions, ...wanted };
  const available = (world.availableBytes ?? availableMemory)();
  const { attention, batch } = options;
  const llama = runtime === "llama";
  const calibrated = isCalibrated(device, runtime, options) ? device : null;
  const execution = { batch, attention, encoderLength: options.encoderLength ?? null };
  const plans = lawsWanted(options.phases, options.depths).map(
    ({ phase, depth }): UntilPlan => ({
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
        : longestThatFits(model, phase, goal.n, { ...options, depths: [depth] }, available),
      curve: calibrated === null ? null : curveToMeasure(model, calibrated, { ...execution, phase }, depth),
    }),
  );
  const rule = untilRule(plans);
  const longest = Math.max(...plans.map((plan) => plan.longest + plan.depth));
  const adapted = { ...options, adaptive: { next: rule.next, longest } };
  const recorded = await (llama ? measureGguf : measureModel)(model, adapted, world);
  return { recorded, until: untilDocuments(recorded, plans, rule) };
}
