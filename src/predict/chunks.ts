import { once } from "../base/once.js";
import type { Seconds } from "../base/units.js";
import type { OperatorClass } from "../hardware/efficiency.js";
import type { Bound } from "../hardware/operator-time.js";
import { type CurveOperator, type Execution, type Pass, type Timed, functionOf, withExecutions } from "./operators.js";
import { timePass } from "./pass.js";
import type { Plan } from "./plan.js";
import { sumOf, sumOfSteps } from "./sums.js";
import { worksOf } from "./works.js";

/**
 * A prefill chunk by chunk: each attends to all before it, a last, shorter one is taken between one token and a whole chunk,
 * linearly, and the head runs for the last chunk alone. A prompt that fits into one chunk is the pass `whole`.
 */
export function inChunks(
  plan: Plan,
  { depth, cachedShare }: { readonly depth: number; readonly cachedShare: number },
  chunk: number,
  batch: number,
  whole: Pass,
): Pass {
  const { pipeline } = plan.parallel;
  const of = (newTokens: number): Pass =>
    timePass(plan, { phase: "prefill", variable: "c", newTokens, depth: 0, batch });
  const [full, single] = [of(chunk), of(1)];
  const chunksOf = chunksBy(chunk, depth, cachedShare);
  const fits = (length: number): boolean => chunksOf(length).fresh <= chunk;

  /** Seconds of every chunk of a prompt, of what a whole one and one token take after so many tokens. */
  const ofAll = (ofFull: Timed | number, ofSingle: Timed | number): Timed => {
    const chunksFrom = sequenceFrom(ofFull, ofSingle);
    return (length) => {
      const { count, rest, from } = chunksOf(length);
      const chunks = chunksFrom(from);
      const sum = chunks.sum(count) + (rest > 0 ? chunks.part(count, rest) : 0);
      return pipeline === 1 ? sum : (sum + (pipeline - 1) * chunks.full(count - 1)) / pipeline;
    };
  };
  /** The same of the last chunk alone. */
  const ofLast = (ofFull: Timed | number, ofSingle: Timed | number): Timed => {
    const chunksFrom = sequenceFrom(ofFull, ofSingle);
    return (length) => {
      const { count, rest, from } = chunksOf(length);
      return rest > 0 ? chunksFrom(from).part(count, rest) : chunksFrom(from).full(count - 1);
    };
  };
  const sequenceFrom = (ofFull: Timed | number, ofSingle: Timed | number): ((from: number) => Chunks) => {
    // What is cached grows with the length where it is a share of it: nothing to be kept for another.
    if (cachedShare > 0) return (from) => chunkSequence(from, chunk, ofFull, ofSingle);
    const always = chunkSequence(depth, chunk, ofFull, ofSingle);
    return () => always;
  };

  const executionsOf = (index: number): readonly [Execution, Execution, Execution] => {
    const [plain, many, one] = [whole, full, single].map(({ operators }) => operators[index]?.execution);
    if (plain === undefined || many === undefined || one === undefined) {
      throw new Error("chunks of all sizes have the same operators");
    }
    return [plain, many, one];
  };
  const operators = withExecutions(
    full.operators,
    (operator, index) => [isLast(operator), ...executionsOf(index).map(({ key }) => key)].join(" "),
    (operator, index, key): Execution => {
      const [plain, many, one] = executionsOf(index);
      const inTotal = isLast(operator) ? ofLast : ofAll;
      const timed = ({ work, fixed }: Execution): Timed | number => (fixed ? work(depth) : work);
      const plainly = functionOf(plain.overhead);
      const work = inTotal(timed(many), timed(one));
      const overhead = inTotal(many.overhead, one.overhead);
      /** What limits the middle one of so many chunks. */
      const bounds: Bound[] = [];
      return {
        key,
        class: plain.class,
        degree: plain.degree,
        work: (length) => (fits(length) ? plain.work(length) : work(length)),
        overhead: (length) => (fits(length) ? plainly(length) : overhead(length)),
        bound: (length) => {
          if (fits(length)) return plain.bound(length);
          const { count, from } = chunksOf(length);
          const middle = from + (count * chunk) / 2;
          return cachedShare === 0 ? (bounds[count] ??= many.bound(middle)) : many.bound(middle);
        },
        fixed: false,
        streamed: null,
      };
    },
  );
  /** Operators of a class add up before chunks do: equal ones and polynomials are one of each then. */
  const secondsOf = (kind: OperatorClass): Timed => {
    const within = (pass: Pass, chosen: (operator: CurveOperator) => boolean): Timed =>
      sumOf(
        worksOf(operators.flatMap((one, index) => (chosen(one) ? (pass.operators[index] ?? []) : []))).map(
          ({ work, overhead }) => (kind === "overhead" ? overhead : work),
        ),
      );
    const asked = (operator: CurveOperator): boolean => kind === "overhead" || operator.class === kind;
    const before = (operator: CurveOperator): boolean => asked(operator) && !isLast(operator);
    const after = (operator: CurveOperator): boolean => asked(operator) && isLast(operator);
    // Made when a length asks for them: a table of devices asks each for few.
    const plain = once(() => within(whole, asked));
    const body = once(() => ofAll(within(full, before), within(single, before)));
    const head = once(() => ofLast(within(full, after), within(single, after)));
    return (length) => (fits(length) ? plain()(length) : body()(length) + head()(length));
  };
  const outside = ofAll(full.outside(depth), single.outside(depth));
  return {
    operators,
    secondsOf,
    outside: (length) => (fits(length) ? whole.outside(length) : outside(length)),
    atOnce: { operators: whole.operators, holds: fits },
    stepsFrom: chunk / (1 - cachedShare),
  };
}

