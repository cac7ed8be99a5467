import { percent, seconds, tokens } from "../base/format.js";
import { noParallelism } from "../variants/shard.js";
import type { Curve } from "./curve.js";
import { type Deployment, deploy } from "./deployment.js";
import { splitAt } from "./split.js";

/** Where several devices are slower than one, which happens at short lengths: the note that says why. */
export function slowerNotes(deployment: Deployment, lengths: readonly number[]): string[] {
  if (deployment.plan.devices === 1) return [];
  const alone = deploy(deployment.model, deployment.device, { ...deployment.options, parallel: noParallelism });
  return [
    ...slowerNote("a prefill", "n", deployment.prefill, alone.prefill, lengths),
    ...(deployment.decode === null || alone.decode === null
      ? []
      : slowerNote("a decode step", "c", deployment.decode, alone.decode, lengths)),
  ];
}

function slowerNote(what: string, variable: string, many: Curve, one: Curve, lengths: readonly number[]): string[] {
  const slower = lengths.filter((length) => many.seconds(length) > one.seconds(length));
  const [first] = slower;
  const last = slower.at(-1);
  if (first === undefined || last === undefined) return [];
  const { parts } = splitAt(many, first);
  const exchange = parts.find(({ name }) => name === "network")?.share ?? 0;
  const where =
    slower.length === lengths.length
      ? "at every length asked for"
      : `from ${variable} = ${tokens(first)} to ${tokens(last)}`;
  return [
    `${what} is slower than on one device ${where} (${seconds(many.seconds(first))} against ${seconds(one.seconds(first))} at ${tokens(first)}): ${percent(exchange)} of it is exchange between devices, and starting kernels is not divided`,
  ];
}
