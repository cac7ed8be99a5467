import type { StoredTensor } from "./storage.js";
import type { ModelDescription } from "./types.js";

export type { StoredTensor } from "./storage.js";

/** What a model's weight files hold, counted from their headers. */
export interface StoredWeights {
  /** File that was read, or its index. */
  readonly source: string;
  readonly tensors: readonly StoredTensor[];
  readonly parameters: number;
  readonly bytes: number;
}

/** A description, with its weight files' contents where they were there to be read. */
export type LoadedModel = ModelDescription & { readonly stored?: StoredWeights };

export function storedWeights(source: string, tensors: readonly StoredTensor[]): StoredWeights {
  const parameters = tensors.reduce((sum, { elements }) => sum + elements, 0);
  return { source, tensors, parameters, bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Elements and bytes of all tensors of one type. */
export interface StoredType {
  readonly type: string;
  readonly tensors: number;
  readonly elements: number;
  readonly bytes: number;
}

/** Totals by type, most bytes first. */
export function storedTypes(tensors: readonly StoredTensor[]): StoredType[] {
  const types = new Map<string, StoredType>();
  for (const { type, elements, bytes } of tensors) {
    const known = types.get(type) ?? { type, tensors: 0, elements: 0, bytes: 0 };
    types.set(type, {
      type,
      tensors: known.tensors + 1,
      elements: known.elements + elements,
      bytes: known.bytes + bytes,
    });
  }
  return [...types.values()].sort((left, right) => right.bytes - left.bytes);
}

/** `6738415616 parameters in 3825065984 bytes, 4.5412 bits each: 225 Q4_0 (4.5000 bits), …` */
export function describeStored({ tensors, parameters, bytes }: StoredWeights): string {
  const bits = (part: { readonly elements: number; readonly bytes: number }): string =>
    ((8 * part.bytes) / Math.max(1, part.elements)).toFixed(4);
  const types = storedTypes(tensors).map((kind) => `${kind.tensors} ${kind.type} (${bits(kind)} bits)`);
  return `${parameters} parameters in ${bytes} bytes, ${bits({ elements: parameters, bytes })} bits each: ${types.join(", ")}`;
}
