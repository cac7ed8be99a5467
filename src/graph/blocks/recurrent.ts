import { Expression, ceilDivide, min } from "../../math/expression.js";
import type {
  DeltaRule,
  GatedMemory,
  LightningAttention,
  Mamba1,
  Mamba2,
  MatrixLstm,
  RgLru,
  Rwkv4,
  ShortConvolution,
} from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";
import { chunks } from "./linear.js";

/*
 * Mixers with a state of constant size. Prefill works in chunks of positions where the mixer allows it; decode is one
 * step of the recurrence. The reference pads the prompt to whole chunks and, for Mamba 2, repeats groups over heads.
 */

/** Mamba (arXiv:2312.00752): selective scan, state [width, stateDim]. */
export function addMamba1(module: ModuleBuilder, input: string, mixer: Mamba1): string {
  const { hidden, norm, tokens } = module.around;
  const { width, stateDim, timeRank, heads = 1 } = mixer;
  const entered = module.linear("in", input, hidden, 2 * width, { bias: mixer.bias });
  const convolved = module.convolution("convolution", entered, width, mixer.convolution, mixer.convolutionBias);
  const selected = module.linear("select", convolved, width / heads, heads * (timeRank + 2 * stateDim));
  if (mixer.innerNorms) {
    const rms = { ...norm, kind: "rms", bias: false } as const;
    module.normalise("time_norm", selected, rms, timeRank);
    module.normalise("b_norm", selected, rms, stateDim);
    module.normalise("c_norm", selected, rms, stateDim);
  }
  module.linear("time", selected, timeRank, width, { bias: true });
  const ready = module.weighted("decay", convolved, { decay: [width, stateDim], skip: [width] });
  const scanned = module.scan("scan", [ready, selected], [width, stateDim], 7 * width * stateDim, width);
  const mixed = module.product(
    "read_out",
    [scanned],
    { batch: tokens, rows: width, inner: stateDim, columns: 1 },
    width,
  );
  const gated = module.elementwise("gated", "multiply", [mixed, mixed]);
  return module.linear("out", gated, width, hidden, { bias: mixer.bias });
}

/** Mamba 2, state space duality (arXiv:2405.21060): a scalar decay per head, state [heads, headDim, stateDim]. */
export function addMamba2(module: ModuleBuilder, input: string, mixer: Mamba2): string {
  const { hidden, norm, tokens } = module.around;
  const { heads, headDim, stateDim, groups } = mixer;
  const width = heads * headDim;
  const { selectRank } = mixer;
  const early = selectRank === undefined;
  const convolvedWidth = width + (early ? 2 * groups * stateDim : 0);
  const enteredWidth = width + convolvedWidth + (early ? heads : 0);
  const entered = module.linear("in", input, hidden, enteredWidth, { bias: mixer.bias });
  const convolved = module.convolution(
    "convolution",
    entered,
    convolvedWidth,
    mixer.convolution,
    mixer.convolutionBias,
  );
  if (selectRank !== undefined) selectLate(module, convolved, mixer, selectRank);
  const ready = module.weighted("decay", convolved, { time_bias: [heads], decay: [heads], skip: [heads] });
  let mixed: string;
  if (module.decode) {
    const scanned = module.scan("scan", [ready], [heads, headDim, stateDim], 4 * width * stateDim, width);
    mixed = module.product("read_out", [scanned], { batch: tokens, rows: width, inner: stateDim, columns: 1 }, width);
  } else {
    const { positions, width: chunk } = chunks(module, mixer.chunk);
    const scored = module.reference ? heads : groups;
    const pairs = module.product(
      "pairs",
      [ready],
      { batch: scored, rows: positions, inner: stateDim, columns: chunk },
      width,
    );
    const inside = module.product(
      "inside",
      [pairs, ready],
      { batch: heads, rows: positions, inner: chunk, columns: headDim },
      width,
    );
    const states = { batch: heads, rows: positions, inner: stateDim, columns: headDim };
    const written = module.product("states", [ready], states, width);
    const carried = module.scan(
      "scan",
      [written],
      [heads, headDim, stateDim],
      (2 * width * stateDim) / mixer.chunk,
      width,
    );
    if (module.reference) {
      const count = ceilDivide({ n: 1 }, mixer.chunk).plus(1);
      module.product(
        "chunk_states",
        [carried],
        { batch: heads, rows: count, inner: count, columns: headDim * stateDim },
        width,
      );
    }
    mixed = module.product("read_out", [inside, carried], states, width);
  }
  const normed = mixer.gatedNorm
    ? module.normalise("norm", mixed, { ...norm, kind: "rms", bias: false }, width)
    : mixed;
  return module.linear("out", module.elementwise("gated", "multiply", [normed, normed]), width, hidden, {
    bias: mixer.bias,
  });
}

