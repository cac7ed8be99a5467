import type { Choice } from "./choice.js";
import type { Weight } from "../graph/types.js";
import type { KeySpan } from "../model/types.js";
import type { ModelBuilder } from "./builder.js";
import type { ParameterLayout } from "./parameters.js";
import type { Provider } from "./provider.js";

/**
 * How matrices that activations are multiplied by are stored: float32, float16 where the provider multiplies in it, or blocks of
 * 8 or 4 bits (MatMulNBits).
 */
export type WeightFormat = "f32" | "f16" | "q8" | "q4";

export interface LoweringOptions {
  /** Longest c + n that the session will see: the length of the rotary tables. */
  readonly positions: number;
  /** float32 where it is left out. */
  readonly weights?: WeightFormat;
  /** What the model is to run on; the processor where it is left out. */
  readonly provider?: Provider;
}

/**
 * Which of the earlier tokens a cache holds: all, the last so many (and before them the first ones of the sequence),
 * those of the chunk that is not full yet, or what the encoder left, which no step adds to: `tokens` where fixed.
 */
export type Kept =
  | { readonly kind: "all" }
  | { readonly kind: "encoder"; readonly tokens: number | null }
  | { readonly kind: "last"; readonly tokens: number; readonly first?: number }
  | { readonly kind: "chunk"; readonly size: number }
  /** One for each `ratio` whole tokens. */
  | { readonly kind: "grouped"; readonly ratio: number };

/** Tokens that the next ones may look at. */
export function keptBy(span: KeySpan): Kept {
  switch (span.kind) {
    case "window":
      return {
        kind: "last",
        tokens: span.size - 1,
        ...(span.first === undefined ? {} : { first: span.first }),
      };
    case "chunk":
      return { kind: "chunk", size: span.size };
    case "compressed":
      return { kind: "grouped", ratio: span.ratio };
    case "full":
    case "chosen":
    case "buckets":
    case "blocks":
    case "ranked":
    case "strided":
      return { kind: "all" };
  }
}

/** Tokens that a cache holds after `depth` tokens; an encoder's input is as long as what came before unless stated. */
export function keptTokens(kept: Kept, depth: number): number {
  switch (kept.kind) {
    case "all":
      return depth;
    case "encoder":
      return depth === 0 ? 0 : (kept.tokens ?? depth);
    case "last":
      return Math.min(depth, kept.tokens + (kept.first ?? 0));
    case "chunk":
      return depth % kept.size;
    case "grouped":
      return Math.floor(depth / kept.ratio);
  }
}

/** A state of constant size: [b, …shape], zeros before the first token. */
export interface StateBinding {
  readonly past: string;
  readonly present: string;
  readonly shape: readonly number[];
}

/** One cache of the model: inputs that hold earlier tokens, outputs with the new ones. [b, kvHeads, tokens, dim] each. */
export interface CacheBinding {
  readonly kept: Kept;
  /** What the outputs hold: everything kept, or the new tokens alone, which the caller adds to what it has. */
  readonly hands: "all" | "new";
  readonly past: { readonly key: string; readonly value: string };
  readonly present: { readonly key: string; readonly value: string };
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

/** Names of the model's inputs beside the caches. Which of them a model has depends on its attention. */
export const inputNames = {
  /** Token ids, int64 [b, n]. */
  ids: "ids",
  /** Token ids of an encoder that a decoder reads, int64 [b, m]; read in the first pass of a sequence only. */
  encoderIds: "encoder.ids",
  /** The same of an encoder of sound: mel spectrum, float32 [b, bins, frames]. */
  encoderFeatures: "encoder.features",
  /** Index of each sequence's last token, c + n − 1, int32 [b]. */
  last: "last",
  /** c + n, int32, no dimensions. */
  total: "total",
  /** c, int64 [1]. */
  depth: "depth",
} as const;

/** The output of an encoder that a decoder reads. */
export interface EncoderOutput {
  /** [b, m, width] in the first pass of a sequence; nobody reads it later. */
  readonly hidden: string;
  /** m where it is fixed. */
  readonly tokens: number | null;
  /** Whether this pass is the first: bool [1]. Later ones find the encoder's keys and values in the caches. */
  readonly first: string;
}

/** What the lowering of one operator works with. Names of values and weights are those of its block. */
export interface Scope {
  readonly builder: ModelBuilder;
  readonly layout: ParameterLayout;
  readonly options: LoweringOptions;
  /** Tables that are looked up in and multiplied by, by their names in the model, and stored as what is multiplied by. */
  readonly tied: ReadonlySet<string>;
  /** Name in the model of a value of the block. */
  value(local: string): string;
  /** Name in the model of something new that belongs to this instance. */
  fresh(local: string): string;
  /** Name of a parameter of the block, as instances that share weights share it. */
  qualified(local: string): string;
  /** Size of the last dimension of a value. */
  width(local: string): number;
  weight(local: string): { readonly name: string; readonly weight: Weight };
  /** Name in the model of an initializer that holds this weight. */
  parameter(local: string, offset?: boolean): string;
  hasWeight(local: string): boolean;
  /** The block behind this one, where it has what this one's result goes to. */
  readonly next: Scope | null;
  /** What the encoder hands to the decoder; null where there is none. */
  readonly encoder: EncoderOutput | null;
  /** Values that a layer leaves for later ones of the same stack, by what they are. */
  readonly left: Map<string, string>;
  /** What the indexers of earlier layers choose by: layers without one of their own take the last. */
  readonly choices: Choice[];
  /** The cache of the last layer before that keeps all tokens; null where there is none. */
  latestCache(): CacheBinding | null;
  /** The cache of that name; `kept` and `hands` are of interest where it is asked for first. */
  cache(local: string, kept?: Kept, hands?: CacheBinding["hands"]): CacheBinding;
  /** A new state, [b, …shape]. */
  state(shape: readonly number[]): StateBinding;
}
