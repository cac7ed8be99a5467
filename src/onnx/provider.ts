/** What computes: the processor, or a GPU through WebGPU. */
export const providers = ["cpu", "webgpu"] as const;
export type Provider = (typeof providers)[number];

/**
 * Versions of the standard operators that models are written in. Of many (Elu, Sin, Cos, Conv …) ONNX Runtime's WebGPU provider
 * knows none newer than those of 21, and nothing newer is used.
 */
export const opsets: Readonly<Record<Provider, number>> = { cpu: 23, webgpu: 21 };
