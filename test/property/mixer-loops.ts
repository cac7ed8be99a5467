import type {
  LinearAttention,
  Linformer,
  Mixer,
  ModelDescription,
  RecurrentCell,
  Rwkv,
} from "../../src/model/types.js";

/** What the loops count for a model of one kind of layer without FFN; FLOPs of multiply-adds as two. */
export interface Loops {
  parameters: number;
  matmulFlops: number;
  attentionFlops: number;
  weightBytes: number;
  stateElements: number;
}

interface At {
  readonly n: number;
  readonly c: number;
  readonly b: number;
}

/** Walks over layers, sequences, tokens and heads and adds up one small product at a time. */
class Counter implements Loops {
  parameters = 0;
  matmulFlops = 0;
  attentionFlops = 0;
  weightBytes = 0;
  stateElements = 0;

  constructor(
    readonly at: At,
    readonly phase: "prefill" | "decode",
  ) {}

  weight(elements: number, reads = 1): void {
    this.parameters += elements;
    this.weightBytes += 4 * elements * reads;
  }

  /** y = W·x for every token, with the weight read once. */
  linear(inWidth: number, outWidth: number, bias = false): void {
    this.weight(inWidth * outWidth + (bias ? outWidth : 0));
    this.eachToken(() => {
      for (let out = 0; out < outWidth; out += 1) this.matmulFlops += 2 * inWidth;
    });
  }

  eachToken(work: (token: number) => void): void {
    for (let sequence = 0; sequence < this.at.b; sequence += 1) {
      for (let token = 0; token < this.at.n; token += 1) work(token);
    }
  }

  attention(multiplyAdds: number): void {
    this.matmulFlops += 2 * multiplyAdds;
    this.attentionFlops += 2 * multiplyAdds;
  }
}

export function loopsOf(model: ModelDescription, phase: "prefill" | "decode", at: At): Loops {
  const counter = new Counter(at, phase);
  const hidden = model.hiddenSize;
  for (const stack of model.stacks) {
    for (const layer of stack.layers) {
      counter.weight(hidden);
      for (const mixer of layer.mixers) countMixer(counter, mixer, hidden);
    }
    counter.weight(hidden);
  }
  // Looked up, not read as a whole.
  counter.parameters += model.vocabularySize * hidden;
  counter.linear(hidden, model.vocabularySize);
  const { parameters, matmulFlops, attentionFlops, weightBytes, stateElements } = counter;
  return { parameters, matmulFlops, attentionFlops, weightBytes, stateElements };
}

function countMixer(counter: Counter, mixer: Mixer, hidden: number): void {
  if (mixer.kind === "linear") countLinear(counter, mixer, hidden);
  else if (mixer.kind === "rwkv") countRwkv(counter, mixer, hidden);
  else if (mixer.kind === "cell") countCell(counter, mixer, hidden);
  else if (mixer.kind === "linformer") countLinformer(counter, mixer, hidden);
  else throw new Error(`no loops over ${mixer.kind}`);
}

/** Products with a state of keys × values per head: written and read; pairs inside a chunk of a prefill. */
function countState(
  counter: Counter,
  shape: { heads: number; keys: number; values: number; chunk: number },
  rule: "linear" | "delta",
): void {
  const { heads, keys, values, chunk } = shape;
  counter.stateElements += counter.at.b * heads * keys * values;
  counter.eachToken(() => {
    for (let head = 0; head < heads; head += 1) {
      // S += kᵀv, o = q·S; the delta rule reads what the state says of the key, too.
      for (let product = 0; product < (rule === "delta" ? 3 : 2); product += 1) counter.attention(keys * values);
      if (counter.phase === "decode") continue;
      for (let other = 0; other < Math.min(chunk, counter.at.n); other += 1) {
        counter.attention(keys + values);
        // Pairs of keys, and half of a triangle to solve for keys and values.
        if (rule === "delta") counter.attention(keys + (keys + values) / 2);
      }
    }
  });
}

