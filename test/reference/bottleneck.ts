import type { Layer, ModelDescription } from "../../src/model/types.js";
import { type Parameters, runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import { runFfn } from "./layer.js";
import { type Sequence, type Vector, addUp, at, concat, dot, linear, map, row, softmax, split } from "./vectors.js";

/** MobileBERT's embeddings and layers (transformers, models/mobilebert), token by token. */

/** Scaled by the first half of a parameter and shifted by the second. */
function moved(x: Vector, both: Float32Array): Vector {
  return map(x, (value, i) => value * at(both, i) + at(both, x.length + i));
}

export async function joinNeighbours(
  rows: Sequence,
  model: ModelDescription,
  parameters: Parameters,
): Promise<Sequence> {
  const { hiddenSize: hidden, embedding } = model;
  const own = parameters.within("embedding.");
  const projection = {
    weight: await own.matrix("position.projection.weight", hidden, embedding.width),
    bias: await own.vector("position.projection.bias", hidden, "bias"),
  };
  const extras = parameters.within("extras.extra.");
  const nothing = new Float64Array(embedding.width);
  const around = rows.map((_, i) => concat([rows[i + 1] ?? nothing, rows[i - 1] ?? nothing]));
  const beside = await project(around, "neighbours", [2 * embedding.width, hidden], extras);
  let sum = addUp(
    rows.map((x) => linear(x, projection)),
    beside,
  );
  for (const { name, rows: count } of embedding.tables ?? []) {
    const table = await own.matrix(name, count, hidden);
    sum = addUp(
      sum,
      sum.map((_, i) => row(table, hidden, name === "positions" ? i : 0)),
    );
  }
  const norm = await extras.read("embedding_norm", [2, hidden], "bias");
  return sum.map((x) => moved(x, norm));
}

export async function runBottleneck(
  stream: Sequence,
  { mixers, ffns, norm }: Layer,
  inner: number,
  parameters: Parameters,
): Promise<Sequence> {
  const [mixer] = mixers;
  if (mixer?.kind !== "attention") throw new Error("no attention in the bottleneck");
  const wide = stream[0]?.length ?? inner;
  const extras = parameters.within("extra.");
  const norms = await extras.read("into_norms", [2, 2, inner], "bias");
  const enter = async (name: string, which: 0 | 1): Promise<Sequence> => {
    const both = norms.subarray(which * 2 * inner, (which + 1) * 2 * inner);
    return (await project(stream, name, [wide, inner], extras, true)).map((x) => moved(x, both));
  };
  const entered = await enter("into", 0);
  const seen = await enter("into_attention", 1);
  const own = parameters.within("mixer.");
  const query = await project(seen, "query", [inner, inner], own, true);
  const key = await project(seen, "key", [inner, inner], own, true);
  const near = await project(
    stream.map((x) => x.slice(0, inner)),
    "value",
    [inner, inner],
    own,
    true,
  );
  const far = await project(
    stream.map((x) => x.slice(inner)),
    "value_rest",
    [wide - inner, inner],
    extras,
  );
  const value = addUp(near, far);
  const { heads } = mixer;
  const mixed = query.map((q) =>
    concat(
      split(q, heads).map((part, head) => {
        const of = (x: Vector): Vector => split(x, heads)[head] ?? part;
        const weights = softmax(key.map((k) => dot(part, of(k)) * mixer.scale));
        return map(part, (_, d) => value.reduce((sum, v, i) => sum + at(weights, i) * at(of(v), d), 0));
      }),
    ),
  );
  const attended = await project(mixed, "output", [inner, inner], own, true);
  let result = await runNorm(addUp(entered, attended), norm, inner, own.within("post_norm."));
  for (const [index, ffn] of ffns.entries()) {
    if (ffn.kind !== "dense") throw new Error("no dense network in the bottleneck");
    const part = parameters.within(ffns.length === 1 ? "ffn." : `ffn${index}.`);
    const made = await runFfn(result, ffn, inner, part, null);
    result = await runNorm(addUp(result, made), norm, inner, part.within("post_norm."));
  }
  const out = await project(result, "out", [inner, wide], extras, true);
  const both = await extras.read("out_norm", [2, wide], "bias");
  return addUp(out, stream).map((x) => moved(x, both));
}
