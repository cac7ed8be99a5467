import { buildGraph } from "../graph/build.js";
import type { Graph, GraphOptions } from "../graph/types.js";
import type { Arrangement, Ffn, Layer, Mixer, ModelDescription, Stack } from "../model/types.js";
import { patternOf } from "./mixers/block-patterns.js";
import { missingInModule } from "./mixers/whole.js";
import { perLayerInputs } from "./embed.js";
import { misplacedExtras } from "./layer-extras.js";
import { poolsStacks } from "./pooled-stacks.js";
import { strangeExtras, strangeModelExtras, strangeStackExtras, unreadExtras } from "./stack-extras.js";
import { unsupported } from "./unsupported.js";

/** What may be there, per part of a description, for the graph to compute what the model computes. */
const known = {
  embedding: ["rows", "width", "scale", "tables", "norm", "projection"],
  head: ["kind", "tied", "bias", "softcap", "transform", "pooler", "probe"],
  stack: ["kind", "name", "layers", "finalNorm", "length", "extras", "hiddenSize", "depthBlock"],
  layer: ["mixers", "ffns", "norm", "normPlacement", "arrangement", "weightsOf", "withoutMixerNorm", "extras", "aside"],
  norm: ["kind", "bias", "epsilon", "offset", "plain", "affine"],
} as const;

/**
 * The graph that is executed for a model. Pricing describes more models than can be run: parts whose arithmetic the
 * graph only counts are refused by name.
 *
 * @throws NsquaredError `unsupported-operator`
 */
export function runnableGraph(
  model: ModelDescription,
  attention: GraphOptions["attention"],
  head: GraphOptions["head"] = "last",
): Graph {
  const text = textOnly(model);
  const missing = missingParts(text)[0];
  if (missing !== undefined) throw unsupported(model.name, `${missing} cannot be run yet, only priced`);
  return buildGraph(text, { attention, head });
}

/** The model without what text does not pass: towers of pictures and sound, and layers that only look at pictures. */
function textOnly(model: ModelDescription): ModelDescription {
  const stacks = model.stacks
    .filter(({ length }) => length?.kind !== "absent")
    .map((stack) => ({ ...stack, layers: stack.layers.filter(({ onlyWithImage }) => onlyWithImage !== true) }));
  return { ...model, stacks };
}

function missingParts(model: ModelDescription): string[] {
  const layers = new Set(model.stacks.flatMap((stack) => stack.layers));
  const joinsNeighbours = model.extras?.linears?.some(({ name }) => name === "neighbours") === true;
  const ownInputs = model.extras?.linears?.some(({ name }) => name === "per_layer_projection") === true;
  return [
    ...strangeModelExtras(model.extras ?? {}).map((name) => `extras.${name}`),
    ...strange("embedding", model.embedding, known.embedding),
    ...(model.embedding.tables ?? []).flatMap(({ name, width }) =>
      ((name === "positions" || name === "types") && (width === model.embedding.width || joinsNeighbours)) ||
      (name === perLayerInputs && ownInputs)
        ? []
        : [`embedding table ${name}`],
    ),
    ...strange("head", model.head, [...known.head, ...knownOfHead(model)]),
    ...model.stacks.flatMap(({ kind }) => (kind === "decoder" || kind === "encoder" ? [] : [`${kind} stack`])),
    ...(poolsStacks(model) ? [] : strangeStacks(model.stacks)),
    ...model.stacks.flatMap((stack) => [
      ...strange("stack", stack, known.stack),
      ...strangeStackExtras(stack.extras ?? {}).map((name) => `stack.extras.${name}`),
      ...(stack.extras?.convolutions ?? []).flatMap(({ name }) => (name === "overlapping_patches" ? [name] : [])),
      ...(stack.finalNorm === null ? [] : strange("norm", stack.finalNorm, known.norm)),
    ]),
    ...[...layers].flatMap(missingInLayer),
  ];
}

/** A pooler's rows are as many as it reads; two streams are read side by side. */
function knownOfHead({ head, hiddenSize, stacks }: ModelDescription): string[] {
  const both = stacks.at(-1)?.extras?.weights?.some(({ name }) => name === "final_norm") === true;
  return [
    ...(head.kind === "pooler" ? ["rows"] : []),
    ...(head.kind === "lm" ? ["streams"] : []),
    ...(head.rest === undefined ? [] : ["inWidth", "rest"]),
    ...(both && head.inWidth === 2 * hiddenSize && head.transform === undefined ? ["inWidth"] : []),
  ];
}

