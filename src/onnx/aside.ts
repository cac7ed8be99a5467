import type { ConcatOperator, LinearOperator, NormOperator } from "../graph/types.js";
import { Emitter } from "./emitter.js";
import { int } from "./proto.js";
import type { Scope } from "./scope.js";

/*
 * Layers beside the stream (Zamba, arXiv:2405.16712): a block that several places share reads the stream and the
 * embeddings next to each other; the next layer projects what it made and reads it beside the stream, and owns the
 * low-rank adapters that make this use of the shared block another one (Zamba 2).
 */

const [embeddedName, asideName] = ["embedded", "aside"];

/** Keeps the embeddings for layers that read them beside the stream. */
export function leaveEmbedded(stream: string, { left }: Pick<Scope, "left">): void {
  left.set(embeddedName, stream);
}

/** The stream and the embeddings next to each other. */
export function lowerConcat({ input, output }: ConcatOperator, scope: Scope): string {
  const embedded = scope.left.get(embeddedName);
  if (embedded === undefined) throw new Error("the embedding left nothing for the layers");
  return scope.builder.node(scope.fresh(output), "Concat", [scope.value(input), embedded], {
    attributes: { axis: int(-1) },
  });
}

/** Keeps what a layer made for the next one. */
export function leaveAside(made: string, { left }: Pick<Scope, "left">): void {
  left.set(asideName, made);
}

/** What the norm in front of a layer's mixer reads: the stream, and a projection of what the layer before made aside. */
export function readAside(e: Emitter, { name }: NormOperator, stream: string): string {
  const made = e.scope.left.get(asideName);
  if (made === undefined || name !== "mixer.pre_norm" || !e.has("linear.weight")) return stream;
  e.scope.left.delete(asideName);
  return e.add(stream, e.linear("linear", made));
}

/** Whether the next layer has adapters of what this one projects. */
export function isAdapted({ next }: Scope): boolean {
  return ["ffn", "query"].some((side) => next?.hasWeight(`extra.${side}_adapter_down.weight`) === true);
}

/** A projection with what the next layer's adapter adds to it; gate and value of a network have one adapter together. */
export function addAdapter({ name, input }: LinearOperator, projected: string, scope: Scope): string {
  const { next, left } = scope;
  if (next === null) return projected;
  const e = new Emitter(next, "extra", "projection", name);
  const [, part = "", side = ""] = /^(mixer|ffn)\.(query|key|value|gate|up)_projection$/.exec(name) ?? [];
  const adapter = part === "ffn" ? "ffn_adapter" : `${side}_adapter`;
  if (side === "" || !e.has(`${adapter}_down.weight`)) return projected;
  const key = scope.fresh(adapter);
  const adapted = left.get(key) ?? e.linear(`${adapter}_up`, e.linear(`${adapter}_down`, scope.value(input)));
  left.set(key, adapted);
  if (part !== "ffn") return e.add(projected, adapted);
  const width = next.width(`extra.${adapter}_up`) / 2;
  return e.add(projected, side === "gate" ? e.slice(adapted, 2, 0, width) : e.slice(adapted, 2, width));
}
