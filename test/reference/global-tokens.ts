import type { Layer } from "../../src/model/types.js";
import { runFfn } from "./layer.js";
import { type Parameters, runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, type Vector, addUp, at, concat, dot, map, normOfBoth, softmax, split } from "./vectors.js";

/** One encoder layer of Pegasus-X (transformers, models/pegasus_x): global tokens first, then those of the text. */
export async function runWithGlobals(
  stream: Sequence,
  { mixers, ffns, norm }: Layer,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const [mixer] = mixers;
  const [ffn] = ffns;
  if (mixer?.kind !== "attention" || mixer.span.kind !== "chunk" || ffn?.kind !== "dense") {
    throw new Error("not a layer of Pegasus-X's kind");
  }
  const { heads, globals = 0, staggered, span } = mixer;
  const own = parameters.within("mixer.");
  const both = await parameters.within("extra.").read("global_norm", [2, hidden], "bias");
  const normed = [
    ...stream.slice(0, globals).map((x) => normOfBoth(x, both, norm.epsilon)),
    ...(await runNorm(stream.slice(globals), norm, hidden, own.within("pre_norm."))),
  ];
  const [query, key, value] = await Promise.all(
    ["query", "key", "value"].map((side) => project(normed, side, [hidden, hidden], own)),
  );
  const first = staggered === true ? Math.floor(span.size / 2) : 0;
  const blockOf = (place: number): number => Math.floor((place - globals + first) / span.size);
  const of = (x: Vector | undefined, head: number): Vector =>
    split(x ?? new Float64Array(hidden), heads)[head] ?? new Float64Array();
  const mixed = normed.map((_, i) =>
    concat(
      Array.from({ length: heads }, (__, head) => {
        const seen = normed.map((___, j) => j).filter((j) => i < globals || j < globals || blockOf(i) === blockOf(j));
        const weights = softmax(seen.map((j) => dot(of(query?.[i], head), of(key?.[j], head)) * mixer.scale));
        return map(of(query?.[i], head), (___, d) =>
          seen.reduce((sum, j, place) => sum + at(weights, place) * at(of(value?.[j], head), d), 0),
        );
      }),
    ),
  );
  const attended = addUp(stream, await project(mixed, "output", [hidden, hidden], own));
  const network = parameters.within("ffn.");
  const inputs = await runNorm(attended, norm, hidden, network.within("pre_norm."));
  return addUp(attended, await runFfn(inputs, ffn, hidden, network, null));
}
