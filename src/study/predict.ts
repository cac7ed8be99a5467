import type { DeviceRecord } from "../hardware/record.js";
import { castsOf, weightFormat } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";
import { operatorSeconds, type Curve } from "../predict/curve.js";
import { delayed } from "../predict/interval.js";
import { type PredictOptions, type Prediction, predict } from "../predict/predict.js";
import {
  type Request,
  type RequestTime,
  type Turns,
  conversationTime,
  requestTimes,
  traceTime,
} from "../predict/requests.js";
import type { PredictDocument } from "./documents/predict.js";

/** Lengths of many requests, and where they are from. */
export interface Trace {
  readonly source: string;
  readonly requests: readonly Request[];
}

export interface PredictModelOptions extends Partial<PredictOptions> {
  /** One whole request. */
  readonly request?: Request | null;
  /** A conversation of equal turns. */
  readonly turns?: Turns | null;
  readonly trace?: Trace | null;
  /** Watts of one device; its TDP where null and known. */
  readonly power?: number | null;
  /** Price of one device for an hour, in any currency. */
  readonly price?: number | null;
  /** Whether every operator is listed. */
  readonly operators?: boolean;
}

/** Seconds, memory and limits of a model on a device, as one plain document. */
export function predictModel(
  model: ModelDescription,
  device: DeviceRecord,
  options: PredictModelOptions = {},
): PredictDocument {
  return predictionDocument(model, predict(model, device, options), options);
}

type Expense = PredictDocument["points"][number]["expense"]["prefill"];

/** Energy and price of seconds on all devices of a deployment, for each of `sequences`. */
export interface Rates {
  readonly watts: number | null;
  readonly wattsFrom: "stated" | "tdp" | null;
  readonly price: number | null;
}

export function ratesOf(device: DeviceRecord, options: Pick<PredictModelOptions, "power" | "price">): Rates {
  const stated = options.power ?? null;
  const watts = stated ?? device.tdp?.value ?? null;
  return {
    watts,
    wattsFrom: watts === null ? null : stated === null ? "tdp" : "stated",
    price: options.price ?? null,
  };
}

export function expenseOf({ watts, price }: Rates, seconds: number, devices: number, sequences: number): Expense {
  const share = (seconds * devices) / sequences;
  return { joules: watts === null ? null : watts * share, cost: price === null ? null : (price / 3600) * share };
}

/** What products with weights run in: what a quantised checkpoint casts to, where the device has it, and activations. */
function productsOf({ storage, dtypes }: ModelDescription, device: DeviceRecord): string {
  const casts = storage?.kind === "quantised" && device.calibration === null ? castsOf(storage) : [];
  const run = casts.filter((dtype) => device.peaks[dtype] !== undefined);
  return [...run, dtypes.activations].join(", ");
}

