/** A named tensor handed to the runtime. */
export interface Feed {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | BigInt64Array;
}

/** A file of constant tensors that exists in memory only; below 2 GiB. */
export interface ExternalFile {
  readonly path: string;
  readonly data: Uint8Array;
}
