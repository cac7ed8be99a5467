import { badInput } from "../base/errors.js";
import type { Ffn, Layer, Mixer, ModelDescription, MoeFfn, Stack } from "../model/types.js";

/** How many devices share a model, and along what. */
export interface Parallelism {
  /** Heads and widths of every layer are split; each layer ends in an all-reduce. */
  readonly tensor: number;
  /** Layers are split into stages. */
  readonly pipeline: number;
  /** Experts are split. Beyond `tensor` the attention is replicated and each replica serves a share of the batch. */
  readonly expert: number;
  /** The sequence is split; keys and values go round in a ring. */
  readonly context: number;
}

export const noParallelism: Parallelism = { tensor: 1, pipeline: 1, expert: 1, context: 1 };

/** Devices that take part. */
export function devicesOf({ tensor, pipeline, expert, context }: Parallelism): number {
  return pipeline * context * Math.max(tensor, expert);
}

/** Copies of the attention, each with a share of the sequences: more than one where experts spread wider than heads. */
export function replicasOf({ tensor, expert }: Parallelism): number {
  return Math.max(1, expert / tensor);
}

const names = { tensor: "--tp", pipeline: "--pp", expert: "--ep", context: "--cp" } as const;

/**
 * The model as one device sees it: heads, widths and vocabulary over the tensor-parallel devices (Megatron-LM,
 * arXiv:1909.08053), whole experts over the expert-parallel ones. KV heads are repeated where there are fewer of them
 * than devices; what is small and for all heads (latents, routers, indexers, norms) is kept by each.
 *
 * @throws NsquaredError `parallel-divide` where a number of heads, layers, experts or a width is not divided
 */
export function shardModel(model: ModelDescription, parallel: Parallelism): ModelDescription {
  const { tensor, expert, pipeline } = parallel;
  for (const stack of model.stacks) {
    if (pipeline > 1 && stack.length?.kind !== "absent")
      whole(model, "pipeline", pipeline, stack.layers.length, "layers");
  }
  const experts = model.stacks.some(({ layers }) => layers.some(({ ffns }) => ffns.some(({ kind }) => kind === "moe")));
  if (expert > 1 && !experts) {
    throw badInput("parallel-divide", {
      where: "--ep",
      found: expert,
      expected: `${model.name} has no experts to split`,
    });
  }
  if (Math.max(tensor, expert) % Math.min(tensor, expert) !== 0) {
    throw badInput("parallel-divide", {
      where: "--ep",
      found: expert,
      expected: `a divisor or a multiple of --tp ${tensor}: experts are split inside a tensor-parallel group or over whole groups`,
    });
  }
  if (tensor === 1 && expert === 1) return model;
  const rows = (count: number): number => Math.ceil(count / tensor);
  const split = new Map<Layer, Layer>();
  const layerOf = (layer: Layer): Layer => {
    let local = split.get(layer);
    if (local === undefined) {
      local = {
        ...layer,
        mixers: layer.mixers.map((mixer) => splitMixer(model, mixer, tensor)),
        ffns: layer.ffns.map((ffn) => splitFfn(model, ffn, parallel)),
      };
      split.set(layer, local);
    }
    return local;
  };
  return {
    ...model,
    embedding: { ...model.embedding, rows: rows(model.embedding.rows) },
    head:
      model.head.kind === "lm" ? { ...model.head, rows: rows(model.head.rows ?? model.vocabularySize) } : model.head,
    stacks: model.stacks.map((stack): Stack => ({ ...stack, layers: stack.layers.map(layerOf) })),
  };
}

/** `count` over `by` devices. @throws NsquaredError `parallel-divide`, naming the numbers that would do */
function whole(model: ModelDescription, kind: keyof typeof names, by: number, count: number, what: string): number {
  if (count % by === 0) return count / by;
  const divisors = Array.from({ length: 64 }, (_, index) => index + 1).filter((divisor) => count % divisor === 0);
  throw badInput("parallel-divide", {
    where: names[kind],
    found: by,
    expected: `a divisor of the ${count} ${what} of ${model.name}: ${divisors.join(", ")}`,
  });
}

