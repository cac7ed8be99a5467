import { sizeOrZero } from "./checks.js";
import type { ConfigReader, Key } from "./config-reader.js";

/** Layers that predict further tokens are in some checkpoints: counted as its parameters, never run. */
export function notePrediction(config: ConfigReader): number {
  return countPrediction(config, config.optional(predictionKeys, sizeOrZero) ?? 0);
}

const predictionKeys: Key = ["num_nextn_predict_layers", "mtp_num_hidden_layers"];

/** The same for families of which few files name such layers. */
export function peekPrediction(config: ConfigReader): number {
  return countPrediction(config, config.peek(predictionKeys, sizeOrZero) ?? 0);
}

function countPrediction(config: ConfigReader, count: number): number {
  // MiniMax names its modules in the config and publishes the checkpoint without them.
  const unpublished = config.peek("num_mtp_modules", sizeOrZero) ?? 0;
  if (unpublished > 0) noteUnpublished(config, unpublished);
  if (count > 0)
    config.note(`layers for multi-token prediction: ${count} in the checkpoint; inference does not run them`);
  return count;
}

/** The config names them and the checkpoint is without. */
export function noteUnpublished(config: ConfigReader, count: number): void {
  config.note(`layers for multi-token prediction: ${count} named and not counted`);
}
