import type { Attention, Biases, ExtraProduct, Extras, ExtraWeight } from "../types.js";
import { integer, listOf, sizeOrZero, text } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readBertLike } from "./encoder.js";
import { allBias, flagOr } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** How the two generations of DeBERTa differ. */
interface Generation {
  readonly bias: Biases;
  /** Whether projections of relative positions may be those of the content. */
  readonly mayShare: boolean;
  /** Biases of the two projections of positions. */
  readonly keyBias: boolean;
}

/**
 * models/deberta, models/deberta-v2 (arXiv:2006.03654): disentangled attention adds scores of content against relative
 * position and of relative position against content, over 2·k places.
 */
function readDeberta(config: ConfigReader, generation: Generation): ReaderResult {
  config.ignore("legacy", "pooler_hidden_act", "pooler_hidden_size");
  const biased = flagOr(config, "position_biased_input", true);
  const relative = config.flag("relative_attention") ? relativeParts(config, generation) : null;
  config.ignore("max_relative_positions", "pos_att_type", "share_att_key", "position_buckets", "norm_rel_ebd");
  return readBertLike(config, {
    bias: generation.bias,
    tables: biased ? ["positions", "types"] : ["types"],
    ...(relative === null
      ? {}
      : { extras: relative.model, layer: () => ({ extras: relative.layer }), attention: relative.attention }),
  });
}

function relativeParts(
  config: ConfigReader,
  generation: Generation,
): { readonly model: Extras; readonly layer: Extras; readonly attention: (plain: Attention) => Attention } {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const buckets = config.optional("position_buckets", integer) ?? -1;
  const given = config.optional("max_relative_positions", integer) ?? -1;
  const reach = buckets > 0 ? buckets : given > 0 ? given : config.size("max_position_embeddings");
  const places = 2 * reach;
  const normed = (config.optional("norm_rel_ebd", text) ?? "none").includes("layer_norm");
  const convolution = config.optional("conv_kernel_size", sizeOrZero) ?? 0;
  if (convolution > 0)
    throw config.bad(
      "conv_kernel_size",
      convolution,
      "the convolution beside the first layer is not understood yet; only 0 is",
    );
  const shares = generation.mayShare && flagOr(config, "share_att_key", false);
  const kinds = positionKinds(config);
  const scores = (name: string): ExtraProduct => ({ name, rows: heads, inner: hidden / heads, columns: places });
  const projected = (name: string): ExtraProduct => ({
    name,
    rows: places,
    inner: hidden,
    columns: hidden,
    perSequence: true,
  });
  const weights: ExtraWeight[] = [];
  const products: ExtraProduct[] = [];
  for (const { kind, side, bias } of [
    { kind: "c2p", side: "position_key", bias: generation.keyBias },
    { kind: "p2c", side: "position_query", bias: true },
  ]) {
    if (!kinds.includes(kind)) continue;
    products.push(scores(`${kind}_scores`), projected(`${kind}_positions`));
    if (shares) continue;
    weights.push({ name: side, shape: [hidden, hidden] });
    if (bias) weights.push({ name: `${side}_bias`, shape: [hidden] });
  }
  const asked = (
    [
      ["c2p", "key"],
      ["p2c", "query"],
    ] as const
  ).flatMap(([kind, side]) => (kinds.includes(kind) ? [side] : []));
  const farthest = buckets > 0 ? (given > 0 ? given : config.size("max_position_embeddings")) : null;
  return {
    attention: (plain) => ({
      ...plain,
      // One more kind of score each.
      scale: (plain.keyDim * (1 + asked.length)) ** -0.5,
      disentangled: { reach, farthest, places: asked, shared: shares },
    }),
    model: {
      weights: [
        { name: "relative_positions", shape: [places, hidden] },
        ...(normed ? [{ name: "relative_norm", shape: [2, hidden] }] : []),
      ],
    },
    layer: { weights, products },
  };
}

/** `pos_att_type`: a list, or names with bars between. */
function positionKinds(config: ConfigReader): string[] {
  const raw = config.raw("pos_att_type");
  if (typeof raw === "string") return raw.toLowerCase().split("|");
  return config.optional("pos_att_type", listOf(text)) ?? [];
}

export const debertaReaders: Readonly<Record<string, Reader>> = {
  deberta: (config) =>
    readDeberta(config, {
      bias: { query: true, key: false, value: true, output: true },
      mayShare: false,
      keyBias: false,
    }),
  "deberta-v2": (config) => readDeberta(config, { bias: allBias, mayShare: true, keyBias: true }),
};
