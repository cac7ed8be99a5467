import type { LightningAttention, MatrixLstm, RgLru, ShortConvolution } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { inputNames } from "../scope.js";
import type { Around } from "./around.js";
import { addConvolution } from "./convolution.js";
import { addLinearRecurrence, withOnes } from "./linear-recurrence.js";

/** Largest magnitude of an input gate's logarithm (xLSTM-7B's soft cap). */
const gateCap = 15;
/** Factor on the recurrent gate of the RG-LRU (Griffin, arXiv:2402.19427, section 2.4). */
const recurrentFactor = 8;

/**
 * Lightning attention (MiniMax-01, arXiv:2501.08313): SiLU of queries, keys and values, a fixed decay exp(−2^(−8h/H)) for
 * head h of H (h from 1, the slopes of ALiBi), norm, sigmoid gate.
 */
export function addLightning(
  e: Emitter,
  input: string,
  { heads, headDim }: LightningAttention,
  { norm }: Around,
): string {
  const width = heads * headDim;
  const projected = e.silu(e.linear("query_key_value", input));
  const [query = "", key = "", value = ""] = e.split(projected, [width, width, width]);
  const slopes = Array.from({ length: heads }, (_, head) => -(2 ** ((-8 * (head + 1)) / heads)));
  const shape = [e.length(input, 0), e.length(input, 1), heads];
  const mixed = addLinearRecurrence(e, {
    queryHeads: heads,
    heads,
    keyDim: headDim,
    valueDim: headDim,
    query,
    key,
    value,
    decay: e.expand(e.scope.builder.floats(slopes), shape),
  });
  const normed = e.rms(mixed, e.weight("norm.weight", norm.offset), norm.epsilon);
  return e.linear("out", e.multiply(normed, e.sigmoid(e.linear("gate", input))));
}

/**
 * Matrix memory of xLSTM (arXiv:2405.04517): S ← σ(f)·S + exp(i)·k·vᵀ and the same for the sum of keys z; output
 * Sᵀq / max(|zᵀq|, 1), which is what the paper's stabilised form comes to. The input gate is capped, so that exp(i) stays
 * within float32. The sum of keys is one more column of the state.
 */
export function addMatrixLstm(e: Emitter, input: string, mixer: MatrixLstm, { norm }: Around): string {
  const { heads, keyDim, valueDim } = mixer;
  const { builder } = e.scope;
  const cap = (gate: string): string => e.scale(e.node("Tanh", [e.scale(gate, 1 / gateCap)]), gateCap);
  const strength = e.node("Exp", [cap(e.linear("input_gate", input))]);
  // log σ(f) = −softplus(−f)
  const decay = e.node("Neg", [e.node("Softplus", [e.node("Neg", [cap(e.linear("forget_gate", input))])])]);
  const keys = e.reshape(e.linear("key", input), [0, 0, heads, keyDim]);
  const key = e.reshape(e.multiply(keys, e.reshape(strength, [0, 0, heads, 1])), [0, 0, heads * keyDim]);
  const values = e.reshape(e.linear("value", input), [0, 0, heads, valueDim]);
  const mixed = addLinearRecurrence(e, {
    queryHeads: heads,
    heads,
    keyDim,
    valueDim: valueDim + 1,
    query: e.linear("query", input),
    key,
    value: withOnes(e, values, heads, valueDim),
    decay,
    scale: keyDim ** -0.5,
  });
  const [sum = "", weight = ""] = e.split(e.reshape(mixed, [0, 0, heads, valueDim + 1]), [valueDim, 1]);
  const whole = e.node("Div", [sum, e.node("Max", [e.node("Abs", [weight]), builder.scalar(1)])]);
  const weightOfNorm = e.reshape(e.weight("norm.weight", norm.offset), [heads, valueDim]);
  const plain = e.normalised(whole, norm.kind, valueDim, norm.epsilon);
  let normed = e.reshape(e.multiply(plain, weightOfNorm), [0, 0, heads * valueDim]);
  if (e.has("norm.bias")) normed = e.add(normed, e.weight("norm.bias"));
  return e.linear("out", e.multiply(normed, e.sigmoid(e.linear("output_gate", input))));
}

/**
 * Real-gated linear recurrence of Griffin (arXiv:2402.19427): h ← a·h + √(1 − a²)·(i ⊙ x) per channel, with
 * a = exp(−8·r·softplus(decay)), gates r and i from x by blocks of channels. The first token of all enters unscaled.
 */
export function addRgLru(e: Emitter, input: string, mixer: RgLru): string {
  const { width, heads, convolution: kernel } = mixer;
  const { builder } = e.scope;
  const gate = e.gelu(e.linear("gate", input), "tanh");
  const x = addConvolution(e, e.linear("in", input), "convolution", { width, kernel });
  const block = width / heads;
  // [b, n, heads, 1, block] · [heads, block, block]: a matrix for each block of channels.
  const blocks = e.reshape(x, [0, 0, heads, 1, block]);
  const byBlock = (name: string): string => {
    const weights = e.transpose(e.reshape(e.weight(`${name}.weight`), [heads, block, block]), [0, 2, 1]);
    const product = e.reshape(e.matmul(blocks, weights), [0, 0, width]);
    return e.sigmoid(e.add(product, e.weight(`${name}.bias`)));
  };
  const entering = byBlock("input_gate");
  const rate = e.scale(e.node("Softplus", [e.weight("decay")]), -recurrentFactor);
  const decay = e.multiply(byBlock("recurrent_gate"), rate);
  const left = e.subtract(builder.scalar(1), e.node("Exp", [e.scale(decay, 2)]));
  const factor = e.node("Max", [e.node("Sqrt", [left]), firstToken(e, input)]);
  const one = e.expand(builder.scalar(1), [e.length(input, 0), e.length(input, 1), 1]);
  const mixed = addLinearRecurrence(e, {
    queryHeads: 1,
    heads: width,
    keyDim: 1,
    valueDim: 1,
    query: one,
    key: one,
    value: e.multiply(e.multiply(x, entering), factor),
    decay,
  });
  return e.linear("out", e.multiply(mixed, gate));
}

/** 1 at the first token of the whole sequence, 0 elsewhere: [n, 1]. */
function firstToken(e: Emitter, input: string): string {
  const { builder } = e.scope;
  const count = e.alone(e.length(input, 1));
  const fresh = e.node("Range", [builder.integer(0), count, builder.integer(1)]);
  const positions = e.add(fresh, builder.input(inputNames.depth, "int64", [1]));
  const first = e.node("Equal", [positions, builder.integers([0])]);
  return e.node("Unsqueeze", [e.toFloat(first), builder.integers([1])]);
}

/** Gated short convolution of LFM2: out(C ⊙ convolution(B ⊙ x)), with B, C and x from one projection. */
export function addShortConvolution(e: Emitter, input: string, mixer: ShortConvolution): string {
  const { width, convolution: kernel } = mixer;
  const [b = "", c = "", x = ""] = e.split(e.linear("in", input), [width, width, width]);
  const convolved = addConvolution(e, e.multiply(b, x), "convolution", { width, kernel });
  return e.linear("out", e.multiply(c, convolved));
}
