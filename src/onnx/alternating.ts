import type { Block, ElementwiseOperator, NormOperator } from "../graph/types.js";
import type { Emitter } from "./emitter.js";

/*
 * Alternating updates (AltUp, arXiv:2301.13310; Gemma 3n): several streams side by side, [b, n, streams·hidden], of which a
 * layer works on the first. Before it a router's choice mixes each stream with the others; behind it each follows what the
 * layer changed in the first. Beside attention stands a low-rank map of what it reads (Laurel, arXiv:2411.07501).
 */

/** Least mean square of a stream that is brought to the size of the first (transformers, models/gemma3n). */
const leastSquare = 1e-5;
/** Epsilon of the norms (published configs). */
const epsilon = 1e-6;

const [predictedName, unembeddingName] = ["altup.predicted", "altup.unembedding"];

/** How many streams stand side by side in a layer; 0 where it has one. */
function streamsOf(e: Emitter): number {
  return e.has("altup_router.weight") ? (e.scope.weight("extra.altup_router.weight").weight.shape[0] ?? 0) : 0;
}

/** Whether a model's streams alternate. */
export function isAlternating({ scope }: Emitter): boolean {
  return scope.left.has(`${unembeddingName}.0`);
}

function meanSquare(e: Emitter, x: string): string {
  return e.node("ReduceMean", [e.multiply(x, x), e.list([-1])]);
}

/** A stream as large as the first one. */
function asLarge(e: Emitter, x: string, size: string): string {
  const own = e.node("Sqrt", [e.node("Max", [meanSquare(e, x), e.scope.builder.scalar(leastSquare)])]);
  return e.multiply(x, e.node("Div", [size, own]));
}

/** The stream and projections of it, as large each. What takes them back is left for the final norm. */
export function openAlternating(e: Emitter, stream: string): string {
  const size = e.node("Sqrt", [meanSquare(e, stream)]);
  const streams = [stream];
  for (let i = 0; e.has(`altup_projection${i}.weight`); i += 1) {
    streams.push(asLarge(e, e.linear(`altup_projection${i}`, stream), size));
    e.scope.left.set(`${unembeddingName}.${i}`, e.weight(`altup_unembedding${i}.weight`));
  }
  return e.concat(streams, 2);
}

/** What a norm reads: in front of a layer's attention the first stream as predicted, at the end the mean of all. */
export function readAlternating(e: Emitter, { name, width }: NormOperator, block: Block, streams: string): string {
  if (block.name === "final_norm") return closeAlternating(e, streams, width);
  const count = streamsOf(e);
  if (count === 0 || name !== "mixer.pre_norm") return streams;
  const first = e.slice(streams, 2, 0, width);
  const coefficients = e.reshape(e.linear("altup_prediction", choice(e, first, width)), [0, 0, count, count]);
  const apart = e.reshape(streams, [0, 0, count, width]);
  // Row i of the coefficients makes stream i.
  const predicted = e.add(e.matmul(coefficients, apart), apart);
  e.scope.left.set(predictedName, predicted);
  return e.reshape(e.slice(predicted, 2, 0, 1), [0, 0, width]);
}

/** What the router makes of a stream, between −1 and 1. */
function choice(e: Emitter, stream: string, width: number): string {
  const normed = e.scale(e.rms(stream, e.weight("altup_router_norm"), epsilon), 1 / width);
  return e.node("Tanh", [e.linear("altup_router", normed)]);
}

/** What is added behind attention: half of the energy is that of the low-rank map of what attention read. */
export function addLaurel(e: Emitter, { name }: ElementwiseOperator, leaving: string): readonly string[] | null {
  if (name !== "mixer.sum" || !e.has("laurel_left.weight")) return null;
  const read = e.scope.value("mixer.pre_norm.out");
  const narrow = e.linear("laurel_right", e.linear("laurel_left", read));
  const laurel = e.add(read, e.rms(narrow, e.weight("laurel_norm"), epsilon));
  const predicted = e.scope.left.get(predictedName) ?? "";
  const active = e.reshape(e.slice(predicted, 2, 0, 1), [0, 0, e.scope.width("mixer.pre_norm.out")]);
  return [e.scale(e.add(active, leaving), Math.SQRT1_2), e.scale(laurel, Math.SQRT1_2)];
}

/** All streams behind a layer, as far as each follows the first; null where the layer has one stream alone. */
export function correct(e: Emitter, made: string, width: number): string | null {
  const count = streamsOf(e);
  const predicted = e.scope.left.get(predictedName);
  if (count === 0 || predicted === undefined) return null;
  const apart = e.reshape(made, [0, 0, 1, width]);
  const change = e.subtract(apart, e.slice(predicted, 2, 0, 1));
  const coefficients = e.add(e.linear("altup_correction", choice(e, made, width)), e.scope.builder.scalar(1));
  const corrected = e.add(e.multiply(change, e.reshape(coefficients, [0, 0, count, 1])), predicted);
  return e.reshape(corrected, [0, 0, count * width]);
}

/** What the first stream hands to the layer's own input, and what comes of it added to all streams but the first. */
export function aroundOwnInput(e: Emitter, streams: string, width: number, make: (from: string) => string): string {
  const first = e.slice(streams, 2, 0, width);
  const scaled = e.has("altup_output_scale") ? e.multiply(first, e.weight("altup_output_scale")) : first;
  const others = e.reshape(e.slice(streams, 2, width), [0, 0, streamsOf(e) - 1, width]);
  const added = e.add(others, e.reshape(make(scaled), [0, 0, 1, width]));
  return e.concat([first, e.reshape(added, [0, 0, (streamsOf(e) - 1) * width])], 2);
}

/** The mean of the first stream and of the others, projected and as large. */
function closeAlternating(e: Emitter, streams: string, width: number): string {
  const { left, builder } = e.scope;
  const first = e.slice(streams, 2, 0, width);
  const size = e.node("Sqrt", [meanSquare(e, first)]);
  let sum = first;
  let count = 1;
  for (let weight = left.get(`${unembeddingName}.0`); weight !== undefined; count += 1) {
    const own = e.slice(streams, 2, count * width, (count + 1) * width);
    sum = e.add(sum, asLarge(e, e.transposedProduct(own, weight, 1, { rank: 2 }), size));
    weight = left.get(`${unembeddingName}.${count}`);
  }
  return e.multiply(sum, builder.scalar(1 / count));
}
