import { badInput } from "../base/errors.js";
import { quantileOfSorted } from "../math/quantile.js";
import { type Curve, curveOfPass } from "./curve.js";
import { type Deployment, deploy, hasEncoder } from "./deployment.js";
import type { Interval } from "./interval.js";
import { turnPass } from "./schedule.js";
import { Tally, roughSum } from "./tally.js";

/** Seconds outside of the model, stated by who asks: there is no prediction of them. */
export interface Terms {
  /** There and back, until the first token is in. */
  readonly network: number;
  /** From text to tokens. */
  readonly tokenizer: number;
}

/** A prompt and the tokens that answer it; the first comes out of the prefill, the others out of a decode step each. */
export interface Request {
  readonly input: number;
  readonly output: number;
}

export interface RequestTime extends Request {
  readonly prefill: Interval;
  /** All decode steps: output − 1 of them. */
  readonly decode: Interval;
  readonly total: Interval;
  /** Mean seconds of a decode step; null without one. */
  readonly perToken: number | null;
}

function generating({ decode, plan }: Deployment, option: string): Curve {
  if (decode !== null) return decode;
  throw badInput("nothing-generated", {
    where: option,
    key: "model",
    found: plan.model.modelType,
    expected: "a model that generates tokens; this one has no decoder",
  });
}

/**
 * Seconds of whole requests, each alone: T(p) of its prefill and one decode step at each context p … p + g − 2. An
 * encoder's input is as long as the prompt unless stated.
 */
export function requestTimes(deployment: Deployment): (request: Request) => RequestTime {
  const decode = generating(deployment, "--request");
  const { options, plan, device } = deployment;
  const fixed = !hasEncoder(plan.model) || options.encoderLength !== null;
  const around = (input: number): Deployment =>
    fixed ? deployment : deploy(deployment.model, device, { ...options, encoderLength: input });
  return ({ input, output }) => {
    const at = around(input);
    const steps = output - 1;
    const step = at.decode ?? decode;
    const generated = new Tally().addSteps(step, input, 1, steps).interval();
    return {
      input,
      output,
      prefill: at.prefill.interval(input),
      decode: generated,
      total: new Tally().add(at.prefill, input).addSteps(step, input, 1, steps).interval(),
      perToken: steps === 0 ? null : generated.seconds / steps,
    };
  };
}

/** A conversation: each turn brings `input` tokens and is answered by `output`. */
export interface Turns extends Request {
  readonly count: number;
}

export interface TurnTime extends Request {
  /** Tokens that were there before the turn. */
  readonly context: number;
  readonly prefill: Interval;
  readonly decode: Interval;
  readonly total: Interval;
  /** Prefill of everything up to here, as it would be without a prefix cache. */
  readonly prefillUncached: Interval;
}

export interface Conversation {
  readonly turns: readonly TurnTime[];
  readonly total: Interval;
  /** The same without a prefix cache. */
  readonly totalUncached: Interval;
  /** Tokens in the cache at the end. */
  readonly context: number;
}

/**
 * Turns that grow one context whose prefix stays cached: turn k prefills its input after all tokens before, then decodes
 * its output. Without a prefix cache each turn prefills the whole conversation again.
 */
