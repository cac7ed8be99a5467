import { ModelBuilder } from "../onnx/builder.js";
import { encodeModel } from "../onnx/proto.js";
import type { Runtime, Session, Tensor, Tensors } from "./onnx-node-session.js";

/**
 * Puts tensors into the memory of the GPU that WebGPU computes on, by a model that hands out what it is handed. A cache that is handed
 * in from the process's memory would be copied in every step, which no engine on a GPU does.
 */
export class Uploader {
  /** By the number of dimensions. */
  private readonly copies = new Map<number, Promise<Session>>();

  constructor(private readonly runtime: Runtime) {}

  /** The same tensors with those of real numbers in the GPU's memory, where they stay until they are discarded. */
  async upload(tensors: Tensors): Promise<Tensors> {
    const uploaded: Record<string, Tensor> = {};
    try {
      for (const [name, tensor] of Object.entries(tensors)) {
        // Whole numbers are lengths and ids, which the processor reads; what is empty has no memory.
        const stays = tensor.type !== "float32" || tensor.size === 0;
        uploaded[name] = stays ? tensor : await this.copied(tensor);
      }
      return uploaded;
    } catch (error) {
      discard(uploaded);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const session of this.copies.values()) await (await session).close();
    this.copies.clear();
  }

  private async copied(tensor: Tensor): Promise<Tensor> {
    const rank = tensor.dims.length;
    let session = this.copies.get(rank);
    if (session === undefined) {
      session = this.open(rank);
      this.copies.set(rank, session);
    }
    const { copy } = await (await session).run({ original: tensor }, { copy: null });
    if (copy === undefined) throw new Error("the runtime gave no copy");
    return copy;
  }

  private open(rank: number): Promise<Session> {
    const shape = Array.from({ length: rank }, (_, axis) => `size.${axis}`);
    const builder = new ModelBuilder("webgpu");
    builder.output(builder.node("copy", "Identity", [builder.input("original", "float32", shape)]), "float32", shape);
    const options = { provider: "webgpu", threads: 1, profilePrefix: null, keepsOutputs: true } as const;
    return this.runtime.open(encodeModel(builder.build("copy", [])), [], options);
  }
}

/** Frees what an uploader has put into the GPU's memory. */
export function discard(tensors: Tensors): void {
  for (const tensor of Object.values(tensors)) if (tensor.location === "gpu-buffer") tensor.dispose();
}
