import { badInput } from "../base/errors.js";
import { bytes as showBytes } from "../base/format.js";
import type { Weight } from "../graph/types.js";
import { float16Bits } from "../math/float16.js";
import type { ElementType, OnnxInitializer } from "./proto.js";
import { type QuantisedBits, blockBytes, blocksOf, quantise } from "./quantise.js";
import { type RotaryTable, fillRotary } from "./rotary.js";
import type { ExternalFile } from "./tensors.js";
import type { WeightSource } from "./weights.js";

/** Files are cut near this size; a larger tensor has a file of its own. */
const fileBytes = 2 ** 30;
/** ONNX Runtime takes no larger tensor from memory. */
const largestTensor = 2 ** 31;
const alignment = 64;
const floatBytes = 4;
const bytesOfType = { float32: floatBytes, float16: 2, uint8: 1 } as const;

/** One parameter inside an initializer; several stand one after the other where projections are fused. */
export interface ParameterPart {
  /** Full name for the weight source, or null for zeros. */
  readonly name: string | null;
  readonly weight: Weight;
  /** Stored as w, applied as 1 + w. */
  readonly offset: boolean;
}

type Content =
  | { readonly parts: readonly ParameterPart[] }
  /** Matrices with rows and columns exchanged. */
  | { readonly turned: readonly ParameterPart[] }
  | { readonly rotary: RotaryTable }
  /** Width of a Fourier transform. */
  | { readonly fourier: number }
  /** One side of parts that are quantised: [rows, blocks, bytes] of levels, or [rows · blocks] scales. */
  | { readonly quantised: readonly ParameterPart[]; readonly bits: QuantisedBits; readonly side: "packed" | "scales" };

interface Region {
  readonly initializer: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly content: Content;
  readonly file: number;
  readonly start: number;
  readonly bytes: number;
}

