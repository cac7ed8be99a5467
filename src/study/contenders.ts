import { badInput } from "../base/errors.js";
import type { ModelDescription } from "../model/types.js";
import { type Scaling, scaled } from "../variants/scale.js";
import { type VariantRun, type VariantWeights, looksLikeVariant, parseVariant } from "../variants/variant.js";
import type { MeasuredPhase } from "./measure.js";

/** One side of a comparison: a model, or a variant of one, and how to run it. */
export interface Contender {
  /** Unique among the contenders: `window:1024`, or a model's name. */
  readonly name: string;
  readonly summary: string;
  readonly model: ModelDescription;
  readonly run: VariantRun;
}

/** The kernel of attention that a contender runs with. */
export function attentionOf({ run }: Pick<Contender, "run">): "naive" | "fused" {
  return run.attention ?? "fused";
}

/** How a contender times one token more: with its cache, or the whole sequence again. */
export function phaseOf(phase: "prefill" | "decode", { run }: Pick<Contender, "run">): MeasuredPhase {
  return phase === "decode" && run.uncached === true ? "decode-uncached" : phase;
}

export interface ContenderOptions {
  /** The model that variants are made of, or null. */
  readonly like: string | null;
  readonly scaling: Scaling;
  /** How weights are stored where a variant does not say. */
  readonly weights: VariantWeights | null;
}

/**
 * What the words of a comparison name: variants of the model `like`, or models.
 *
 * @throws NsquaredError where a variant has no model to be made of, cannot be applied, or a name comes twice
 */
export async function contendersOf(
  words: readonly string[],
  { like, scaling, weights }: ContenderOptions,
  load: (location: string) => Promise<ModelDescription>,
): Promise<Contender[]> {
  const base = like === null ? null : scaled(await load(like), scaling);
  const run = weights === null ? {} : { weights };
  const contenders: Contender[] = [];
  for (const word of words) {
    if (!looksLikeVariant(word)) {
      const model = scaled(await load(word), scaling);
      contenders.push({ name: model.name, summary: `the model ${model.name}`, model, run });
      continue;
    }
    const variant = parseVariant(word);
    if (base === null) {
      throw badInput("model-missing", {
        where: word,
        key: "--like",
        expected: "name the model that variants are made of, as --like SmolLM2-135M",
      });
    }
    contenders.push({
      name: variant.name,
      summary: variant.summary,
      model: variant.apply(base),
      run: { ...run, ...variant.run },
    });
  }
  const names = contenders.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw badInput("contender-twice", { where: "compare", key: "name", found: twice, expected: "each one once" });
  }
  return contenders;
}
