import type { Block, ElementwiseOperator, NormOperator } from "../graph/types.js";
import { Emitter } from "./emitter.js";
import type { Scope } from "./scope.js";

/*
 * Attention residuals (arXiv:2603.15031): each branch reads a mixture of the embeddings, of what whole blocks of layers before
 * added up to, and of what this block has added so far; the mixture's weights are the softmax of learned scores of each,
 * normed. What a layer's branches need stands in the block behind the layer.
 */

/** Epsilon of the norms of what is scored (Kimi K3's published config). */
const epsilon = 1e-5;

const [keptName, partialName] = ["depth.kept", "depth.partial"];

/** Whether a block holds mixtures over depth. */
export function isDepth({ name }: Pick<Block, "name">): boolean {
  return name === "depth";
}

/** What a layer's branches mix by; null where they read the stream. */
function mixturesOf({ next }: Scope): Scope | null {
  return next?.hasWeight("depth.mixer_query") === true ? next : null;
}

/** Names of the streams that later layers look back at. They are kept as one text, as names hold no such sign. */
function keptOf({ left }: Pick<Scope, "left">): string[] {
  const kept = left.get(keptName);
  return kept === undefined ? [] : kept.split("|");
}

/** Mixes at a site of a depth block, whose names `scope` knows. */
function mix(site: string, scope: Scope): string {
  const e = new Emitter(scope, "depth", "residual", site);
  const partial = scope.left.get(partialName);
  const streams = [...keptOf(scope), ...(partial === undefined ? [] : [partial])];
  const [first = ""] = streams;
  if (streams.length === 1) return first;
  const query = e.weight(`${site}_query`);
  const scores = streams.map((stream) => {
    const normed = e.multiply(e.rms(stream, e.weight(`${site}_norm`), epsilon), query);
    return e.node("ReduceSum", [normed, e.list([-1])], { keepdims: { kind: "int", value: 1 } });
  });
  const weights = e.split(
    e.softmax(e.concat(scores, 2)),
    streams.map(() => 1),
  );
  return streams.map((stream, i) => e.multiply(stream, weights[i] ?? "")).reduce((sum, weighed) => e.add(sum, weighed));
}

/** Begins a layer that looks back: what a whole block has added up is kept for all later ones. */
export function beginDepth(stream: string, scope: Scope): void {
  const { left } = scope;
  const next = mixturesOf(scope);
  if (next === null) return;
  const kept = keptOf(scope);
  if (kept.length === 0) kept.push(stream);
  // The second branch of a layer meets all that is kept, and what its block has added so far.
  const streams = next.width("depth.ffn_kept") / next.width("x");
  const partial = left.get(partialName);
  if (partial !== undefined && kept.length < streams - 1) {
    kept.push(partial);
    left.delete(partialName);
  }
  left.set(keptName, kept.join("|"));
}

/** What a branch's norm reads. */
export function readDepth({ name }: NormOperator, stream: string, scope: Scope): string {
  const next = mixturesOf(scope);
  const site = name.replace(".pre_norm", "");
  return next !== null && (site === "mixer" || site === "ffn") ? mix(site, next) : stream;
}

/** What a branch made, beside what its block has added so far; null where layers do not look back. */
export function addToDepth({ inputs }: ElementwiseOperator, output: string, scope: Scope): readonly string[] | null {
  const { left } = scope;
  if (mixturesOf(scope) === null) return null;
  const partial = left.get(partialName);
  const leaving = scope.value(inputs[1] ?? "");
  left.set(partialName, output);
  return partial === undefined ? [leaving] : [partial, leaving];
}

/** What stands before the final norm; the mixtures of layers have been read there. */
export function lowerDepth(stream: string, block: Block, scope: Scope): string {
  return block.weights.has("depth.output_query") ? mix("output", scope) : stream;
}
