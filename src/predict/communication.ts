import { type Seconds, bytesPerElement } from "../base/units.js";
import { cacheBytes, stateBytes } from "../cost/cache.js";
import type { Block } from "../graph/types.js";
import { type Collective, type CollectiveTime, collectiveTime } from "../hardware/network.js";
import type { Bound } from "../hardware/operator-time.js";
import { Expression } from "../math/expression.js";
import type { Layer } from "../model/types.js";
import { type CurveOperator, type PassSetting, operatorOf, valuesOf } from "./operators.js";
import type { Plan } from "./plan.js";

/** Exchanges of one kind in a forward pass: how many, and of how many bytes together. */
interface Exchange {
  readonly name: string;
  readonly kind: Collective;
  readonly devices: number;
  readonly count: number;
  readonly bytes: Expression;
}

/**
 * What devices that share a model send each other in one forward pass.
 *
 * Tensor parallel: an all-reduce of the hidden states after every branch of a layer and after the embedding, an all-gather
 * of the logits (Megatron-LM, arXiv:1909.08053). Expert parallel over replicas: two all-to-all per MoE layer, tokens there
 * and back (GShard, arXiv:2006.16668). Pipeline: hidden states to the next stage. Context parallel: in prefill keys and
 * values of a layer go round all devices behind attention (Ring Attention, arXiv:2310.01889), and what attention does not
 * hide is counted; in decode partial results are merged by an all-reduce; states of recurrences are handed on.
 */
export function communications(
  plan: Plan,
  setting: PassSetting,
  operators: readonly CurveOperator[],
): readonly CurveOperator[] {
  const { link } = plan;
  if (link === null) return [];
  const factor = plan.engine.factors.network ?? 1;
  const { variable } = setting;
  const { context } = plan.parallel;
  const share = setting.phase === "prefill" ? context : 1;
  const values = valuesOf(plan, setting, share);
  const shown = exchangesOf(plan, setting).map(({ name, kind, devices, count, bytes: moved }): CurveOperator => {
    const ideal = collectiveTime(kind, link, devices);
    const time = { latency: factor * ideal.latency, perByte: factor * ideal.perByte };
    const bytes = moved.compile(variable, values);
    return networkOperator(name, moved.growth(variable).power, time, count, (length) => bytes(length / share));
  });
  return context > 1 ? [...shown, ...ringOf(plan, setting, operators)] : shown;
}

function networkOperator(
  name: string,
  degree: number,
  time: CollectiveTime,
  count: number,
  bytes: (length: number) => number,
): CurveOperator {
  const waiting = time.latency * count;
  return exchange(
    name,
    degree,
    (length) => waiting + time.perByte * bytes(length),
    (length) => (waiting > time.perByte * bytes(length) ? "latency" : "network"),
  );
}

function exchange(
  name: string,
  degree: number,
  work: (length: number) => Seconds,
  bound: (length: number) => Bound,
): CurveOperator {
  const execution = {
    key: name,
    class: "network",
    degree,
    work,
    overhead: 0,
    bound,
    fixed: false,
    streamed: null,
  } as const;
  return operatorOf(name, "network", execution);
}

/** Branches of a layer that end in a product whose parts are on several devices. */
function branchesOf({ mixers, ffns, arrangement = "sequence" }: Layer): number {
  const mixing = mixers.filter(({ kind }) => kind !== "fourier").length;
  const one = (count: number): number => Math.min(1, count);
  switch (arrangement) {
    case "sequence":
      return mixing + ffns.length;
    case "parallel":
    case "parallel-two-norms":
      return one(mixing + ffns.length);
    case "parallel-mixers":
      return one(mixing) + ffns.length;
    case "parallel-ffns":
      return mixing + one(ffns.length);
  }
}

/** Bytes of what a block hands on. */
function streamBytes(block: Block): Expression {
  const value = block.values.get(block.output);
  return (value?.shape ?? []).reduce<Expression>(
    (product, size) => product.times(size),
    Expression.constant(value === undefined ? 0 : bytesPerElement(value.dtype)),
  );
}