/** Whether an operator runs for the last chunk alone. */
const isLast = ({ part }: CurveOperator): boolean => part === "head";

/** A prompt's whole chunks, the tokens of a last, shorter one, and where the first begins. */
interface Division {
  readonly fresh: number;
  readonly count: number;
  readonly rest: number;
  readonly from: number;
}

/** How a prompt of each length is divided. All operators ask for the same length after each other. */
function chunksBy(chunk: number, depth: number, cachedShare: number): (length: number) => Division {
  let known = Number.NaN;
  let division: Division = { fresh: 0, count: 0, rest: 0, from: 0 };
  return (length) => {
    if (length !== known) {
      const fresh = length * (1 - cachedShare);
      const count = Math.floor(fresh / chunk);
      division = { fresh, count, rest: fresh - count * chunk, from: depth + length * cachedShare };
      known = length;
    }
    return division;
  };
}

/** Whole chunks one after the other from a depth on. */
interface Chunks {
  /** Of the first `count` of them. */
  readonly sum: (count: number) => Seconds;
  /** Of the one after those. */
  readonly full: (count: number) => Seconds;
  /** Of so many tokens there. */
  readonly part: (count: number, tokens: number) => Seconds;
}

/** Chunks that are added one by one, so that each length goes on from a shorter one. */
const mostAdded = 256;

/**
 * Lengths of as many whole chunks take what one of them has found out.
 *
 * @param full seconds of a whole chunk after so many tokens, a number where they do not matter
 * @param single seconds of a single token there
 */
function chunkSequence(from: number, chunk: number, full: Timed | number, single: Timed | number): Chunks {
  const at = (of: Timed | number): ((count: number) => number) => {
    if (typeof of === "number") return () => of;
    const known: number[] = [];
    return (count) => (known[count] ??= of(from + count * chunk));
  };
  const [ofFull, ofSingle] = [at(full), at(single)];
  return {
    sum: typeof full === "number" ? (count) => count * full : sumFrom(full, ofFull, from, chunk),
    full: ofFull,
    part: (count, tokens) => partOf(ofSingle(count), ofFull(count), tokens, chunk),
  };
}

function sumFrom(full: Timed, ofFull: Timed, from: number, chunk: number): (count: number) => number {
  const sums = [0];
  const grouped = new Map<number, number>();
  return (count) => {
    if (count > mostAdded) {
      const found = grouped.get(count) ?? sumOfSteps(full, from, chunk, count);
      grouped.set(count, found);
      return found;
    }
    for (let k = sums.length; k <= count; k += 1) sums[k] = (sums[k - 1] ?? 0) + ofFull(k - 1);
    return sums[count] ?? 0;
  };
}

/** Between what one token and what a whole chunk takes. */
function partOf(single: number, full: number, tokens: number, chunk: number): number {
  if (chunk <= 1 || tokens <= 1) return single;
  return single + ((full - single) * (tokens - 1)) / (chunk - 1);
}