/** B, C and Δ of Mamba 2 from the convolved channels, as Mamba 1 has them, with norms. */
function selectLate(module: ModuleBuilder, convolved: string, mixer: Mamba2, rank: number): void {
  const { heads, headDim, stateDim } = mixer;
  const rms = { ...module.around.norm, kind: "rms", bias: false, offset: false } as const;
  const selected = module.linear("select", convolved, heads * headDim, rank + 2 * stateDim);
  module.normalise("time_norm", selected, rms, rank);
  module.normalise("b_norm", selected, rms, stateDim);
  module.normalise("c_norm", selected, rms, stateDim);
  module.linear("time", selected, rank, heads);
}

/** Delta rule (arXiv:2406.06484), gated (arXiv:2412.06464; per channel: Kimi Linear, arXiv:2510.26692), state [valueHeads, keyDim, valueDim]. */
export function addDeltaRule(module: ModuleBuilder, input: string, mixer: DeltaRule): string {
  const { hidden, norm, tokens } = module.around;
  const { keyHeads, valueHeads, keyDim, valueDim, decayRank, gateRank } = mixer;
  const keys = keyHeads * keyDim;
  const values = valueHeads * valueDim;
  const decayWidth = mixer.decay === "per-head" ? valueHeads : valueHeads * keyDim;
  const through = (local: string, rank: number | null, width: number): string =>
    rank === null
      ? module.linear(local, input, hidden, width)
      : module.linear(`${local}_up`, module.linear(`${local}_down`, input, hidden, rank), rank, width);
  const projected = module.linear("query_key_value", input, hidden, 2 * keys + values);
  const convolved =
    mixer.dynamicConvolution === undefined
      ? module.convolution("convolution", projected, 2 * keys + values, mixer.convolution, false)
      : dynamicConvolution(module, input, projected, values, mixer.convolution, mixer.dynamicConvolution.rank);
  const decays = mixer.decay !== "none";
  const decay = decays ? through("decay", decayRank, decayWidth) : convolved;
  const strength = module.linear("strength", input, hidden, valueHeads);
  const gate = mixer.ungated === true ? null : through("gate", gateRank, values);
  const ready = decays
    ? module.weighted("decay_base", decay, { time_bias: [decayWidth], decay_base: [valueHeads] })
    : convolved;
  const state = [valueHeads, keyDim, valueDim];
  let mixed: string;
  if (module.decode) {
    // One step: S ← S·decay; error = v − Sᵀk; S ← S + k·errorᵀ·strength; output = Sᵀq.
    const scanned = module.scan(
      "scan",
      [convolved, ready, strength],
      state,
      4 * valueHeads * keyDim * valueDim,
      values,
    );
    if (module.reference) mixed = scanned;
    else {
      const read = { batch: tokens.times(valueHeads), rows: 2, inner: keyDim, columns: valueDim };
      mixed = module.product("read_out", [scanned], read, values);
    }
  } else {
    const { positions, width: chunk } = chunks(module, mixer.chunk);
    const batch = valueHeads;
    const pairs = module.product(
      "pairs",
      [convolved],
      { batch, rows: positions, inner: keyDim, columns: chunk },
      values,
    );
    const keyPairs = module.product(
      "key_pairs",
      [convolved, ready],
      { batch, rows: positions, inner: keyDim, columns: chunk },
      values,
    );
    const inside = module.product(
      "inside",
      [pairs],
      { batch, rows: positions, inner: chunk, columns: valueDim },
      values,
    );
    const states = { batch, rows: positions.times(3), inner: keyDim, columns: valueDim };
    const scanned = module.scan(
      "scan",
      [keyPairs, strength],
      state,
      (2 * valueHeads * keyDim * valueDim) / mixer.chunk,
      values,
    );
    // The inverse of the triangular matrix of keys, by forward substitution.
    if (!module.reference) {
      module.product(
        "solve",
        [keyPairs],
        { batch, rows: positions, inner: chunk.times(0.5), columns: keyDim + valueDim },
        values,
      );
    }
    mixed = module.product("states", [inside, scanned], states, values);
  }
  const normed = module.normalise("norm", mixed, { ...norm, kind: "rms", bias: false, plain: false }, valueDim);
  const left = gate === null ? normed : module.elementwise("gated", "multiply", [normed, gate]);
  return module.linear("out", left, values, hidden);
}

