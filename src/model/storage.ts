import type { Dtype } from "../base/units.js";

/** One tensor of a weight file. */
export interface StoredTensor {
  readonly name: string;
  /** The format's own name: `Q4_K`, `BF16`, … */
  readonly type: string;
  readonly elements: number;
  /** Bytes in the file, scales included. */
  readonly bytes: number;
}

/** File types of llama.cpp: recipes that choose a type for each tensor. */
export const fileTypes = [
  "Q8_0",
  "Q6_K",
  "Q5_K_M",
  "Q5_K_S",
  "Q5_1",
  "Q5_0",
  "Q4_K_M",
  "Q4_K_S",
  "Q4_1",
  "Q4_0",
  "IQ4_NL",
  "IQ4_XS",
  "Q3_K_L",
  "Q3_K_M",
  "Q3_K_S",
  "Q2_K",
  "MXFP4",
] as const;
export type FileType = (typeof fileTypes)[number];

/** One number of `bits` beside each block of a matrix. */
export type Beside =
  /** Rows × columns; null is the whole side. */
  | { readonly rows: number | null; readonly columns: number | null; readonly bits: number }
  /** Of elements in a row, wherever rows end. */
  | { readonly elements: number; readonly bits: number };

/** How a toolkit stores a matrix of outputs × inputs: elements of a few bits, and scales, zero points, indices beside them. */
export interface MatrixFormat {
  /** `FP8 in blocks of 128 × 128` */
  readonly name: string;
  readonly bits: number;
  readonly beside: readonly Beside[];
  /** What activations are cast to before products with it; null where it is expanded to their format. */
  readonly operands: Dtype | null;
}

/** Modules by name, as toolkits list them: whole names, parts of names, `*`, or `re:` and a regular expression. */
export interface ModuleRule {
  readonly modules: readonly string[];
  /** Null where they stay as they are. */
  readonly format: MatrixFormat | null;
}

/** Matrices as a `quantization_config` describes them, under the reference implementation's names. */
export interface QuantisedStorage {
  readonly kind: "quantised";
  /** `fp8`, `gptq`, … */
  readonly method: string;
  /** The first that names a matrix decides. */
  readonly rules: readonly ModuleRule[];
  /** Of matrices that no rule names; null leaves them as they are. */
  readonly others: MatrixFormat | null;
  /** What `others` reaches beside the linear maps inside of layers. */
  readonly reaches: {
    readonly head: boolean;
    readonly embedding: boolean;
    readonly routers: boolean;
    /** Towers for images and sound, and what leads from them. */
    readonly towers: boolean;
  };
  /** The prediction's layers follow this many of the model; absent in the model itself. */
  readonly layersBefore?: number;
}

/** What activations are cast to before products with some of the weights. */
export function castsOf({ rules, others }: QuantisedStorage): Dtype[] {
  const formats = [...rules.map(({ format }) => format), others];
  return [
    ...new Set(formats.flatMap((format) => (format === null || format.operands === null ? [] : [format.operands]))),
  ];
}

/** The same bits, but expanded before products. */
export function withoutCasts(storage: QuantisedStorage): QuantisedStorage {
  const wide = (format: MatrixFormat | null): MatrixFormat | null =>
    format === null ? null : { ...format, operands: null };
  const rules = storage.rules.map(({ modules, format }) => ({ modules, format: wide(format) }));
  return { ...storage, rules, others: wide(storage.others) };
}

/** What the weights are in, in a word. */
export function weightFormat(storage: WeightStorage | undefined, plain: Dtype): string {
  if (storage?.kind === "file-type") return storage.type;
  return storage?.kind === "quantised" ? storage.method : plain;
}

/** How the weights are stored where that is no plain number format. */
export type WeightStorage =
  /** As llama.cpp would write them. */
  | { readonly kind: "file-type"; readonly type: FileType }
  /** As the tensors of a GGUF file are, under llama.cpp's names. */
  | { readonly kind: "gguf"; readonly tensors: readonly StoredTensor[] }
  | QuantisedStorage;