function exchangesOf(plan: Plan, setting: PassSetting): readonly Exchange[] {
  const { instances } = plan.graph(setting.phase);
  const { tensor, pipeline, expert } = plan.parallel;
  const layers = plan.model.stacks.flatMap((stack) => stack.layers);
  const reduced: Expression[] = [];
  const routed: Expression[] = [];
  let reductions = 0;
  let dispatches = 0;
  let stream = Expression.zero;
  let gathered: Expression = Expression.zero;
  for (const { block, layer } of instances) {
    const bytes = streamBytes(block);
    if (bytes.isZero) continue;
    const description = layer === null ? undefined : layers[layer];
    if (description !== undefined) {
      stream = bytes;
      const branches = branchesOf(description);
      reductions += branches;
      reduced.push(bytes.times(branches));
      for (const ffn of description.ffns) {
        if (ffn.kind !== "moe") continue;
        const width = (ffn.latentWidth ?? plan.model.hiddenSize) / plan.model.hiddenSize;
        dispatches += 2;
        routed.push(bytes.times(2 * ffn.chosen * width));
      }
    } else if (block.name === "embedding") {
      reductions += 1;
      reduced.push(bytes);
    } else if (block.name === "head") {
      gathered = bytes.times(tensor);
    }
  }
  const exchanges: Exchange[] = [];
  if (tensor > 1) {
    exchanges.push({
      name: "all_reduce",
      kind: "all-reduce",
      devices: tensor,
      count: reductions,
      bytes: Expression.sum(reduced),
    });
    if (!gathered.isZero) {
      exchanges.push({ name: "gather_logits", kind: "all-gather", devices: tensor, count: 1, bytes: gathered });
    }
  }
  if (plan.replicas > 1 && dispatches > 0) {
    exchanges.push({
      name: "all_to_all",
      kind: "all-to-all",
      devices: expert,
      count: dispatches,
      // The devices of a replica hold the same tokens and send a share each.
      bytes: Expression.sum(routed).times(1 / tensor),
    });
  }
  if (pipeline > 1) {
    // A decoded token goes back to the first stage.
    const sends = setting.phase === "decode" ? pipeline : pipeline - 1;
    exchanges.push({ name: "next_stage", kind: "send", devices: 2, count: sends, bytes: stream.times(sends) });
  }
  return exchanges;
}

/** What context parallelism adds: see `communications`. */
function ringOf(plan: Plan, setting: PassSetting, operators: readonly CurveOperator[]): readonly CurveOperator[] {
  const { link, parallel } = plan;
  const { context } = parallel;
  if (link === null) return [];
  const graph = plan.graph(setting.phase);
  const values = valuesOf(plan, setting, 1);
  const attention = graph.instances.flatMap(({ block }) =>
    block.operators.flatMap((operator) =>
      operator.kind === "attention" || operator.kind === "scores" ? [operator] : [],
    ),
  );
  const send = collectiveTime("send", link, 2);
  const added: CurveOperator[] = [];
  const states = stateBytes(graph);
  if (!states.isZero && setting.phase === "prefill") {
    const bytes = states.at({ ...values, [setting.variable]: 1 }) * (context - 1);
    added.push(networkOperator("hand_on_states", 0, send, context - 1, () => bytes));
  }
  if (attention.length === 0) return added;
  if (setting.phase === "decode") {
    const time = collectiveTime("all-reduce", link, context);
    // Mixtures in float32 with the sum of each head's weights.
    const bytes = attention.reduce((sum, { heads, valueDim }) => sum + heads * (valueDim + 1) * 4 * setting.batch, 0);
    return [...added, networkOperator("merge_attention", 0, time, attention.length, () => bytes)];
  }
  const kept = cacheBytes(graph).minus(states).compile(setting.variable, values);
  const others = operators.filter(({ part }) => part === "attention");
  const steps = (context - 1) * attention.length;
  const ring = (length: number): number =>
    steps * send.latency + send.perByte * kept(length) * ((context - 1) / context);
  const work = (length: number): number => {
    let hidden = 0;
    for (const operator of others) hidden += operator.work(length);
    return Math.max(0, ring(length) - hidden);
  };
  return [
    ...added,
    exchange("ring_keys_values", 1, work, (length) =>
      2 * steps * send.latency > ring(length) ? "latency" : "network",
    ),
  ];
}
