import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import { type PredictOptions, type Prediction, defaultPredictOptions, predict } from "../predict/predict.js";
import type { PredictDocument } from "./documents/predict.js";

/** Seconds, memory and limits of a model on a device, as one plain document. */
export function predictModel(
  model: ModelDescription,
  device: DeviceRecord,
  options: Partial<PredictOptions> = {},
): PredictDocument {
  return predictionDocument(model, predict(model, device, options), options);
}

/** What a prediction says, without its curves. */
function predictionDocument(
  model: ModelDescription,
  prediction: Prediction,
  options: Partial<PredictOptions> = {},
): PredictDocument {
  const { batch, depth, attention } = { ...defaultPredictOptions, ...options };
  return {
    schema: "nsquared/predict@1",
    name: model.name,
    modelType: model.modelType,
    source: model.source,
    device: prediction.device,
    engine: prediction.engine.name,
    dtype: prediction.dtype,
    batch,
    depth,
    attention,
    data: { basis: prediction.data.basis, range: prediction.data.range },
    level: prediction.level,
    points: prediction.points.map((point) => ({
      n: point.n,
      prefill: { ...point.prefill, ...plainSplit(point.prefill) },
      decode: { ...point.decode, ...plainSplit(point.decode) },
      decodeUncached: point.decodeUncached,
      memory: { ...point.memory },
    })),
    crossover: { flops: prediction.crossover.flops, seconds: prediction.crossover.seconds },
    attentionHalf: { flops: prediction.attentionHalf.flops, seconds: prediction.attentionHalf.seconds },
    limits: prediction.limits,
    notes: [...prediction.notes],
  };
}

type Split = Prediction["points"][number]["decode"];

function plainSplit({ parts, classes, degrees }: Split): {
  parts: PredictDocument["points"][number]["decode"]["parts"];
  classes: PredictDocument["points"][number]["decode"]["classes"];
  degrees: PredictDocument["points"][number]["decode"]["degrees"];
} {
  return { parts: [...parts], classes: [...classes], degrees: [...degrees] };
}
