import { once as onceMade } from "../base/once.js";
import type { Bound } from "../hardware/operator-time.js";
import { type Execution, type Pass, withExecutions } from "./operators.js";
import { timePass } from "./pass.js";
import type { Seconds } from "../base/units.js";
import type { Plan } from "./plan.js";
import { sumOf, sumOfSteps } from "./sums.js";
import { worksOf } from "./works.js";

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
  if (chunk === null) return once;
  return inChunks(plan, schedule, chunk, size, once);
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
  const known = new Map<number, Pass>();
  const passOf = (sequences: number): Pass => {
    const pass = known.get(sequences) ?? of(sequences);
    known.set(sequences, pass);
    return pass;
  };
  const at = (length: number): { readonly pass: Pass; readonly times: number } => {
    const sequences = sequencesPerChunk(length, schedule, chunk, size);
    return { pass: passOf(sequences), times: size / sequences };
  };
  const first = passOf(1);
  const executionAt = (pass: Pass, index: number): Execution => {
    const operator = pass.operators[index];
    if (operator === undefined) throw new Error("passes of all sizes have the same operators");
    return operator.execution;
  };
  const operators = withExecutions(
    first.operators,
    ({ execution }) => execution.key,
    ({ execution }, index) => ({
      ...execution,
      work: (length) => {
        const { pass, times } = at(length);
        return times * executionAt(pass, index).work(length);
      },
      overhead: (length) => {
        const { pass, times } = at(length);
        return times * functionOf(executionAt(pass, index).overhead)(length);
      },
      bound: (length) => executionAt(at(length).pass, index).bound(length),
      fixed: false,
      streamed: null,
    }),
  );
  return {
    operators,
    outside: (length) => {
      const { pass, times } = at(length);
      return times * pass.outside(length);
    },
    stepsFrom: chunk / size / (1 - schedule.cachedShare),
  };
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
  let known = { length: Number.NaN, fresh: 0, count: 0, rest: 0, from: 0 };
  /** Chunks of a prompt of that length: whole ones, tokens of the rest, where the first begins. All operators ask for the same length. */
  const chunksOf = (length: number): typeof known => {
    if (length !== known.length) {
      const fresh = length * (1 - cachedShare);
      const count = Math.floor(fresh / chunk);
      known = { length, fresh, count, rest: fresh - count * chunk, from: depth + length * cachedShare };
    }
    return known;
  };
  const whole = (length: number): boolean => chunksOf(length).fresh <= chunk;
  const total = (ofFull: Timed | number, ofSingle: Timed | number, lastOnly: boolean): Timed => {
    const always = cachedShare === 0 ? chunksFrom(depth, chunk, ofFull, ofSingle) : null;
    return (length) => {
      const { count, rest, from } = chunksOf(length);
      const chunks = always ?? chunksFrom(from, chunk, ofFull, ofSingle);
      const ending = rest > 0 ? part(chunks.single(count), chunks.full(count), rest, chunk) : 0;
      const last = lastOnly || pipeline > 1 ? chunks.full(Math.max(0, count - 1)) : 0;
      if (lastOnly) return rest > 0 ? ending : last;
      const sum = chunks.sum(count) + ending;
      return pipeline === 1 ? sum : (sum + (pipeline - 1) * last) / pipeline;
    };
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
      const timed = ({ work, fixed }: Execution): Timed | number => (fixed ? work(depth) : work);
      const plainly = functionOf(plain.overhead);
      const work = total(timed(many), timed(one), last);
      const overhead = total(many.overhead, one.overhead, last);
      /** What limits the middle one of so many chunks. */
      const bounds: Bound[] = [];
      return {
        key,
        class: plain.class,
        degree: plain.degree,
        work: (length) => (whole(length) ? plain.work(length) : work(length)),
        overhead: (length) => (whole(length) ? plainly(length) : overhead(length)),
        bound: (length) => {
          if (whole(length)) return plain.bound(length);
          const { count, from } = chunksOf(length);
          const middle = from + (count * chunk) / 2;
          return cachedShare === 0 ? (bounds[count] ??= many.bound(middle)) : many.bound(middle);
        },
        fixed: false,
        streamed: null,
      };
    },
  );
  const outside = total(full.outside(depth), single.outside(depth), false);
  return {
    operators,
    secondsOf: (kind) => {
      const members = operators.flatMap((one, index) => (kind === "overhead" || one.class === kind ? [index] : []));
      const secondsIn = (pass: Pass, chosen: readonly number[]): Timed =>
        sumOf(
          worksOf(chosen.flatMap((index) => pass.operators[index] ?? [])).map(({ work, overhead }) =>
            kind === "overhead" ? overhead : work,
          ),
        );
      const chunked = (last: boolean): Timed => {
        const chosen = members.filter((index) => (full.operators[index]?.part === "head") === last);
        return total(secondsIn(full, chosen), secondsIn(single, chosen), last);
      };
      // Made when a length asks for them: a table of devices asks each for few.
      const plain = onceMade(() => secondsIn(once, members));
      const [body, head] = [onceMade(() => chunked(false)), onceMade(() => chunked(true))];
      return (length) => (whole(length) ? plain()(length) : body()(length) + head()(length));
    },
    outside: (length) => (whole(length) ? once.outside(length) : outside(length)),
    atOnce: { operators: once.operators, holds: whole },
    stepsFrom: chunk / (1 - cachedShare),
  };
}

type Timed = (length: number) => number;

/** Whole chunks one after the other from a depth on: of the first `count` of them, of the one after those, of a single token there. */
interface Chunks {
  readonly sum: (count: number) => Seconds;
  readonly full: (count: number) => Seconds;
  readonly single: (count: number) => Seconds;
}

/** Chunks that are added one by one, so that each length goes on from a shorter one. */
const mostAdded = 256;

/**
 * Lengths of as many whole chunks take what one of them has found out.
 *
 * @param full seconds of a whole chunk after so many tokens, a number where they do not matter
 * @param single seconds of a single token there
 */
function chunksFrom(from: number, chunk: number, full: Timed | number, single: Timed | number): Chunks {
  const at = (of: Timed): ((count: number) => number) => {
    const known: number[] = [];
    return (count) => (known[count] ??= of(from + count * chunk));
  };
  const ofSingle = typeof single === "number" ? () => single : at(single);
  if (typeof full === "number") return { sum: (count) => count * full, full: () => full, single: ofSingle };
  const ofFull = at(full);
  const sums = [0];
  const grouped = new Map<number, number>();
  const sum = (count: number): number => {
    if (count > mostAdded) {
      const found = grouped.get(count) ?? sumOfSteps(full, from, chunk, count);
      grouped.set(count, found);
      return found;
    }
    for (let k = sums.length; k <= count; k += 1) sums[k] = (sums[k - 1] ?? 0) + ofFull(k - 1);
    return sums[count] ?? 0;
  };
  return { sum, full: ofFull, single: ofSingle };
}

function functionOf(value: number | Timed): Timed {
  return typeof value === "number" ? () => value : value;
}

/** Between what one token and what a whole chunk takes. */
function part(single: number, full: number, tokens: number, chunk: number): number {
  if (chunk <= 1 || tokens <= 1) return single;
  return single + ((full - single) * (tokens - 1)) / (chunk - 1);
}