/** What a prediction says, without its curves. */
function predictionDocument(
  model: ModelDescription,
  prediction: Prediction,
  options: PredictModelOptions,
): PredictDocument {
  const { deployment, curves } = prediction;
  const { plan } = deployment;
  const { batch, depth, chunk, cachedShare, attention, encoderLength } = deployment.options;
  const { link, devices, parallel } = plan;
  const dtypes = plan.model.dtypes;
  const rates = ratesOf(deployment.device, options);
  const expense = (seconds: number): Expense => expenseOf(rates, seconds, devices, batch);
  const terms = options.terms ?? null;
  const request = options.request == null ? null : requestTimes(deployment)(options.request);
  return {
    schema: "nsquared/predict@1",
    name: model.name,
    modelType: model.modelType,
    source: model.source,
    device: prediction.device,
    engine: prediction.engine.name,
    dtype: prediction.dtype,
    dtypes: {
      weights: weightFormat(plan.model.storage, dtypes.weights),
      kv: dtypes.kv,
      activations: dtypes.activations,
      products: plan.operands ?? productsOf(plan.model, plan.device),
    },
    batch,
    depth,
    chunk,
    cachedShare,
    encoderLength: plan.encoderLength === 0 ? null : encoderLength,
    attention,
    parallel: {
      ...parallel,
      devices,
      interconnect: link === null ? null : { name: link.name, bandwidth: link.bandwidth },
    },
    data: { basis: prediction.data.basis, range: prediction.data.range },
    level: prediction.level,
    terms,
    rates,
    points: prediction.points.map((point) => ({
      n: point.n,
      prefill: { ...point.prefill, ...plainSplit(point.prefill), ...operatorsOf(options, curves.prefill, point.n) },
      ttft: point.ttft,
      decode:
        point.decode === null
          ? null
          : {
              ...point.decode,
              ...plainSplit(point.decode),
              ...(curves.decode === null ? {} : operatorsOf(options, curves.decode, point.n)),
            },
      decodeUncached: point.decodeUncached,
      memory: { ...point.memory },
      capacity: {
        ...point.capacity,
        costPerMillion:
          rates.price === null || point.capacity.tokensPerSecond === null
            ? null
            : ((rates.price * devices) / 3600 / point.capacity.tokensPerSecond.value) * 1e6,
      },
      expense: {
        prefill: expense(point.prefill.seconds),
        decode: point.decode === null ? null : expense(point.decode.seconds),
      },
    })),
    crossover: { flops: prediction.crossover.flops, seconds: prediction.crossover.seconds },
    attentionHalf: { flops: prediction.attentionHalf.flops, seconds: prediction.attentionHalf.seconds },
    limits: {
      memory: prediction.limits.memory,
      context: prediction.limits.context,
      latency: prediction.limits.latency.map(({ text, metric, seconds, reach }) => ({
        limit: text,
        metric,
        seconds,
        ...reach,
      })),
    },
    exceeded:
      prediction.exceeded === null ? null : { ...prediction.exceeded, remedies: [...prediction.exceeded.remedies] },
    request: request === null ? null : requestDocument(request, terms, expense),
    conversation: options.turns == null ? null : conversationDocument(prediction, options.turns, expense),
    trace: options.trace == null ? null : traceDocument(prediction, options.trace, expense),
    notes: [...prediction.notes, ...rateNotes(rates, options, prediction.device)],
  };
}

function rateNotes({ watts, wattsFrom }: Rates, options: PredictModelOptions, device: string): string[] {
  const shown = options.request != null || options.turns != null || options.trace != null;
  return shown && wattsFrom === "tdp"
    ? [`energy at the ${watts ?? 0} W that ${device} is designed to draw: at most`]
    : [];
}

function requestDocument(
  time: RequestTime,
  terms: PredictModelOptions["terms"],
  expense: (seconds: number) => Expense,
): NonNullable<PredictDocument["request"]> {
  const beside = terms == null ? null : terms.network + terms.tokenizer;
  return {
    ...time,
    ttft: beside === null ? null : delayed(time.prefill, beside),
    expense: expense(time.total.seconds),
  };
}

function conversationDocument(
  { deployment }: Prediction,
  turns: Turns,
  expense: (seconds: number) => Expense,
): NonNullable<PredictDocument["conversation"]> {
  const time = conversationTime(deployment, turns);
  return { ...time, turns: time.turns.map((turn) => ({ ...turn })), expense: expense(time.total.seconds) };
}

function traceDocument(
  { deployment }: Prediction,
  { source, requests }: Trace,
  expense: (seconds: number) => Expense,
): NonNullable<PredictDocument["trace"]> {
  const time = traceTime(deployment, requests);
  const mean = (time.total ?? time.prefill).mean.seconds;
  const plain = (seconds: typeof time.prefill) => ({ ...seconds, percentiles: { ...seconds.percentiles } });
  return {
    source,
    ...time,
    prefill: plain(time.prefill),
    total: time.total === null ? null : plain(time.total),
    expense: expense(mean * requests.length),
  };
}

type SplitDocument = NonNullable<PredictDocument["points"][number]["decode"]>;
type Split = NonNullable<Prediction["points"][number]["decode"]>;

function plainSplit({ parts, classes, degrees }: Split): Pick<SplitDocument, "parts" | "classes" | "degrees"> {
  return { parts: [...parts], classes: [...classes], degrees: [...degrees] };
}

function operatorsOf(
  { operators }: PredictModelOptions,
  curve: Curve,
  length: number,
): Pick<SplitDocument, "operators"> {
  if (operators !== true) return {};
  const total = curve.seconds(length);
  return {
    operators: curve.operators.map((operator) => {
      const seconds = operatorSeconds(operator, length);
      const starting = operator.overhead(length) > operator.work(length);
      return {
        name: operator.name,
        part: operator.part,
        class: operator.class,
        degree: operator.degree,
        seconds,
        share: seconds / total,
        bound: starting ? "latency" : operator.bound(length),
      };
    }),
  };
}
