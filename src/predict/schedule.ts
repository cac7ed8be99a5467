import { type Execution, type Pass, withExecutions } from "./operators.js";
import { timePass } from "./pass.js";
import type { Plan } from "./plan.js";
import { sumOfSteps } from "./sums.js";

/** How a request is run through the model. */
export interface Schedule {
  /** Sequences at once, over all replicas. */
  readonly batch: number;
  /** Tokens already cached before a prefill. */
  readonly depth: number;
  /** Tokens of a prefill that are computed at once; all of them where null. */
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
 * and a whole chunk, linearly, and logits are computed once. In a pipeline of p stages μ groups of sequences need
 * (μ + p − 1)/p times one group's pass (GPipe, arXiv:1811.06965), and chunks of one prompt follow each other the same way.
 */
export function prefillPass(plan: Plan, schedule: Schedule): Pass {
  const { batch, depth, chunk, cachedShare } = schedule;
  const { pipeline } = plan.parallel;
  const { groups, size } = groupsOf(plan, batch);
  const at = (from: number): Pass =>
    timePass(plan, { phase: "prefill", variable: "n", newTokens: 0, depth: from, batch: size });
  const plain = cachedShare === 0 ? at(depth) : continued(at, depth, cachedShare);
  const once = pipeline === 1 ? plain : scaled(plain, (groups + pipeline - 1) / pipeline);
  if (chunk === null) return once;
  return inChunks(plan, schedule, chunk, size, once);
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

/** Most depths whose passes are kept; a plot asks for each of its points a few times. */
const mostPasses = 256;

/** Passes whose depth grows with the length: each is made when it is asked for. */
function continued(at: (depth: number) => Pass, depth: number, share: number): Pass {
  const known = new Map<number, Pass>();
  const passAt = (length: number): Pass => {
    const cached = depth + length * share;
    let pass = known.get(cached);
    if (pass === undefined) {
      if (known.size >= mostPasses) known.clear();
      pass = at(cached);
      known.set(cached, pass);
    }
    return pass;
  };
  const fresh = (length: number): number => length * (1 - share);
  const executionAt = (length: number, index: number): Execution => {
    const operator = passAt(length).operators[index];
    if (operator === undefined) throw new Error("every depth has the same operators");
    return operator.execution;
  };
  return {
    operators: withExecutions(
      at(depth).operators,
      ({ execution }) => execution.key,
      ({ execution }, index) => ({
        ...execution,
        work: (length) => executionAt(length, index).work(fresh(length)),
        bound: (length) => executionAt(length, index).bound(fresh(length)),
        fixed: false,
        streamed: null,
      }),
    ),
    outside: (length) => passAt(length).outside(fresh(length)),
  };
}

function inChunks(plan: Plan, schedule: Schedule, chunk: number, batch: number, once: Pass): Pass {
  const { depth, cachedShare } = schedule;
  const { pipeline } = plan.parallel;
  const of = (newTokens: number): Pass =>
    timePass(plan, { phase: "prefill", variable: "c", newTokens, depth: 0, batch });
  const [full, single] = [of(chunk), of(1)];
  /** Chunks of a prompt of that length: whole ones, tokens of the rest, where the first begins. */
  const chunksOf = (length: number) => {
    const fresh = length * (1 - cachedShare);
    const count = Math.floor(fresh / chunk);
    return { fresh, count, rest: fresh - count * chunk, from: depth + length * cachedShare };
  };
  const whole = (length: number): boolean => chunksOf(length).fresh <= chunk;
  const total = (
    ofFull: (c: number) => number,
    ofSingle: (c: number) => number,
    fixed: boolean,
    length: number,
    lastOnly: boolean,
  ): number => {
    const { count, rest, from } = chunksOf(length);
    const end = from + count * chunk;
    const ending = rest > 0 ? part(ofSingle(end), ofFull(end), rest, chunk) : 0;
    if (lastOnly) return rest > 0 ? ending : ofFull(end - chunk);
    const sum = (fixed ? count * ofFull(from) : sumOfSteps(ofFull, from, chunk, count)) + ending;
    if (pipeline === 1) return sum;
    return (sum + (pipeline - 1) * ofFull(Math.max(from, end - chunk))) / pipeline;
  };
  const threeOf = (index: number): readonly [Execution, Execution, Execution] => {
    const [plain, many, one] = [once, full, single].map(({ operators }) => operators[index]?.execution);
    if (plain === undefined || many === undefined || one === undefined) {
      throw new Error("chunks of all sizes have the same operators");
    }
    return [plain, many, one];
  };
  const operators = withExecutions(
    full.operators,
    ({ part: place }, index) => [place === "head", ...threeOf(index).map(({ key }) => key)].join(" "),
    ({ part: place }, index, key): Execution => {
      const [plain, many, one] = threeOf(index);
      const last = place === "head";
      const [plainly, fully, singly] = [plain.overhead, many.overhead, one.overhead].map(functionOf) as [
        Timed,
        Timed,
        Timed,
      ];
      return {
        key,
        class: plain.class,
        degree: plain.degree,
        work: remembered((length) =>
          whole(length) ? plain.work(length) : total(many.work, one.work, many.fixed, length, last),
        ),
        overhead: remembered((length) =>
          whole(length) ? plainly(length) : total(fully, singly, typeof many.overhead === "number", length, last),
        ),
        bound: (length) => {
          if (whole(length)) return plain.bound(length);
          const { fresh, from } = chunksOf(length);
          return many.bound(from + fresh / 2);
        },
        fixed: false,
        streamed: null,
      };
    },
  );
  return {
    operators,
    outside: (length) =>
      whole(length) ? once.outside(length) : total(full.outside, single.outside, true, length, false),
    stepsFrom: chunk / (1 - cachedShare),
  };
}

type Timed = (length: number) => number;

function functionOf(value: number | Timed): Timed {
  return typeof value === "number" ? () => value : value;
}

/** A curve, its interval and its split ask for the same length after each other. */
function remembered(work: Timed): Timed {
  let [at, seconds] = [Number.NaN, 0];
  return (length) => {
    if (length !== at) {
      seconds = work(length);
      at = length;
    }
    return seconds;
  };
}

/** Between what one token and what a whole chunk takes. */
function part(single: number, full: number, tokens: number, chunk: number): number {
  if (chunk <= 1 || tokens <= 1) return single;
  return single + ((full - single) * (tokens - 1)) / (chunk - 1);
}