/** One stack over the new tokens, behind an encoder whose tokens are its own, or alone. */
function strangeStacks(stacks: readonly Stack[]): string[] {
  const [last, encoder, ...others] = stacks.toReversed();
  if (last === undefined || others.length > 0) return [`${stacks.length} stacks`];
  const picture = last.length?.kind === "constant" && (last.extras?.convolutions ?? []).length > 0;
  if (encoder === undefined && last.kind === "encoder" && picture) return [];
  if ((last.length?.kind ?? "new") !== "new") return ["a stack of another length"];
  if (encoder === undefined) return [];
  if (last.kind !== "decoder" || encoder.kind !== "encoder") return [`${stacks.length} stacks`];
  if (encoder.extras?.convolutions?.some(({ name }) => name === "patches") === true) {
    return ["an encoder of pictures under a decoder"];
  }
  const fixed = encoder.length?.kind === "constant" && (encoder.extras?.convolutions ?? []).length > 0;
  return fixed || encoder.length?.kind === "encoder" ? [] : ["an encoder of another length"];
}

const runArrangements: ReadonlySet<Arrangement> = new Set([
  "sequence",
  "parallel",
  "parallel-two-norms",
  "parallel-mixers",
  "parallel-ffns",
]);

function missingInLayer(layer: Layer): string[] {
  const { mixers, ffns, norm, arrangement = "sequence" } = layer;
  return [
    ...strange("layer", layer, known.layer),
    ...strangeExtras(unreadExtras(layer)).map((name) => `layer.extras.${name}`),
    ...misplacedExtras(layer),
    ...strange("norm", norm, known.norm),
    ...(runArrangements.has(arrangement) ? [] : [`arrangement "${arrangement}"`]),
    ...mixers.flatMap(missingInMixer),
    ...ffns.flatMap(missingInFfn),
  ];
}

function missingInFfn(ffn: Ffn): string[] {
  if (ffn.kind === "dense" && ffn.clamp === undefined && ffn.sparsity === undefined) return [];
  const missing = missingInModule(ffn);
  return missing[0] === ffn.kind ? [`feed-forward "${ffn.kind}"`] : missing;
}

function missingInMixer(mixer: Mixer): string[] {
  const missing = missingInModule(mixer);
  if (missing[0] === mixer.kind) return [`mixer "${mixer.kind}"`];
  if (
    mixer.kind === "latent" &&
    mixer.queryRank !== null &&
    (mixer.queryWidth ?? mixer.queryRank) !== mixer.queryRank
  ) {
    return [...missing, "queries from a width of their own"];
  }
  const indexer = mixer.kind === "attention" || mixer.kind === "latent" ? mixer.indexer : undefined;
  if (indexer?.pool !== undefined) return [...missing, "an indexer of pooled keys"];
  if (mixer.kind !== "attention") return missing;
  const { keyValue, span } = mixer;
  const near = span.kind === "full" || span.kind === "chunk" || (span.kind === "window" && span.first === undefined);
  return [
    ...missing,
    ...(keyValue === "shared" && !near ? [`a ${span.kind} span over another layer's cache`] : []),
    ...strangeSpan(mixer),
  ];
}

function strangeSpan(mixer: Extract<Mixer, { kind: "attention" }>): string[] {
  const { span, causal, relativePositions, indexer } = mixer;
  if ((span.kind === "chosen") !== (indexer !== undefined)) {
    return [indexer === undefined ? "a choice of tokens without an indexer" : "an indexer that nobody reads"];
  }
  if (span.kind === "buckets" && !causal && relativePositions === undefined && mixer.sinks !== true) return [];
  const sinks = span.kind === "window" && span.first !== undefined;
  const gaps =
    patternOf(span, causal) !== null || sinks || span.kind === "chosen" || (span.kind === "strided" && causal);
  if (gaps) return relativePositions === undefined ? [] : ["relative positions over keys with gaps between them"];
  return span.kind === "full" || span.kind === "window" || span.kind === "chunk" ? [] : [`${span.kind} span`];
}

/** Entries of a part that say more than what is known, and are not plain "no". */
function strange(part: string, content: object, names: readonly string[]): string[] {
  return Object.entries(content).flatMap(([name, value]) =>
    names.includes(name) || isNothing(value) ? [] : [`${part}.${name}`],
  );
}

/** Plain "no": absent, false, or an empty list of extras. */
function isNothing(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value === undefined || value === false;
  return !Array.isArray(value) && Object.keys(value).length === 0;
}
