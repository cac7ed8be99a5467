import type { GgufShapes } from "../model/gguf/random-gguf.js";

/** The shapes of a tiny model that is timed in llama.cpp. */
export type LlamaShapes = Pick<
  GgufShapes,
  "layers" | "hidden" | "heads" | "kvHeads" | "headDim" | "ffn" | "vocabulary"
>;

/** So many tokens at once after so many cached ones; none are cached between models. */
export interface LlamaCell {
  readonly n: number;
  readonly depth: number;
}

export interface LlamaGroup {
  readonly shapes: LlamaShapes;
  /** By ascending depth, so that one filling of the cache serves all. */
  readonly cells: readonly LlamaCell[];
  /** Timed at more moments than the rest, where there are any: the attention of long inputs. */
  readonly often?: true;
}

/** Tokens that llama.cpp computes at a time. */
const llamaPiece = 512;
/** Longest context that a calibration times. */
export const longestInPlan = 16 * llamaPiece;

const vocabulary = 320;

const fresh = (...lengths: readonly number[]): LlamaCell[] => lengths.map((n) => ({ n, depth: 0 }));

/** A whole filling of the cache, each piece of it timed, and single tokens after some of them. */
function filling(pieces: number, singles: readonly number[]): LlamaCell[] {
  return Array.from({ length: pieces }, (_, index) => index * llamaPiece).flatMap((depth) => [
    ...(singles.includes(depth) ? [{ n: 1, depth }] : []),
    { n: llamaPiece, depth },
  ]);
}

/**
 * Everything that a calibration of llama.cpp times. It gives no access to single operators: so models that are all
 * attention, all products of one width, or nothing but overhead. No shape is that of a model which predictions are
 * checked on (SmolLM2-135M: 576, 1536, 9 and 3 heads of 64; Qwen2.5-0.5B: 896, 4864, 14 and 2 heads of 64).
 */
export function llamaPlan(size: "full" | "quick"): LlamaGroup[] {
  const full = size === "full";
  const attending = (heads: number, kvHeads: number, headDim: number): LlamaShapes => {
    return { layers: 1, hidden: 256, heads, kvHeads, headDim, ffn: 256, vocabulary };
  };
  const multiplying = (layers: number, hidden: number, ffn: number): LlamaShapes => {
    return { layers, hidden, heads: hidden / 128, kvHeads: hidden / 512, headDim: 64, ffn, vocabulary };
  };
  const bare = (layers: number): LlamaShapes => {
    return { layers, hidden: 128, heads: 2, kvHeads: 1, headDim: 64, ffn: 128, vocabulary };
  };
  const whole = longestInPlan / llamaPiece;
  const few = fresh(1, 32);
  return [
    { shapes: attending(8, 2, 64), cells: filling(whole, [1024, 3584, 7168]), often: true },
    { shapes: attending(6, 2, 128), cells: filling(full ? whole : whole / 2, full ? [1024, 3584, 7168] : [3584]) },
    ...(full ? [{ shapes: attending(12, 4, 64), cells: filling(whole, [3584, 7168]) }] : []),
    { shapes: multiplying(4, 512, 1408), cells: fresh(1, 8, 64, ...(full ? [256] : []), llamaPiece) },
    { shapes: multiplying(3, 1024, 2816), cells: fresh(1, 4, 16, 64, ...(full ? [128, llamaPiece] : [256])) },
    { shapes: multiplying(2, 2048, 5632), cells: fresh(1, 4, ...(full ? [16, 128, llamaPiece] : [64])) },
    { shapes: bare(1), cells: few },
    { shapes: bare(8), cells: few },
  ];
}

/** A cell in words: `llama layers=1 hidden=256 heads=8 … n=512 depth=1024`. */
export function describeLlama(shapes: LlamaShapes, cell: LlamaCell): string {
  return ["llama", ...Object.entries({ ...shapes, ...cell }).map(([name, value]) => `${name}=${value}`)].join(" ");
}
