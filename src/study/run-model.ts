import { badInput } from "../base/errors.js";
import type { LoadedModel } from "../model/stored.js";
import { type Run, isOfServer } from "../runs/schema.js";
import { scaled } from "../variants/scale.js";
import { modelOfRun } from "./measure.js";

/** A run's model in words, with what it was made smaller by. */
export function modelText({ name, source, scaling }: Run["model"]): string {
  const made = Object.entries(scaling ?? {}).map(([key, value]) => `--${key} ${String(value)}`);
  return `${name} (${[source, ...made].join(", ")})`;
}

/**
 * A model as a run executed it: with the layers, width and vocabulary that the run was made with. A server does not tell its
 * model's architecture, so for one the model is what it is said to be.
 *
 * @param named how the model was named, for the message
 * @throws NsquaredError `model-differs` where the run measured another one
 */
export function modelAsRun(model: LoadedModel, run: Run, named: string): LoadedModel {
  if (isOfServer(run)) return model;
  const executed = scaled(model, run.model.scaling ?? {});
  if (modelOfRun(executed).digest === run.model.digest) return executed;
  throw badInput("model-differs", {
    where: named,
    key: "model",
    found: model.name,
    expected: `the run measured another model, ${modelText(run.model)}, or one of that name with other layers or sizes; name that one with --model`,
  });
}
