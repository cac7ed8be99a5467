import type { Stack } from "../../src/model/types.js";
import { runAnyFfn } from "./layer.js";
import { runMixer } from "./mixers.js";
import { type Parameters, runNorm } from "./parameters.js";
import { type Sequence, addUp, at, dot, map, rmsNorm, softmax } from "./vectors.js";

/**
 * Block attention residuals (arXiv:2603.15031, equations 8 to 10; Kimi K3): every branch reads a mixture of the embeddings, of
 * whole blocks' sums and of the sum of its own block so far.
 */
export async function runDepth(
  embedded: Sequence,
  { layers, depthBlock = 1 }: Stack,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const kept = [embedded];
  let partial: Sequence | null = null;
  const mix = async (site: string, own: Parameters): Promise<Sequence> => {
    const streams = partial === null ? kept : [...kept, partial];
    if (streams.length === 1) return embedded;
    const query = Float64Array.from(await own.vector(`${site}_query`, hidden, "bias"));
    const norm = await own.vector(`${site}_norm`, hidden, "bias");
    return embedded.map((_, t) => {
      const values = streams.map((stream) => stream[t] ?? new Float64Array(hidden));
      const weights = softmax(values.map((x) => dot(query, rmsNorm(x, norm, 1e-5, false))));
      return map(new Float64Array(hidden), (__, d) => values.reduce((sum, x, i) => sum + at(weights, i) * at(x, d), 0));
    });
  };
  const add = (made: Sequence): void => {
    partial = partial === null ? made : addUp(partial, made);
  };
  for (const [index, layer] of layers.entries()) {
    if (index % depthBlock === 0 && partial !== null) {
      kept.push(partial);
      partial = null;
    }
    const own = parameters.within(`layers.${index}.`);
    const sites = parameters.within(`depth.${index}.depth.`);
    const [mixer] = layer.mixers;
    const [ffn] = layer.ffns;
    if (mixer === undefined || ffn === undefined) throw new Error("a layer of two branches is needed");
    const seen = await runNorm(await mix("mixer", sites), layer.norm, hidden, own.within("mixer.pre_norm."));
    add(await runMixer(seen, mixer, layer.norm, hidden, own.within("mixer.")));
    const before = await mix("ffn", sites);
    const inputs = await runNorm(before, layer.norm, hidden, own.within("ffn.pre_norm."));
    const around = { layer, extras: own.within("extra."), before, activation: null };
    add(await runAnyFfn(inputs, ffn, hidden, own.within("ffn."), around));
  }
  return mix("output", parameters.within("depth.output.depth."));
}
