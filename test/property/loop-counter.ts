import type { Attention, ModelDescription } from "../../src/model/types.js";

/** What the loop counter counts; FLOPs of multiply-adds as two, bytes of float32 activations and weights. */
export interface Counted {
  matmulFlops: number;
  attentionFlops: number;
  vectorFlops: number;
  weightBytes: number;
  cacheBytesRead: number;
}

/**
 * Counts by walking over layers, sequences, positions, heads and keys, one multiply-add at a time where the
 * position decides and one row at a time otherwise. Slow, and obvious: the closed forms are checked against it.
 */
export function countByLoops(model: ModelDescription, at: { n: number; c: number; b: number }): Counted {
  const counted: Counted = { matmulFlops: 0, attentionFlops: 0, vectorFlops: 0, weightBytes: 0, cacheBytesRead: 0 };
  const weight = (elements: number): void => {
    counted.weightBytes += 4 * elements;
  };
  const matmul = (rows: number, inWidth: number, outWidth: number, bias: boolean): void => {
    for (let row = 0; row < rows; row += 1) {
      counted.matmulFlops += 2 * inWidth * outWidth;
      if (bias) counted.vectorFlops += outWidth;
    }
    weight(inWidth * outWidth + (bias ? outWidth : 0));
  };
  // Square, sum, multiply by the root, multiply by the weight.
  const norm = (rows: number, width: number): void => {
    for (let row = 0; row < rows; row += 1) counted.vectorFlops += 4 * width;
  };
  const tokens = at.n * at.b;
  const hidden = model.hiddenSize;
  for (const stack of model.stacks) {
    for (const layer of stack.layers) {
      const norms = (layer.normPlacement === "sandwich" ? 2 : 1) * (layer.mixers.length + layer.ffns.length);
      weight(norms * hidden);
      norm(norms * tokens, hidden);
      // What each branch gives is added to the stream.
      counted.vectorFlops += tokens * (layer.mixers.length + layer.ffns.length) * hidden;
      for (const mixer of layer.mixers) {
        if (mixer.kind !== "attention") throw new Error(`no loops over ${mixer.kind}`);
        matmul(tokens, hidden, mixer.heads * mixer.keyDim, mixer.bias.query);
        matmul(tokens, hidden, mixer.kvHeads * mixer.keyDim, mixer.bias.key);
        matmul(tokens, hidden, mixer.kvHeads * mixer.valueDim, mixer.bias.value);
        matmul(tokens, mixer.heads * mixer.valueDim, hidden, mixer.bias.output);
        if (mixer.queryKeyNorm === "per-head") weight(2 * mixer.keyDim);
        if (mixer.queryKeyNorm === "per-layer") weight((mixer.heads + mixer.kvHeads) * mixer.keyDim);
        if (mixer.queryKeyNorm !== "none") norm(tokens * (mixer.heads + mixer.kvHeads), mixer.keyDim);
        // Two products and a sum per turned element.
        counted.vectorFlops += tokens * (mixer.heads + mixer.kvHeads) * 3 * (mixer.rotary?.dims ?? 0);
        countAttention(counted, mixer, at);
      }
      for (const ffn of layer.ffns) {
        if (ffn.kind !== "dense") throw new Error(`no loops over ${ffn.kind}`);
        matmul(tokens, hidden, ffn.width, ffn.bias);
        if (ffn.gated) matmul(tokens, hidden, ffn.width, ffn.bias);
        // SiLU: exponential, sum, quotient, product; then the gate.
        counted.vectorFlops += tokens * ffn.width * (ffn.gated ? 4 + 1 : 4);
        matmul(tokens, ffn.width, hidden, ffn.bias);
      }
    }
    if (stack.finalNorm !== null) {
      weight(hidden);
      norm(at.b, hidden);
    }
  }
  matmul(at.b, hidden, model.vocabularySize, model.head.bias);
  return counted;
}

/** Whether the query at `query` may look at the key at `key`, both counted from the start of the sequence. */
function visible(mixer: Attention, query: number, key: number): boolean {
  if (mixer.causal && key > query) return false;
  switch (mixer.span.kind) {
    case "full":
      return true;
    case "window":
    case "chosen":
      return query - key < mixer.span.size;
    case "chunk":
      return Math.floor(query / mixer.span.size) === Math.floor(key / mixer.span.size);
    case "buckets":
    case "blocks":
    case "ranked":
    case "strided":
      throw new Error(`no loops over ${mixer.span.kind}`);
  }
}

function countAttention(counted: Counted, mixer: Attention, at: { n: number; c: number; b: number }): void {
  for (let sequence = 0; sequence < at.b; sequence += 1) {
    const touched = new Set<number>();
    for (let query = at.c; query < at.c + at.n; query += 1) {
      for (let key = 0; key < at.c + at.n; key += 1) {
        if (!visible(mixer, query, key)) continue;
        if (key < at.c) touched.add(key);
        for (let head = 0; head < mixer.heads; head += 1) {
          counted.attentionFlops += 2 * (mixer.keyDim + mixer.valueDim);
          counted.matmulFlops += 2 * (mixer.keyDim + mixer.valueDim);
          // Softmax: scale, maximum, difference and exponential, sum, quotient.
          counted.vectorFlops += 5;
        }
      }
    }
    // The cache holds float16.
    counted.cacheBytesRead += touched.size * mixer.kvHeads * (mixer.keyDim + mixer.valueDim) * 2;
  }
}