function countLinear(counter: Counter, mixer: LinearAttention, hidden: number): void {
  const { heads, keyDim, valueDim, feature, decay } = mixer;
  counter.linear(hidden, heads * keyDim);
  counter.linear(hidden, heads * keyDim);
  counter.linear(hidden, heads * valueDim);
  let keys = keyDim;
  if (typeof feature === "object") {
    keys = feature.random;
    counter.parameters += keys * keyDim;
    // Once for the queries, once for the keys.
    counter.weightBytes += 2 * 4 * keys * keyDim;
    counter.eachToken(() => {
      for (let head = 0; head < heads; head += 1) counter.matmulFlops += 2 * 2 * keys * keyDim;
    });
  }
  if (typeof decay === "object") {
    counter.linear(hidden, decay.rank);
    counter.linear(decay.rank, heads * keyDim, true);
  }
  const values = valueDim + (mixer.normalised ? 1 : 0);
  if (mixer.causal) countState(counter, { heads, keys, values, chunk: mixer.chunk }, "linear");
  else {
    counter.eachToken(() => {
      for (let head = 0; head < heads; head += 1) counter.attention(2 * keys * values);
    });
  }
  if (mixer.gated) {
    counter.linear(hidden, heads * valueDim);
    counter.weight(valueDim);
  }
  counter.linear(heads * valueDim, hidden);
}

function countRwkv(counter: Counter, mixer: Rwkv, hidden: number): void {
  const { version, width, headDim, ranks } = mixer;
  const lowRank = (rank: number, out: number): void => {
    counter.linear(hidden, rank);
    counter.linear(rank, out);
  };
  for (let projection = 0; projection < 3; projection += 1) counter.linear(hidden, width);
  counter.linear(width, hidden);
  // Norm of each head, with a bias.
  counter.weight(2 * width);
  counter.weight((version === 5 ? 4 : 6) * hidden);
  if (version === 7) {
    lowRank(ranks.decay, width);
    lowRank(ranks.rate, width);
    lowRank(ranks.gate, width);
    counter.weight(5 * width);
    if (mixer.first !== true) {
      lowRank(ranks.value, width);
      counter.weight(width);
    }
  } else {
    counter.linear(hidden, width);
    counter.weight(2 * width);
  }
  if (version === 6) {
    counter.linear(hidden, 5 * ranks.mix);
    for (let mixture = 0; mixture < 5; mixture += 1) counter.linear(ranks.mix, hidden);
    lowRank(ranks.decay, width);
  }
  countState(
    counter,
    { heads: width / headDim, keys: headDim, values: headDim, chunk: mixer.chunk },
    version === 7 ? "delta" : "linear",
  );
  // The token before, once for time mixing and once for channel mixing.
  counter.stateElements += counter.at.b * 2 * hidden;
}

function countCell(counter: Counter, { cell, width, bias }: RecurrentCell, hidden: number): void {
  const gates = cell === "lstm" ? 4 : 3;
  counter.linear(hidden, gates * width, bias);
  // Each step reads the recurrent weight again, for all sequences at once.
  counter.weight(gates * width * width + (bias ? gates * width : 0), counter.at.n);
  counter.eachToken(() => {
    for (let row = 0; row < gates * width; row += 1) counter.matmulFlops += 2 * width;
  });
  counter.stateElements += counter.at.b * width * (cell === "lstm" ? 2 : 1);
  if (width !== hidden) counter.linear(width, hidden, bias);
}

function countLinformer(counter: Counter, mixer: Linformer, hidden: number): void {
  const { heads, headDim, length, positions, shared, bias } = mixer;
  const width = heads * headDim;
  for (let projection = 0; projection < 3; projection += 1) counter.linear(hidden, width, bias);
  counter.linear(width, hidden, bias);
  counter.parameters += (shared ? 1 : 2) * length * positions;
  counter.weightBytes += 2 * 4 * length * positions;
  counter.eachToken(() => {
    // This token's key and value go into every row; its query meets every row.
    for (let row = 0; row < length; row += 1) {
      counter.attention(2 * width);
      for (let head = 0; head < heads; head += 1) counter.attention(2 * headDim);
    }
  });
}
