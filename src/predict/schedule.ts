import { inChunks } from "./chunks.js";
import { type Execution, type Pass, functionOf, withExecutions } from "./operators.js";
import { timePass } from "./pass.js";
import type { Plan } from "./plan.js";

/** How a request is run through the model. */
export interface Schedule {
  /** Sequences at once, over all replicas. */
  readonly batch: number;
  /** Tokens already cached before a prefill. */
  readonly depth: number;
  /** Tokens of a prefill that are computed at once, of all sequences together; all of them where null. */
  readonly chunk: number | null;
  /** Share of a prefill's tokens whose keys and values are cached, from 0 to below 1. */
  readonly cachedShare: number;
}

export const defaultSchedule: Schedule = { batch: 1, depth: 0, chunk: null, cachedShare: 0 };

/** Sequences of one replica that run at once: a pipeline is filled with as many groups as it has stages. */
export function groupsOf(plan: Plan, batch: number): { readonly groups: number; readonly size: number } {
  const local = Math.ceil(batch / plan.replicas);
  const groups = Math.min(plan.parallel.pipeline, local);
  return { groups, size: Math.ceil(local / groups) };
}

/**
 * One decode step of every sequence. In a pipeline each group of sequences passes all stages while the others are in
 * other stages, so that a step takes as long as one group's pass.
 */
export function decodePass(plan: Plan, { batch }: Schedule): Pass {
  return timePass(plan, {
    phase: "decode",
    variable: "c",
    newTokens: 1,
    depth: 0,
    batch: groupsOf(plan, batch).size,
  });
}

/**
 * A whole prefill over the prompt's n tokens.
 *
 * A share of the tokens may be cached: n·(1 − share) new ones follow depth + n·share. In chunks, chunk k attends to
 * everything before it, so its keys and values are read again; a last chunk that is shorter is taken between one token
 * and a whole chunk, linearly, and logits are computed once. A chunk holds as many whole sequences as fit, or a part of one:
 * n_ubatch of llama.cpp and max_num_batched_tokens of vLLM count the tokens of all sequences. In a pipeline of p stages μ
 * groups of sequences need (μ + p − 1)/p times one group's pass (GPipe, arXiv:1811.06965), and chunks of one prompt follow
 * each other the same way.
 */
export function prefillPass(plan: Plan, schedule: Schedule): Pass {
  const { chunk, batch } = schedule;
  const { size } = groupsOf(plan, batch);
  if (chunk === null || size === 1) return prefillOf(plan, schedule, size);
  const of = (sequences: number): Pass =>
    prefillOf(plan, sequences === 1 ? schedule : { ...schedule, chunk: null }, sequences);
  return packed(of, schedule, chunk, size);
}

/** The prefill of `size` sequences of each group at once. */
function prefillOf(plan: Plan, schedule: Schedule, size: number): Pass {
  const { batch, depth, chunk, cachedShare } = schedule;
  const { pipeline } = plan.parallel;
  const { groups } = groupsOf(plan, batch);
  const at = (from: number): Pass =>
    timePass(plan, { phase: "prefill", variable: "n", newTokens: 0, depth: from, batch: size });
  const plain = cachedShare === 0 ? at(depth) : continued(at, depth, cachedShare);
  const once = pipeline === 1 ? plain : scaled(plain, (groups + pipeline - 1) / pipeline);
  return chunk === null ? once : inChunks(plan, schedule, chunk, size, once);
}

/** Whole sequences of n tokens that a chunk holds; one where it holds only a part. */
export function sequencesPerChunk(
  length: number,
  { cachedShare }: Pick<Schedule, "cachedShare">,
  chunk: number,
  most: number,
): number {
  const fresh = Math.max(1, length * (1 - cachedShare));
  return Math.max(1, Math.min(most, Math.floor(chunk / fresh)));
}

/** `size` sequences, as many at a time as a chunk holds. */
function packed(of: (sequences: number) => Pass, schedule: Schedule, chunk: number, size: number): Pass {
  const passOf = remembered(of);
  const pass = varying(of(1), (length) => {
    const sequences = sequencesPerChunk(length, schedule, chunk, size);
    return { pass: passOf(sequences), length, times: size / sequences };
  });
  return { ...pass, stepsFrom: chunk / size / (1 - schedule.cachedShare) };
}

/** A prefill of always the same new tokens after ever more cached ones: a function of the depth. */
export function turnPass(plan: Plan, batch: number, newTokens: number): Pass {
  const { pipeline } = plan.parallel;
  const { groups, size } = groupsOf(plan, batch);
  const pass = timePass(plan, { phase: "prefill", variable: "c", newTokens, depth: 0, batch: size });
  return pipeline === 1 ? pass : scaled(pass, (groups + pipeline - 1) / pipeline);
}

function scaled(pass: Pass, factor: number): Pass {
  return {
    operators: withExecutions(
      pass.operators,
      ({ execution }) => execution.key,
      ({ execution }) => {
        const { work, overhead, streamed } = execution;
        return {
          ...execution,
          work: (length) => work(length) * factor,
          overhead: typeof overhead === "number" ? overhead * factor : (length) => overhead(length) * factor,
          streamed: streamed?.map((coefficient) => coefficient * factor) ?? null,
        };
      },
    ),
    outside: (length) => pass.outside(length) * factor,
  };
}

/** Passes whose depth grows with the length. */
function continued(at: (depth: number) => Pass, depth: number, share: number): Pass {
  const passAt = remembered(at);
  return varying(at(depth), (length) => ({
    pass: passAt(depth + length * share),
    length: length * (1 - share),
    times: 1,
  }));
}

/** Most passes that are kept; a plot asks for each of its points a few times. */
const mostPasses = 256;

/** Passes by the number that they differ in, each made when it is asked for. */
function remembered(make: (key: number) => Pass): (key: number) => Pass {
  const known = new Map<number, Pass>();
  return (key) => {
    const found = known.get(key) ?? make(key);
    if (known.size >= mostPasses) known.clear();
    known.set(key, found);
    return found;
  };
}

/** What runs at a length: which pass, at which length of its own, how many times. */
interface Run {
  readonly pass: Pass;
  readonly length: number;
  readonly times: number;
}

/** A pass that is another one at every length; all have the operators of `first`. */
function varying(first: Pass, runAt: (length: number) => Run): Pass {
  const executionAt = ({ pass }: Run, index: number): Execution => {
    const operator = pass.operators[index];
    if (operator === undefined) throw new Error("all passes have the same operators");
    return operator.execution;
  };
  return {
    operators: withExecutions(
      first.operators,
      ({ execution }) => execution.key,
      ({ execution }, index) => ({
        ...execution,
        work: (length) => {
          const run = runAt(length);
          return run.times * executionAt(run, index).work(run.length);
        },
        overhead: (length) => {
          const run = runAt(length);
          return run.times * functionOf(executionAt(run, index).overhead)(run.length);
        },
        bound: (length) => {
          const run = runAt(length);
          return executionAt(run, index).bound(run.length);
        },
        fixed: false,
        streamed: null,
      }),
    ),
    outside: (length) => {
      const run = runAt(length);
      return run.times * run.pass.outside(run.length);
    },
  };
}