export function conversationTime(deployment: Deployment, { count, input, output }: Turns): Conversation {
  const decode = generating(deployment, "--turns");
  const { plan, options } = deployment;
  const { batch, depth, chunk } = options;
  // The input is the same at every turn and the depth varies: one curve in the depth serves all turns. In chunks it is a
  // curve of its own at every depth.
  const inDepth = curveOfPass(plan, "prefill", turnPass(plan, batch, input));
  const inChunks = chunk !== null && input > chunk;
  const afterAt = (context: number): { readonly curve: Curve; readonly at: number } =>
    inChunks
      ? { curve: deployment.curve("prefill", { depth: context, cachedShare: 0 }), at: input }
      : { curve: inDepth, at: context };
  const whole = deployment.curve("prefill", { depth: 0, cachedShare: 0 });
  const cached = new Tally();
  const uncached = new Tally();
  const turns = Array.from({ length: count }, (_, index): TurnTime => {
    const context = depth + index * (input + output);
    const all = context + input;
    for (const tally of [cached, uncached]) tally.addSteps(decode, all, 1, output - 1);
    const after = afterAt(context);
    cached.add(after.curve, after.at);
    uncached.add(whole, all);
    return {
      context,
      input,
      output,
      prefill: after.curve.interval(after.at),
      decode: new Tally().addSteps(decode, all, 1, output - 1).interval(),
      total: new Tally()
        .add(after.curve, after.at)
        .addSteps(decode, all, 1, output - 1)
        .interval(),
      prefillUncached: whole.interval(all),
    };
  });
  return {
    turns,
    total: cached.interval(),
    totalUncached: uncached.interval(),
    context: depth + count * (input + output),
  };
}

/** Requests of many lengths, as a log of a service has them. */
export interface TraceTime {
  readonly requests: number;
  readonly meanInput: number;
  readonly meanOutput: number;
  /** Mean seconds of the requests' prefills, and the prefill of the mean length: time is convex, so the second is less. */
  readonly prefill: TraceSeconds;
  /** The same of whole requests; null where nothing is generated. */
  readonly total: TraceSeconds | null;
}

export interface TraceSeconds {
  readonly mean: Interval;
  readonly ofMeanLength: Interval;
  /** mean / ofMeanLength. */
  readonly ratio: number;
  /** Seconds that this share of the requests stays within; predicted, without their intervals. */
  readonly percentiles: Readonly<Record<"p50" | "p90" | "p99", number>>;
}

export function traceTime(deployment: Deployment, requests: readonly Request[]): TraceTime {
  const count = requests.length;
  const meanInput = requests.reduce((sum, { input }) => sum + input, 0) / count;
  const meanOutput = requests.reduce((sum, { output }) => sum + output, 0) / count;
  const { prefill, decode } = deployment;
  const generated = decode !== null && requests.some(({ output }) => output > 1);
  const inputs = new Map<number, number>();
  for (const { input } of requests) inputs.set(input, (inputs.get(input) ?? 0) + 1);
  const prefills = new Tally();
  const secondsOf = new Map<number, number>();
  for (const [input, times] of inputs) {
    prefills.add(prefill, input, times / count);
    secondsOf.set(input, prefill.seconds(input));
  }
  const ofInputs = requests.map(({ input }) => secondsOf.get(input) ?? 0);
  const first = summary(ofInputs, prefills, prefill.interval(meanInput));
  if (!generated) return { requests: count, meanInput, meanOutput, prefill: first, total: null };
  const whole = new Tally();
  for (const [input, times] of inputs) whole.add(prefill, input, times / count);
  const pairs = new Map<string, { readonly seconds: number }>();
  const spent = requests.map(({ input, output }, index) => {
    const key = `${input} ${output}`;
    const found = pairs.get(key) ?? { seconds: roughSum(decode.seconds, input, output - 1) };
    pairs.set(key, found);
    whole.addRoughly(decode, input, output - 1, 1 / count);
    return (ofInputs[index] ?? 0) + found.seconds;
  });
  const meanRequest = new Tally().add(prefill, meanInput).addSteps(decode, meanInput, 1, Math.round(meanOutput) - 1);
  return {
    requests: count,
    meanInput,
    meanOutput,
    prefill: first,
    total: summary(spent, whole, meanRequest.interval()),
  };
}

function summary(seconds: readonly number[], tally: Tally, ofMeanLength: Interval): TraceSeconds {
  const sorted = seconds.toSorted((a, b) => a - b);
  const at = (share: number): number => quantileOfSorted(sorted, share);
  const mean = tally.interval();
  return {
    mean,
    ofMeanLength,
    ratio: mean.seconds / ofMeanLength.seconds,
    percentiles: { p50: at(0.5), p90: at(0.9), p99: at(0.99) },
  };
}
