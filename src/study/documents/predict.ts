import { z } from "zod";
import { dataBases } from "../../hardware/data.js";
import { amount, atLength, atLengthInterval, modelFacts } from "./common.js";

const interval = z.object({ seconds: amount, low: amount, high: amount });
const rate = z.object({ value: amount, low: amount, high: amount });
/** `latency`: starting kernels and waiting for other devices. `network`: bytes between devices. */
const bound = z.enum(["compute", "bandwidth", "latency", "network"]);
const share = z.object({ name: z.string(), seconds: amount, share: amount, bound });
const split = {
  parts: z.array(share),
  classes: z.array(share),
  degrees: z.array(z.object({ degree: amount, seconds: amount })),
  /** Every operator over all layers that run it; only where asked for. */
  operators: z.array(share.extend({ part: z.string(), class: z.string(), degree: amount })).optional(),
};
/** Of one sequence. Null where neither power nor price is known. */
const expense = z.object({ joules: amount.nullable(), cost: amount.nullable() });
const positive = z.number().int().positive();

const request = z.object({
  input: positive,
  output: positive,
  prefill: interval,
  /** The decode steps together: output − 1. */
  decode: interval,
  total: interval,
  /** Prefill with the stated network and tokenizer; null where they are not stated. */
  ttft: interval.nullable(),
  /** Mean seconds of a decode step; null without one. */
  perToken: amount.nullable(),
  expense,
});

const conversation = z.object({
  turns: z.array(
    z.object({
      /** Tokens that were there before. */
      context: amount,
      input: positive,
      output: positive,
      prefill: interval,
      decode: interval,
      total: interval,
      /** A prefill of everything so far, as without a prefix cache. */
      prefillUncached: interval,
    }),
  ),
  total: interval,
  totalUncached: interval,
  context: amount,
  expense,
});

const traceSeconds = z.object({
  mean: interval,
  ofMeanLength: interval,
  ratio: amount,
  percentiles: z.object({ p50: amount, p90: amount, p99: amount }),
});
const trace = z.object({
  source: z.string(),
  requests: positive,
  meanInput: amount,
  meanOutput: amount,
  prefill: traceSeconds,
  total: traceSeconds.nullable(),
  /** Of all requests together, one after the other. */
  expense,
});

/** `nsquared predict --json`. Seconds, bytes, tokens. */
export const predictDocument = modelFacts.extend({
  schema: z.literal("nsquared/predict@1"),
  device: z.string(),
  engine: z.string(),
  dtype: z.string(),
  /** What each kind of number is kept in; `products`: what activations are cast to before products with weights. */
  dtypes: z.object({ weights: z.string(), kv: z.string(), activations: z.string(), products: z.string() }),
  batch: positive,
  depth: amount,
  chunk: positive.nullable(),
  cachedShare: amount,
  encoderLength: positive.nullable(),
  attention: z.enum(["fused", "naive"]),
  parallel: z.object({
    tensor: positive,
    pipeline: positive,
    expert: positive,
    context: positive,
    devices: positive,
    /** Bytes/s of one direction that collectives reach; null on one device. */
    interconnect: z.object({ name: z.string(), bandwidth: amount }).nullable(),
  }),
  data: z.object({
    basis: z.enum(dataBases),
    range: z.object({ from: amount, to: amount }).nullable(),
  }),
  /** Share of true values that the intervals are meant to hold. */
  level: z.number(),
  /** Stated seconds outside of the model; null where none are. */
  terms: z.object({ network: amount, tokenizer: amount }).nullable(),
  /** Power of one device and where the number is from; price of one device for an hour. */
  rates: z.object({
    watts: amount.nullable(),
    wattsFrom: z.enum(["stated", "tdp"]).nullable(),
    price: amount.nullable(),
  }),
  points: z.array(
    z.object({
      n: amount,
      prefill: interval.extend({ exponent: z.number(), ...split }),
      /** Prefill with the stated network and tokenizer; null where they are not stated. */
      ttft: interval.nullable(),
      /** One token with n tokens cached; null for a model that generates nothing. */
      decode: interval.extend(split).nullable(),
      /** One token without a cache: a pass over the whole prefix. */
      decodeUncached: interval.nullable(),
      /** Of the device that needs most. */
      memory: z.object({
        bytes: amount,
        weights: amount,
        cache: amount,
        activations: amount,
        fits: z.boolean(),
      }),
      /** Sequences of n tokens that fit at once, and what decoding them in step gives. */
      capacity: z.object({
        sequences: amount,
        step: interval.nullable(),
        tokensPerSecond: rate.nullable(),
        /** Price of a million decoded tokens then; null where no price is stated. */
        costPerMillion: amount.nullable(),
      }),
      expense: z.object({ prefill: expense, decode: expense.nullable() }),
    }),
  ),
  crossover: z.object({ flops: atLength.nullable(), seconds: atLengthInterval.nullable() }),
  attentionHalf: z.object({ flops: atLength.nullable(), seconds: atLengthInterval.nullable() }),
  limits: z.object({
    memory: z.object({ n: amount }).nullable(),
    context: z.object({ n: amount }).nullable(),
    /** Largest lengths that keep the latencies asked for: by the estimate, surely, perhaps. Null has no end. */
    latency: z.array(
      z.object({
        limit: z.string(),
        metric: z.enum(["ttft", "prefill", "tpot"]),
        seconds: z.number().positive(),
        n: amount.nullable(),
        low: amount.nullable(),
        high: amount.nullable(),
      }),
    ),
  }),
  /** The longest length asked for, where it does not fit: what is missing, and what would make it fit, least first. */
  exceeded: z
    .object({
      n: amount,
      bytes: amount,
      available: amount,
      over: amount,
      remedies: z.array(z.object({ change: z.string(), bytes: amount, longest: amount.nullable() })),
    })
    .nullable(),
  request: request.nullable(),
  conversation: conversation.nullable(),
  trace: trace.nullable(),
  notes: z.array(z.string()),
});
export type PredictDocument = z.infer<typeof predictDocument>;

/** `nsquared predict --json` of several devices or engines: one row per device, engine and length. */
export const predictTableDocument = modelFacts.extend({
  schema: z.literal("nsquared/predict-table@1"),
  dtype: z.string(),
  batch: positive,
  depth: amount,
  level: z.number(),
  sort: z.string(),
  rows: z.array(
    z.object({
      device: z.string(),
      engine: z.string(),
      devices: positive,
      n: amount,
      prefill: interval,
      decode: interval.nullable(),
      /** The request asked for; null where none is. */
      request: interval.nullable(),
      memory: z.object({ bytes: amount, fits: z.boolean() }),
      /** Longest length that fits; null has no end. */
      longest: amount.nullable(),
      sequences: amount,
      tokensPerSecond: amount.nullable(),
      /** Of the request where one is asked for, else of the prefill. */
      expense,
      basis: z.enum(dataBases),
    }),
  ),
  /** Devices that cannot run it this way, with the reason. */
  left: z.array(z.object({ device: z.string(), engine: z.string(), reason: z.string() })),
  /** The whole predictions, where the devices are few. */
  predictions: z.array(predictDocument),
  notes: z.array(z.string()),
});
export type PredictTableDocument = z.infer<typeof predictTableDocument>;
