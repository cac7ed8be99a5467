import type { Layer } from "../../src/model/types.js";
import { runAttention } from "./attention.js";
import { type Adapt, type Parameters, runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, activate, addUp, at, concat, map } from "./vectors.js";

export function adaptersOf({ extras }: Layer, parameters: Parameters): Adapt {
  return async (side, inputs, projected) => {
    const named = (end: string) => extras?.linears?.find(({ name }) => name === `${side}_adapter_${end}`);
    const [down, up] = [named("down"), named("up")];
    if (down === undefined || up === undefined) return projected;
    const narrow = await project(inputs, down.name, [down.inWidth, down.outWidth], parameters);
    return addUp(projected, await project(narrow, up.name, [up.inWidth, up.outWidth], parameters));
  };
}

/**
 * A shared block of Zamba and Zamba 2 (transformers, models/zamba2: attention decoder layer): attention to the stream beside
 * the embeddings, and a network behind it, without residuals; `adapt` is the next layer's.
 */
export async function runAside(
  stream: Sequence,
  { mixers, ffns, norm }: Layer,
  hidden: number,
  parameters: Parameters,
  adapt: Adapt,
): Promise<Sequence> {
  const [mixer] = mixers;
  const [ffn] = ffns;
  if (mixer?.kind !== "attention" || ffn?.kind !== "dense") throw new Error("not a block of Zamba's kind");
  const wide = stream.map((x, i) => concat([x, parameters.kept.embedded[i] ?? x]));
  const normed = await runNorm(wide, norm, 2 * hidden, parameters.within("widened.norm."));
  const mixed = await runAttention(normed, mixer, norm, hidden, parameters.within("mixer."), adapt);
  const own = parameters.within("ffn.");
  const inputs = await runNorm(mixed, norm, hidden, own.within("pre_norm."));
  const gates = await project(inputs, "gate", [hidden, ffn.width], own);
  const values = await project(inputs, "up", [hidden, ffn.width], own);
  const both = await adapt(
    "ffn",
    inputs,
    gates.map((gate, i) => concat([gate, values[i] ?? gate])),
  );
  const raised = both.map((x) =>
    map(x.slice(0, ffn.width), (gate, i) => activate(ffn.activation, gate) * at(x, ffn.width + i)),
  );
  return project(raised, "down", [ffn.width, hidden], own);
}
