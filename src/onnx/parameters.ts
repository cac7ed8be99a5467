import { badInput } from "../base/errors.js";
import type { Weight } from "../graph/types.js";
import type { OnnxInitializer } from "./proto.js";
import { type RotaryTable, fillRotary } from "./rotary.js";
import type { ExternalFile } from "./tensors.js";
import type { WeightSource } from "./weights.js";

/** Files are cut near this size; a larger tensor has a file of its own. */
const fileBytes = 2 ** 30;
/** ONNX Runtime takes no larger tensor from memory. */
const largestTensor = 2 ** 31;
const alignment = 64;
const floatBytes = 4;

/** One parameter inside an initializer; several stand one after the other where projections are fused. */
export interface ParameterPart {
  /** Full name for the weight source, or null for zeros. */
  readonly name: string | null;
  readonly weight: Weight;
  /** Stored as w, applied as 1 + w. */
  readonly offset: boolean;
}

interface Region {
  readonly initializer: string;
  readonly shape: readonly number[];
  readonly content: { readonly parts: readonly ParameterPart[] } | { readonly rotary: RotaryTable };
  readonly file: number;
  readonly start: number;
  readonly bytes: number;
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

/** Lays the parameters of a model out in external files, as initializers that the runtime may pack beforehand. */
export class ParameterLayout {
  private readonly regions = new Map<string, Region>();
  private readonly sizes: number[] = [];

  /** An initializer made of one parameter. Asked for twice (tied, shared), it stands there once. */
  parameter(part: ParameterPart & { readonly name: string }): string {
    return this.place(part.name, part.weight.shape, { parts: [part] });
  }

  /** An initializer made of several parameters, stacked along the first dimension. */
  stacked(name: string, parts: readonly ParameterPart[]): string {
    const [first] = parts;
    const rows = parts.reduce((sum, part) => sum + (part.weight.shape[0] ?? 0), 0);
    return this.place(name, [rows, ...(first?.weight.shape.slice(1) ?? [])], { parts });
  }

  rotary(table: RotaryTable): string {
    const name = `rotary.${table.function}.${table.dims}.${table.theta}`;
    return this.place(name, [table.positions, table.dims / 2], { rotary: table });
  }

  private place(initializer: string, shape: readonly number[], content: Region["content"]): string {
    if (this.regions.has(initializer)) return initializer;
    const bytes = elementsOf(shape) * floatBytes;
    if (bytes > largestTensor) {
      throw badInput("tensor-too-large", {
        where: initializer,
        key: "bytes",
        found: bytes,
        expected: `ONNX Runtime takes at most ${largestTensor} bytes of one tensor from memory`,
      });
    }
    let file = Math.max(0, this.sizes.length - 1);
    if ((this.sizes[file] ?? 0) > 0 && (this.sizes[file] ?? 0) + bytes > fileBytes) file += 1;
    const start = Math.ceil((this.sizes[file] ?? 0) / alignment) * alignment;
    this.sizes[file] = start + bytes;
    this.regions.set(initializer, { initializer, shape, content, file, start, bytes });
    return initializer;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.sizes.reduce((sum, size) => sum + size, 0);
  }

  initializers(): OnnxInitializer[] {
    return [...this.regions.values()].map(({ initializer, shape, file, start, bytes }) => ({
      name: initializer,
      type: "float32",
      shape,
      data: { path: pathOf(file), offset: start, length: bytes },
    }));
  }

  /** Allocates the files and fills them from the source. */
  async load(source: WeightSource): Promise<ExternalFile[]> {
    const files = this.sizes.map((size, index) => ({ path: pathOf(index), data: new Uint8Array(size) }));
    for (const region of this.regions.values()) {
      const file = files[region.file];
      if (file === undefined) throw new Error(`no file ${region.file}`);
      const target = new Float32Array(file.data.buffer, region.start, region.bytes / floatBytes);
      if ("rotary" in region.content) fillRotary(region.content.rotary, target);
      else await fillParts(region.content.parts, source, target);
    }
    return files;
  }
}

function pathOf(file: number): string {
  return `weights.${file}.bin`;
}

async function fillParts(parts: readonly ParameterPart[], source: WeightSource, target: Float32Array): Promise<void> {
  let start = 0;
  for (const { name, weight, offset } of parts) {
    const length = elementsOf(weight.shape);
    const stretch = target.subarray(start, start + length);
    if (name !== null) await source.read(name, weight, stretch);
    if (offset) for (let i = 0; i < length; i += 1) stretch[i] = (stretch[i] ?? 0) + 1;
    start += length;
  }
}
