import { Expression, ceilDivide, min } from "../../math/expression.js";
import type { LinearAttention, Rwkv } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";

/*
 * Linear attention in its many forms: a state of keyDim × valueDim per head. Prefill works in chunks: pairs inside a
 * chunk, and the state from chunk to chunk (arXiv:2312.06635); decode is one step of the recurrence.
 */

/** Positions a chunked prefill works on, and the width of a chunk. The reference pads the prompt to whole chunks. */
export function chunks(
  module: ModuleBuilder,
  chunk: number,
): { readonly positions: Expression; readonly width: Expression } {
  if (!module.reference) return { positions: module.around.tokens, width: min({ n: 1 }, chunk) };
  return { positions: ceilDivide({ n: 1 }, chunk).times(chunk), width: Expression.constant(chunk) };
}

interface StateShape {
  readonly heads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly chunk: number;
  /** The state holds a normaliser beside the values. */
  readonly normalised: boolean;
  /** The state is multiplied by a decay at each step. */
  readonly decays: boolean;
}

/** The state with its products: o = q·S after S ← λ ⊙ S + kᵀ·v. @returns name of the mixture, [b, n, heads · valueDim] */
function addState(module: ModuleBuilder, inputs: readonly [string, ...string[]], shape: StateShape): string {
  const { heads, keyDim, valueDim } = shape;
  const width = heads * valueDim;
  const columns = valueDim + (shape.normalised ? 1 : 0);
  const elements = heads * keyDim * columns;
  const state = [heads, keyDim, columns];
  const decaying = shape.decays ? elements : 0;
  if (module.decode) {
    const states = { batch: heads, rows: module.around.tokens.times(2), inner: keyDim, columns };
    return module.product("states", [module.scan("scan", inputs, state, decaying, width)], states, width);
  }
  const { positions, width: chunk } = chunks(module, shape.chunk);
  const pairs = module.product(
    "pairs",
    inputs,
    { batch: heads, rows: positions, inner: keyDim, columns: chunk },
    width,
  );
  const inside = module.product("inside", [pairs], { batch: heads, rows: positions, inner: chunk, columns }, width);
  const scanned = module.scan("scan", inputs, state, decaying / shape.chunk, width);
  const states = { batch: heads, rows: positions.times(2), inner: keyDim, columns };
  return module.product("states", [inside, scanned], states, width);
}

/** Plain linear attention, Performer, RetNet and GLA (`LinearAttention` has the equations). */
export function addLinearAttention(module: ModuleBuilder, input: string, mixer: LinearAttention): string {
  const { hidden, norm, tokens } = module.around;
  const { heads, keyDim, valueDim, feature, decay } = mixer;
  const values = heads * valueDim;
  let query = module.linear("query", input, hidden, heads * keyDim);
  let key = module.linear("key", input, hidden, heads * keyDim);
  const value = module.linear("value", input, hidden, values);
  const { rotary } = mixer;
  if (rotary !== null) {
    const rotated = (side: "query" | "key", from: string): string =>
      module.add({
        kind: "rotary",
        name: module.name(`${side}_rotary`),
        part: "attention",
        input: from,
        heads,
        headDim: keyDim,
        rotary,
        output: module.value(`${side}_rotated`, heads * keyDim),
      });
    query = rotated("query", query);
    key = rotated("key", key);
  }
  let features = keyDim;
  if (typeof feature === "object") {
    features = feature.random;
    // One random matrix for all heads, [features, keyDim].
    const drawn = module.weight("features.weight", [features, keyDim]);
    const through = (side: string, from: string): string =>
      module.add({
        kind: "linear",
        name: module.name(`${side}_features`),
        part: "attention",
        input: from,
        weight: drawn,
        bias: null,
        output: module.value(`${side}_features`, heads * features),
      });
    query = through("query", query);
    key = through("key", key);
  }
  const inputs: [string, ...string[]] = [query, key, value];
  if (typeof decay === "object") {
    const down = module.linear("decay_down", input, hidden, decay.rank);
    inputs.push(module.linear("decay_up", down, decay.rank, heads * keyDim, { bias: true }));
  }
  const columns = valueDim + (mixer.normalised ? 1 : 0);
  const mixed = mixer.causal
    ? addState(module, inputs, { ...mixer, keyDim: features, decays: decay !== "none" || mixer.keyDecays === true })
    : module.product("states", inputs, { batch: heads, rows: tokens.times(2), inner: features, columns }, values);
  const rms = { ...norm, kind: "rms", bias: false, plain: false } as const;
  if (!mixer.gated) {
    const kept = mixer.normed === true ? module.normalise("norm", mixed, rms, values) : mixed;
    return module.linear("output", kept, values, hidden);
  }
  const normed = module.normalise("norm", mixed, rms, valueDim);
  const gate = module.elementwise("gate_activated", "silu", [module.linear("gate", input, hidden, values)]);
  return module.linear("output", module.elementwise("gated", "multiply", [normed, gate]), values, hidden);
}

