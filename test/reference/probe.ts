import type { Head, ModelDescription } from "../../src/model/types.js";
import { type Parameters, runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, type Vector, activate, addUp, at, concat, dot, map, softmax, split } from "./vectors.js";

/** SigLIP's pooling head (transformers, models/siglip: SiglipMultiheadAttentionPoolingHead). */
export async function runProbe(
  tokens: Sequence,
  { heads, width, activation }: NonNullable<Head["probe"]>,
  model: ModelDescription,
  own: Parameters,
): Promise<Sequence> {
  const hidden = model.hiddenSize;
  const norm = model.stacks.at(-1)?.finalNorm;
  if (norm === null || norm === undefined) throw new Error("a norm is needed");
  const token = Float64Array.from(await own.vector("token", hidden, "bias"));
  const [query] = await project([token], "query", [hidden, hidden], own, true);
  const keys = await project(tokens, "key", [hidden, hidden], own, true);
  const values = await project(tokens, "value", [hidden, hidden], own, true);
  const headOf = (x: Vector | undefined, head: number): Vector =>
    split(x ?? new Float64Array(hidden), heads)[head] ?? new Float64Array();
  const mixed = concat(
    Array.from({ length: heads }, (_, head) => {
      const asked = headOf(query, head);
      const weights = softmax(keys.map((key) => dot(asked, headOf(key, head)) / Math.sqrt(asked.length)));
      return map(asked, (__, d) =>
        values.reduce((sum, value, i) => sum + at(weights, i) * at(headOf(value, head), d), 0),
      );
    }),
  );
  const attended = await project([mixed], "output", [hidden, hidden], own, true);
  const normed = await runNorm(attended, { ...norm, kind: "layer", bias: true }, hidden, own.within("norm."));
  const raised = (await project(normed, "up", [hidden, width], own, true)).map((x) =>
    map(x, (value) => activate(activation, value)),
  );
  return addUp(attended, await project(raised, "down", [width, hidden], own, true));
}