/** A causal depthwise convolution whose kernel is made anew for every token and channel. */
function dynamicConvolution(
  module: ModuleBuilder,
  input: string,
  projected: string,
  width: number,
  kernel: number,
  rank: number,
): string {
  const { hidden, tokens } = module.around;
  const narrowed = module.linear("kernel_down", input, hidden, rank);
  const kernels = module.linear("kernel_up", narrowed, rank, width * kernel, { bias: true });
  module.keep("convolution.state", width, kernel - 1);
  return module.product(
    "convolution",
    [projected, kernels],
    { batch: tokens.times(width), rows: 1, inner: kernel, columns: 1 },
    width,
  );
}

/** Lightning attention (arXiv:2401.04658; MiniMax-01): linear attention with a fixed decay, state [heads, d, d]. */
export function addLightning(module: ModuleBuilder, input: string, mixer: LightningAttention): string {
  const { hidden, norm, tokens } = module.around;
  const { heads, headDim } = mixer;
  const width = heads * headDim;
  const projected = module.linear("query_key_value", input, hidden, 3 * width);
  const state = [heads, headDim, headDim];
  const states = { batch: heads, rows: tokens.times(2), inner: headDim, columns: headDim };
  let mixed: string;
  if (module.decode) {
    const scanned = module.scan("scan", [projected], state, heads * headDim * headDim, width);
    mixed = module.product("states", [scanned], states, width);
  } else {
    const block = module.reference ? Expression.constant(mixer.block) : min({ n: 1 }, mixer.block);
    const pairs = module.product(
      "pairs",
      [projected],
      { batch: heads, rows: tokens, inner: headDim, columns: block },
      width,
    );
    const inside = module.product(
      "inside",
      [pairs, projected],
      { batch: heads, rows: tokens, inner: block, columns: headDim },
      width,
    );
    const scanned = module.scan("scan", [projected], state, (heads * headDim * headDim) / mixer.block, width);
    mixed = module.product("states", [inside, scanned], states, width);
  }
  const normed = module.normalise("norm", mixed, { ...norm, kind: "rms", bias: false }, width);
  const gate = module.linear("gate", input, hidden, width);
  return module.linear("out", module.elementwise("gated", "multiply", [normed, gate]), width, hidden);
}

