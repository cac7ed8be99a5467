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

/** How the weights are stored where that is no plain number format. */
export type WeightStorage =
  /** As llama.cpp would write them. */
  | { readonly kind: "file-type"; readonly type: FileType }
  /** As the tensors of a GGUF file are, under llama.cpp's names. */
  | { readonly kind: "gguf"; readonly tensors: readonly StoredTensor[] };
