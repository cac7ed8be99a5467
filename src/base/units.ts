declare const unit: unique symbol;

/** A number that carries its unit in its type. A plain number may be assigned to it. */
type Unit<Name extends string> = number & { readonly [unit]?: Name };

export type Seconds = Unit<"seconds">;
export type Bytes = Unit<"bytes">;
/** Number formats that weights, activations and caches come in. */
export const dtypes = ["float64", "float32", "float16", "bfloat16", "float8", "int8", "int4", "float4"] as const;
export type Dtype = (typeof dtypes)[number];

const bitsOf: Record<Dtype, number> = {
  float64: 64,
  float32: 32,
  float16: 16,
  bfloat16: 16,
  float8: 8,
  int8: 8,
  int4: 4,
  float4: 4,
};

/** Bytes of one element; a fraction below eight bits. */
export function bytesPerElement(dtype: Dtype): number {
  return bitsOf[dtype] / 8;
}
