import type { Mamba1, Mamba2 } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { int } from "../proto.js";
import type { Around } from "./around.js";
import { addConvolution } from "./convolution.js";
import { addLinearRecurrence } from "./linear-recurrence.js";

/**
 * Mamba 2 (arXiv:2405.21060): per head S ← exp(−exp(decay)·Δ)·S + Δ·B·xᵀ, y = Sᵀ·C + skip·x, with Δ = softplus(dt +
 * time_bias). One projection makes gate, x, B, C and dt, in that order; x, B and C pass a convolution and SiLU.
 */
export function addMamba2(e: Emitter, input: string, mixer: Mamba2, { norm }: Around): string {
  const { heads, headDim, stateDim, groups, convolution: kernel } = mixer;
  const width = heads * headDim;
  const shared = groups * stateDim;
  const [gate = "", entered = "", dt = ""] = e.split(e.linear("in", input), [width, width + 2 * shared, heads]);
  const convolved = addConvolution(e, entered, "convolution", {
    width: width + 2 * shared,
    kernel,
    activation: "silu",
  });
  const [x = "", b = "", c = ""] = e.split(convolved, [width, shared, shared]);
  const delta = e.node("Softplus", [e.add(dt, e.weight("time_bias"))]);
  const rate = e.node("Neg", [e.node("Exp", [e.weight("decay")])]);
  const apart = e.reshape(x, [0, 0, heads, headDim]);
  const written = e.reshape(e.multiply(apart, e.reshape(delta, [0, 0, heads, 1])), [0, 0, width]);
  const read = addLinearRecurrence(e, {
    queryHeads: groups,
    heads,
    keyDim: stateDim,
    valueDim: headDim,
    query: c,
    key: b,
    value: written,
    decay: e.multiply(delta, rate),
  });
  const skipped = e.reshape(e.multiply(apart, e.reshape(e.weight("skip"), [heads, 1])), [0, 0, width]);
  const gated = e.multiply(e.add(read, skipped), e.silu(gate));
  return e.linear("out", mixer.gatedNorm ? e.rms(gated, e.weight("norm.weight", norm.offset), norm.epsilon) : gated);
}

/**
 * Mamba (arXiv:2312.00752): per channel S ← exp(−exp(decay)·Δ)·S + Δ·x·B, y = S·C + skip·x. Each channel has a Δ of its
 * own and each of its states a decay of its own, so tokens go one by one.
 */
export function addMamba1(e: Emitter, input: string, mixer: Mamba1, { norm }: Around): string {
  const { width, stateDim, timeRank, heads = 1, convolution: kernel } = mixer;
  const [entered = "", gate = ""] = e.split(e.linear("in", input), [width, width]);
  const x = addConvolution(e, entered, "convolution", { width, kernel, activation: "silu" });
  const selected = splitSelection(e, x, mixer);
  const [dt = "", b = "", c = ""] = mixer.innerNorms
    ? ["time_norm", "b_norm", "c_norm"].map((name, i) =>
        e.rms(selected[i] ?? "", e.weight(`${name}.weight`, norm.offset), norm.epsilon),
      )
    : selected;
  const step = heads === 1 ? e.linear("time", dt) : e.grouped("time", e.reshape(dt, [0, 0, heads * timeRank]), heads);
  const delta = e.node("Softplus", [step]);
  // [stateDim, width]: long rows.
  const rate = e.transpose(e.node("Neg", [e.node("Exp", [e.weight("decay")])]), [1, 0]);
  const written = e.multiply(delta, x);
  const state = e.scope.state([stateDim, width]);
  const [last = "", read = ""] = e.loop(
    e.alone(e.length(x, 1)),
    [{ value: state.past, rank: 3 }],
    (index, [s = ""]) => {
      const now = (from: string): string => e.node("Gather", [from, index], { axis: int(1) });
      const row = (from: string): string => e.node("Unsqueeze", [now(from), e.list([1])]);
      const decay = e.node("Exp", [e.multiply(row(delta), rate)]);
      const kept = e.multiply(s, decay);
      if (heads === 1) {
        const next = e.add(kept, e.multiply(e.node("Unsqueeze", [now(b), e.list([2])]), row(written)));
        return { carried: [next], stacked: [{ value: e.matmul(row(c), next), rank: 3 }] };
      }
      // B and C of each head, [b, heads, stateDim], beside its channels.
      const apart = (from: string): string => e.reshape(e.transpose(now(from), [0, 2, 1]), [0, stateDim, heads, 1]);
      const channels = (from: string, rows: number): string => e.reshape(from, [0, rows, heads, width / heads]);
      const added = e.multiply(apart(b), channels(row(written), 1));
      const next = e.add(kept, e.reshape(added, [0, stateDim, width]));
      const weighed = e.multiply(apart(c), channels(next, stateDim));
      const sum = e.node("ReduceSum", [weighed, e.list([1])], { keepdims: int(1) });
      return { carried: [next], stacked: [{ value: e.reshape(sum, [0, 1, width]), rank: 3 }] };
    },
  );
  e.into(state.present, "Identity", [last]);
  // [n, b, 1, width] → [b, n, width]
  const mixed = e.reshape(e.transpose(read, [1, 0, 2, 3]), [0, -1, width]);
  const summed = e.add(mixed, e.multiply(x, e.weight("skip")));
  return e.linear("out", e.multiply(summed, e.silu(gate)));
}

/** Δ before its projection, B and C: [b, n, size] each, or [b, n, heads, size]. */
function splitSelection(e: Emitter, x: string, { timeRank, stateDim, heads = 1 }: Mamba1): string[] {
  const sizes = [timeRank, stateDim, stateDim];
  if (heads === 1) return e.split(e.linear("select", x), sizes);
  return e.split(e.reshape(e.grouped("select", x, heads), [0, 0, heads, timeRank + 2 * stateDim]), sizes);
}