/** Rows of matrices that stand one below the other. */
function rowsOf(parts: readonly ParameterPart[]): number {
  return parts.reduce((sum, { weight }) => sum + (weight.shape.at(-2) ?? 0), 0);
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

  /** Matrices, or several of them in one parameter, as the right side of a MatMul: [in, out] each, in float32 or float16. */
  turned(name: string, parts: readonly ParameterPart[], type: "float32" | "float16" = "float32"): string {
    const own = parts[0]?.weight.shape ?? [];
    const shape = [...own.slice(0, -2), own.at(-1) ?? 0, rowsOf(parts)];
    return this.place(`${name}.${type === "float32" ? "turned" : "f16"}`, shape, { turned: parts }, type);
  }

  /** The same in blocks of few bits, with their scales. */
  quantised(name: string, parts: readonly ParameterPart[], bits: QuantisedBits): { packed: string; scales: string } {
    const rows = parts.reduce((sum, part) => sum + (part.weight.shape[0] ?? 0), 0);
    const blocks = blocksOf(parts[0]?.weight.shape[1] ?? 0);
    const content = { quantised: parts, bits };
    const packed = [rows, blocks, blockBytes(bits)];
    return {
      packed: this.place(`${name}.q${bits}`, packed, { ...content, side: "packed" }, "uint8"),
      scales: this.place(`${name}.q${bits}.scales`, [rows * blocks], { ...content, side: "scales" }),
    };
  }

  rotary(table: RotaryTable): string {
    const scaling = Object.values(table.scaling ?? {}).map((value) => `.${value}`);
    const name = `rotary.${table.function}.${table.dims}.${table.theta}${scaling.join("")}`;
    return this.place(name, [table.positions, table.dims / 2], { rotary: table });
  }

  /** Factors of a Fourier transform of that width, [width, width · 2]: cosines and negative sines in turn. */
  fourier(width: number): string {
    return this.place(`fourier.${width}`, [width, 2 * width], { fourier: width });
  }

  private place(
    initializer: string,
    shape: readonly number[],
    content: Content,
    type: keyof typeof bytesOfType = "float32",
  ): string {
    if (this.regions.has(initializer)) return initializer;
    const bytes = elementsOf(shape) * bytesOfType[type];
    if (bytes > largestTensor) {
      throw badInput("tensor-too-large", {
        where: initializer,
        key: "size",
        found: showBytes(bytes),
        expected: `ONNX Runtime takes tensors of at most ${showBytes(largestTensor)} from memory; a smaller --vocabulary or --hidden will do`,
      });
    }
    let file = Math.max(0, this.sizes.length - 1);
    if ((this.sizes[file] ?? 0) > 0 && (this.sizes[file] ?? 0) + bytes > fileBytes) file += 1;
    const start = Math.ceil((this.sizes[file] ?? 0) / alignment) * alignment;
    this.sizes[file] = start + bytes;
    this.regions.set(initializer, { initializer, type, shape, content, file, start, bytes });
    return initializer;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.sizes.reduce((sum, size) => sum + size, 0);
  }

  initializers(): OnnxInitializer[] {
    return [...this.regions.values()].map(({ initializer, type, shape, file, start, bytes }) => ({
      name: initializer,
      type,
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
      const { content, type, start, bytes } = region;
      if ("quantised" in content) {
        await fillQuantised(content, source, file.data.subarray(start, start + bytes));
        continue;
      }
      if ("turned" in content) {
        const half = type === "float16";
        const whole = half ? new Uint16Array(file.data.buffer, start, bytes / 2) : null;
        await fillTurned(
          content.turned,
          source,
          whole ?? new Float32Array(file.data.buffer, start, bytes / floatBytes),
        );
        continue;
      }
      const target = new Float32Array(file.data.buffer, start, bytes / floatBytes);
      if ("rotary" in content) fillRotary(content.rotary, target);
      else if ("fourier" in content) fillFourier(content.fourier, target);
      else await fillParts(content.parts, source, target);
    }
    return files;
  }
}

function pathOf(file: number): string {
  return `weights.${file}.bin`;
}

function fillFourier(width: number, target: Float32Array): void {
  for (let row = 0; row < width; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const angle = (2 * Math.PI * ((row * column) % width)) / width;
      target[2 * (row * width + column)] = Math.cos(angle);
      target[2 * (row * width + column) + 1] = -Math.sin(angle);
    }
  }
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

/** Rows that are turned at a time, so that what they are written to stays in the caches. */
const turnedAtOnce = 32;

/** @param target [in, Σ out], or one after the other where the parts are several matrices; float16 as its bits */
async function fillTurned(
  parts: readonly ParameterPart[],
  source: WeightSource,
  target: Float32Array | Uint16Array,
): Promise<void> {
  const stored = target instanceof Uint16Array ? float16Bits : (value: number): number => value;
  const columns = parts[0]?.weight.shape.at(-1) ?? 0;
  const width = rowsOf(parts);
  let before = 0;
  for (const part of parts) {
    const values = new Float32Array(elementsOf(part.weight.shape));
    await fillParts([part], source, values);
    const rows = part.weight.shape.at(-2) ?? 0;
    for (let first = 0; first < values.length / columns; first += rows) {
      for (let from = 0; from < rows; from += turnedAtOnce) {
        const to = Math.min(rows, from + turnedAtOnce);
        for (let column = 0; column < columns; column += 1) {
          const place = first * columns + column * width + before;
          for (let row = from; row < to; row += 1) {
            target[place + row] = stored(values[(first + row) * columns + column] ?? 0);
          }
        }
      }
    }
    before += rows;
  }
}

async function fillQuantised(
  { quantised, bits, side }: Extract<Content, { readonly quantised: unknown }>,
  source: WeightSource,
  target: Uint8Array,
): Promise<void> {
  let start = 0;
  for (const part of quantised) {
    const [rows = 0, columns = 0] = part.weight.shape;
    const values = new Float32Array(rows * columns);
    await fillParts([part], source, values);
    const blocks = rows * blocksOf(columns);
    if (side === "packed") {
      const bytes = blocks * blockBytes(bits);
      quantise(values, columns, bits, target.subarray(start, start + bytes), null);
      start += bytes;
    } else {
      const scales = new Float32Array(target.buffer, target.byteOffset + start, blocks);
      quantise(values, columns, bits, null, scales);
      start += blocks * floatBytes;
    }
  }
}