/** Matrix memory of xLSTM (arXiv:2405.04517), state [heads, keyDim, valueDim]. */
export function addMatrixLstm(module: ModuleBuilder, input: string, mixer: MatrixLstm): string {
  const { hidden, norm, tokens } = module.around;
  const { heads, keyDim, valueDim } = mixer;
  const values = heads * valueDim;
  const query = module.linear("query", input, hidden, heads * keyDim);
  const key = module.linear("key", input, hidden, heads * keyDim);
  const value = module.linear("value", input, hidden, values);
  const gate = module.linear("output_gate", input, hidden, values);
  module.linear("input_gate", input, hidden, heads, { bias: true });
  module.linear("forget_gate", input, hidden, heads, { bias: true });
  const state = [heads, keyDim, valueDim + 1];
  const states = { batch: heads, rows: tokens.times(2), inner: keyDim, columns: valueDim };
  let inside = value;
  if (!module.decode) {
    const { positions, width: chunk } = chunks(module, mixer.chunk);
    const pairs = module.product(
      "pairs",
      [query, key],
      { batch: heads, rows: positions, inner: keyDim, columns: chunk },
      values,
    );
    inside = module.product(
      "inside",
      [pairs, value],
      { batch: heads, rows: positions, inner: chunk, columns: valueDim },
      values,
    );
  }
  const scanned = module.scan("scan", [key, inside], state, heads * keyDim, values);
  const normaliser = { batch: heads, rows: tokens, inner: keyDim, columns: 1 };
  const weighed = module.product("normaliser", [query, scanned], normaliser, values);
  const mixed = module.product("states", [inside, weighed], states, values);
  const normed = module.normalise("norm", mixed, { ...norm, plain: false }, values);
  return module.linear("out", module.elementwise("gated", "multiply", [normed, gate]), values, hidden);
}

/** Real-gated linear recurrence of Griffin (arXiv:2402.19427), state [width]. */
export function addRgLru(module: ModuleBuilder, input: string, mixer: RgLru): string {
  const { hidden } = module.around;
  const { width, heads } = mixer;
  const block = width / heads;
  const gate = module.linear("gate", input, hidden, width, { bias: true });
  const entered = module.linear("in", input, hidden, width, { bias: true });
  const convolved = module.convolution("convolution", entered, width, mixer.convolution, true);
  // Gates are block-diagonal: [heads, block, block].
  const gates = ["input_gate", "recurrent_gate"].map((local) =>
    module.linear(local, convolved, block, width, { bias: true }),
  );
  const ready = module.weighted("decay", convolved, { decay: [width] });
  const scanned = module.scan("scan", [ready, ...gates], [width], 6 * width, width);
  return module.linear("out", module.elementwise("gated", "multiply", [scanned, gate]), width, hidden, { bias: true });
}

/** Gated memory unit: what a Mamba layer before scanned at the same positions, gated anew; it keeps nothing. */
export function addGatedMemory(module: ModuleBuilder, input: string, mixer: GatedMemory): string {
  const { hidden } = module.around;
  const { width, bias } = mixer;
  const gate = module.elementwise("gate", "silu", [module.linear("in", input, hidden, width, { bias })]);
  const gated = module.elementwise("gated", "multiply", [gate, module.value("memory", width)]);
  return module.linear("out", gated, width, hidden, { bias });
}

/** Gated short convolution of LFM2: two gates around a depthwise convolution. */
export function addShortConvolution(module: ModuleBuilder, input: string, mixer: ShortConvolution): string {
  const { hidden } = module.around;
  const entered = module.linear("in", input, hidden, 3 * mixer.width, { bias: mixer.bias });
  const convolved = module.convolution("convolution", entered, mixer.width, mixer.convolution, mixer.bias);
  const gated = module.elementwise("gated", "multiply", [convolved, convolved]);
  return module.linear("out", gated, mixer.width, hidden, { bias: mixer.bias });
}

/** Time mixing of RWKV 4 (arXiv:2305.13048), state of five numbers per channel. */
export function addRwkv4(module: ModuleBuilder, input: string, mixer: Rwkv4): string {
  const { hidden } = module.around;
  const { width } = mixer;
  const mixedInput = module.weighted("time_mix", input, {
    time_mix_key: [hidden],
    time_mix_value: [hidden],
    time_mix_receptance: [hidden],
  });
  const key = module.linear("key", mixedInput, hidden, width);
  const value = module.linear("value", mixedInput, hidden, width);
  const receptance = module.linear("receptance", mixedInput, hidden, width);
  const ready = module.weighted("decay", key, { time_decay: [width], time_first: [width] });
  const scanned = module.scan("scan", [ready, value], [width, 5], 14 * width, width);
  return module.linear("output", module.elementwise("gated", "multiply", [scanned, receptance]), width, hidden);
}