/** KV heads per device: split while there are enough, then repeated. */
function keyValueHeads(model: ModelDescription, kvHeads: number, tensor: number): number {
  if (tensor >= kvHeads && tensor % kvHeads === 0) return 1;
  return whole(model, "tensor", tensor, kvHeads, "KV heads");
}

function splitMixer(model: ModelDescription, mixer: Mixer, tensor: number): Mixer {
  const over = (count: number, what: string): number => whole(model, "tensor", tensor, count, what);
  switch (mixer.kind) {
    case "attention":
      return {
        ...mixer,
        heads: over(mixer.heads, "heads"),
        kvHeads: keyValueHeads(model, mixer.kvHeads, tensor),
      };
    case "latent":
      return { ...mixer, heads: over(mixer.heads, "heads") };
    case "compressed":
      return {
        ...mixer,
        heads: over(mixer.heads, "heads"),
        outputGroups: over(mixer.outputGroups, "groups of the output projection"),
      };
    case "mamba1":
      return { ...mixer, width: over(mixer.width, "channels of the state space") };
    case "mamba2":
      return {
        ...mixer,
        heads: over(mixer.heads, "heads of the state space"),
        groups: tensor % mixer.groups === 0 ? 1 : over(mixer.groups, "groups of the state space"),
      };
    case "delta":
      return {
        ...mixer,
        keyHeads: over(mixer.keyHeads, "key heads of linear attention"),
        valueHeads: over(mixer.valueHeads, "value heads of linear attention"),
      };
    case "rwkv":
      return { ...mixer, width: over(mixer.width / mixer.headDim, "heads") * mixer.headDim };
    case "cell":
      return { ...mixer, width: whole(model, "tensor", tensor, 1, "recurrent cell") };
    case "linear":
    case "linformer":
    case "lightning":
    case "mlstm":
    case "nystrom":
    case "relative":
    case "segment":
      return { ...mixer, heads: over(mixer.heads, "heads") };
    case "rg-lru":
      return {
        ...mixer,
        heads: over(mixer.heads, "blocks of the recurrence"),
        width: over(mixer.width, "channels of the recurrence"),
      };
    case "short-convolution":
    case "gated-memory":
    case "rwkv4":
      return { ...mixer, width: over(mixer.width, "channels") };
    case "fourier":
      return mixer;
  }
}

function splitFfn(model: ModelDescription, ffn: Ffn, parallel: Parallelism): Ffn {
  const over = (count: number): number => whole(model, "tensor", parallel.tensor, count, "columns of the FFN");
  return ffn.kind === "moe" ? splitExperts(model, ffn, parallel) : { ...ffn, width: over(ffn.width) };
}

/**
 * Experts on one device. Routing is taken as uniform: of `chosen` experts per token a share of 1 / expert lies here, so
 * the local `chosen` may be a fraction. The router scores all experts everywhere.
 */
function splitExperts(model: ModelDescription, ffn: MoeFfn, parallel: Parallelism): MoeFfn {
  const { tensor, expert } = parallel;
  const experts = whole(model, "expert", expert, ffn.experts, "experts");
  const across = Math.max(1, tensor / expert);
  return {
    ...ffn,
    experts,
    chosen: ffn.chosen / expert,
    idle: (ffn.idle ?? 0) + ffn.experts - experts,
    width: whole(model, "tensor", across, ffn.width, "columns of an expert"),
    ...(replicasOf(parallel) === 1 ? {} : { peers: replicasOf(parallel) }),
    ...(ffn.shared === undefined
      ? {}
      : {
          shared: {
            ...ffn.shared,
            width: whole(model, "tensor", tensor, ffn.shared.width, "columns of the shared expert"),
          },
        }),
  };
}
