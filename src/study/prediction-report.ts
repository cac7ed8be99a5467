import { seconds, si, significant, tokens } from "../base/format.js";
import { version } from "../base/version.js";
import { dataText } from "../hardware/data.js";
import type { DeviceRecord } from "../hardware/record.js";
import { weightFormat } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";
import type { Curve } from "../predict/curve.js";
import { type Prediction, predict } from "../predict/predict.js";
import type { Fact, PhaseReport, ReportData } from "../report/data.js";
import { contextWarnings } from "./measure.js";
import type { PredictDocument } from "./documents/predict.js";
import { type PredictModelOptions, predictModel } from "./predict.js";
import { crossing, deviceFacts, geometric, modelFacts, partsPoint } from "./report-parts.js";

/** Everything a report says about a prediction that nobody has measured. */
export function predictionReport(
  model: ModelDescription,
  device: DeviceRecord,
  options: PredictModelOptions,
  world: { readonly created: Date; readonly commands: readonly string[] },
): ReportData {
  const prediction = predict(model, device, options);
  const { curves, deployment, limits, points } = prediction;
  const [first, last] = [points[0]?.n ?? 1, points.at(-1)?.n ?? 1];
  const drawn = geometric(first, last);
  const {
    options: { attention },
    plan,
  } = deployment;
  return {
    model: modelFacts(model, attention),
    run: null,
    prediction: {
      device: plan.devices > 1 ? `${plan.devices} × ${device.name}` : device.name,
      engine: prediction.engine.name,
      facts: [
        { label: "Rests on", value: dataText(prediction.data, device.name, prediction.engine.name) },
        ...askedFacts(predictModel(model, device, options)),
        ...deploymentFacts(prediction),
        ...deviceFacts(device),
      ],
    },
    phases: [
      phaseReport("prefill", prediction, curves.prefill, drawn),
      ...(curves.decode === null ? [] : [phaseReport("decode", prediction, curves.decode, drawn)]),
    ],
    memory: {
      points: drawn.map((n) => ({
        n,
        weights: curves.memory.weights,
        cache: curves.memory.cache(n),
        activations: curves.memory.activations(n),
      })),
      limitBytes: device.memory.value,
    },
    diagnosis: null,
    limits: { memory: limits.memory, context: limits.context },
    warnings: contextWarnings(
      model,
      points.map(({ n }) => n),
    ),
    assumptions: [...prediction.notes],
    commands: world.commands,
    created: world.created.toISOString(),
    version,
  };
}

function phaseReport(
  phase: "prefill" | "decode",
  prediction: Prediction,
  curve: Curve,
  drawn: readonly number[],
): PhaseReport {
  const point = (n: number) => ({ n, ...curve.interval(n) });
  const { crossover, attentionHalf, level } = prediction;
  const prefill = phase === "prefill";
  return {
    phase,
    batch: prediction.deployment.options.batch,
    measured: [],
    prediction: {
      level,
      points: prediction.points.map(({ n }) => ({ ...point(n), exponent: curve.exponent(n) })),
      curve: drawn.map(point),
      crossover: prefill
        ? { flops: crossover.flops, seconds: crossing(crossover.seconds) }
        : { flops: null, seconds: null },
      attentionHalf: prefill
        ? { flops: attentionHalf.flops, seconds: crossing(attentionHalf.seconds) }
        : { flops: null, seconds: null },
      parts: drawn.map((n) => partsPoint(curve, n)),
    },
    law: null,
    joint: null,
    profile: null,
  };
}

/** What was asked for beside the curves: latencies, a request, a conversation, a trace. */
function askedFacts({ limits, request, conversation, trace }: PredictDocument): Fact[] {
  const both = ({ seconds: value, low, high }: { seconds: number; low: number; high: number }): string =>
    `${seconds(value)} (${seconds(low)} – ${seconds(high)})`;
  const end = (n: number | null): string => (n === null ? "any length" : tokens(n));
  const paid = ({ joules, cost }: { joules: number | null; cost: number | null }): string =>
    `${joules === null ? "" : `, ${si(joules, "J")}`}${cost === null ? "" : `, price ${significant(cost)}`}`;
  return [
    ...limits.latency.map(({ limit, n, low, high }) => ({
      label: limit,
      value: `up to ${end(n)} tokens, surely ${end(low)}, perhaps ${end(high)}`,
    })),
    ...(request === null
      ? []
      : [
          {
            label: `Request of ${tokens(request.input)} in, ${tokens(request.output)} out`,
            value: `${both(request.total)}${paid(request.expense)}; first token after ${both(request.ttft ?? request.prefill)}`,
          },
        ]),
    ...(conversation === null
      ? []
      : [
          {
            label: `Conversation of ${conversation.turns.length} turns`,
            value: `${both(conversation.total)}${paid(conversation.expense)}; without a prefix cache ${both(conversation.totalUncached)}`,
          },
        ]),
    ...(trace === null
      ? []
      : [
          {
            label: `Trace of ${trace.requests} requests, on average`,
            value: `${both((trace.total ?? trace.prefill).mean)}${paid(trace.expense)}`,
          },
        ]),
  ];
}

function deploymentFacts({ deployment }: Prediction): Fact[] {
  const { plan, options } = deployment;
  const { weights, kv, activations } = plan.model.dtypes;
  const { tensor, pipeline, expert, context } = plan.parallel;
  return [
    {
      label: "Weights, cache, activations",
      value: `${deployment.dtype} (${weightFormat(plan.model.storage, weights)}), ${kv}, ${activations}`,
    },
    { label: "Batch", value: String(options.batch) },
    ...(options.chunk === null ? [] : [{ label: "Prefill in chunks of", value: `${options.chunk} tokens` }]),
    ...(plan.link === null
      ? []
      : [
          {
            label: "Devices",
            value: `${plan.devices}: tensor ${tensor}, pipeline ${pipeline}, expert ${expert}, context ${context}`,
          },
          {
            label: "Between devices",
            value: `${plan.link.name}, ${significant(plan.link.bandwidth / 1e9)} GB/s in one direction of use`,
          },
        ]),
  ];
}