/** Time mixing of RWKV 5, 6 and 7 (`Rwkv` has the papers). */
export function addRwkv(module: ModuleBuilder, input: string, mixer: Rwkv): string {
  const { hidden, norm } = module.around;
  const { version, width, headDim, ranks } = mixer;
  const heads = width / headDim;
  const lowRank = (local: string, rank: number, outWidth: number): string =>
    module.linear(`${local}_up`, module.linear(`${local}_down`, mixedInput, hidden, rank), rank, outWidth);
  const mixes = version === 5 ? 4 : 6;
  let mixedInput = module.weighted("time_mix", input, { time_mix: [mixes, hidden] });
  if (version === 6) {
    // Five mixtures with the token before, each from its own small projection: [hidden, 5·mix], [5, mix, hidden].
    const down = module.linear("mix_down", mixedInput, hidden, 5 * ranks.mix);
    const up = module.linear("mix_up", down, ranks.mix, 5 * hidden);
    mixedInput = module.add({
      kind: "weighted",
      name: module.name("time_mixed"),
      part: "attention",
      input: up,
      weights: [],
      output: module.value("time_mixed", hidden),
    });
  }
  const receptance = module.linear("receptance", mixedInput, hidden, width);
  const key = module.linear("key", mixedInput, hidden, width);
  const value = module.linear("value", mixedInput, hidden, width);
  const inputs: [string, ...string[]] = [receptance, key, value];
  let gate: string;
  if (version === 7) {
    inputs.push(lowRank("decay", ranks.decay, width), lowRank("rate", ranks.rate, width));
    const bases = { decay_base: [width], rate_base: [width], key_norm: [width], key_rate: [width] };
    inputs.push(module.weighted("decayed", key, { ...bases, bonus: [heads, headDim] }));
    if (mixer.first !== true) {
      inputs.push(module.weighted("value_mixed", lowRank("value_mix", ranks.value, width), { value_base: [width] }));
    }
    gate = lowRank("gate", ranks.gate, width);
  } else {
    const base = module.weighted("decayed", key, { decay: [heads, headDim], bonus: [heads, headDim] });
    inputs.push(version === 6 ? lowRank("decay", ranks.decay, width) : base);
    gate = module.linear("gate", mixedInput, hidden, width);
  }
  module.block.state(
    module.name("shift"),
    module.shape(hidden, Expression.constant(2)),
    module.around.dtypes.activations,
  );
  const shape = { heads, keyDim: headDim, valueDim: headDim, chunk: mixer.chunk, normalised: false, decays: true };
  const mixed = version === 7 ? addDelta(module, inputs, shape) : addState(module, inputs, shape);
  const grouped = module.normalise("norm", mixed, { ...norm, kind: "layer", bias: true, plain: false }, headDim, heads);
  return module.linear("output", module.elementwise("gated", "multiply", [grouped, gate]), width, hidden);
}

/**
 * The delta rule's state: S ← S·(diag(λ) − κᵀ·(a ⊙ κ)) + vᵀ·k. Beside pairs of queries and keys a chunk needs pairs of
 * its keys and the inverse of their triangle (arXiv:2412.06464).
 */
function addDelta(module: ModuleBuilder, inputs: readonly [string, ...string[]], shape: StateShape): string {
  const { heads, keyDim, valueDim } = shape;
  const width = heads * valueDim;
  const elements = heads * keyDim * valueDim;
  const state = [heads, keyDim, valueDim];
  const states = (rows: Expression) => ({ batch: heads, rows: rows.times(3), inner: keyDim, columns: valueDim });
  if (module.decode) {
    const scanned = module.scan("scan", inputs, state, elements, width);
    return module.product("states", [scanned], states(module.around.tokens), width);
  }
  const { positions, width: chunk } = chunks(module, shape.chunk);
  const sizes = { batch: heads, rows: positions, inner: keyDim, columns: chunk };
  const pairs = module.product("pairs", inputs, sizes, width);
  const keyPairs = module.product("key_pairs", inputs, sizes, width);
  const inside = module.product("inside", [pairs], { ...sizes, inner: chunk, columns: valueDim }, width);
  const solved = module.product(
    "solve",
    [keyPairs],
    { ...sizes, inner: chunk.times(0.5), columns: keyDim + valueDim },
    width,
  );
  const scanned = module.scan("scan", [solved], state, elements / shape.chunk, width);
  return module.product("states", [inside, scanned], states(positions), width);
}
