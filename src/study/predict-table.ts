import { NsquaredError, badInput } from "../base/errors.js";
import { dataOf } from "../hardware/data.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import { capacityOf } from "../predict/capacity.js";
import { deploy } from "../predict/deployment.js";
import { intervalLevel } from "../predict/interval.js";
import { fits, longestThatFits } from "../predict/memory.js";
import { defaultPredictOptions } from "../predict/predict.js";
import { requestTimes } from "../predict/requests.js";
import type { PredictTableDocument } from "./documents/predict.js";
import { type PredictModelOptions, expenseOf, predictModel, ratesOf } from "./predict.js";

/** What a table may be sorted by; seconds, energy and cost are those of the request, or of the prefill without one. */
export const sortKeys = ["seconds", "decode", "tokens/s", "energy", "cost", "memory", "longest", "name"] as const;
export type SortKey = (typeof sortKeys)[number];

type Row = PredictTableDocument["rows"][number];

/** Tables of at most this many devices and engines carry the whole prediction of each. */
const fewPredictions = 8;
/** Most rows: devices times engines times lengths. */
const mostRows = 100_000;

/**
 * A model on many devices, and under many engines, side by side, at every length. What cannot run there is left out with the reason; what does not
 * fit is kept and marked.
 */
export function predictTable(
  model: ModelDescription,
  devices: readonly DeviceRecord[],
  options: PredictModelOptions & { readonly sort?: SortKey; readonly engines?: readonly string[] } = {},
): PredictTableDocument {
  const chosen = { ...defaultPredictOptions, ...options };
  const { sort = "seconds", lengths, batch, depth } = chosen;
  const engines = options.engines === undefined || options.engines.length === 0 ? [null] : options.engines;
  const pairs = devices.flatMap((device) => engines.map((engineName) => ({ device, engineName })));
  if (pairs.length * lengths.length > mostRows) {
    throw badInput("table-large", {
      where: "--on",
      key: "rows",
      found: pairs.length * lengths.length,
      expected: `at most ${mostRows}: fewer lengths`,
    });
  }
  const rows: Row[] = [];
  const left: PredictTableDocument["left"] = [];
  const fitting: typeof pairs = [];
  for (const pair of pairs) {
    const { device, engineName } = pair;
    try {
      rows.push(...rowsOf(model, device, { ...options, engineName }));
      fitting.push(pair);
    } catch (error) {
      // A name that no device knows is a mistake; with one row there is nothing else to show.
      if (!(error instanceof NsquaredError) || error.code === "engine-unknown" || pairs.length === 1) throw error;
      left.push({ device: device.name, engine: engineName ?? "", reason: error.message });
    }
  }
  const few = pairs.length <= fewPredictions;
  return {
    schema: "nsquared/predict-table@1",
    name: model.name,
    modelType: model.modelType,
    source: model.source,
    dtype: chosen.dtype ?? model.dtypes.activations,
    batch,
    depth,
    level: intervalLevel,
    sort,
    rows: sorted(rows, sort),
    left,
    predictions: few
      ? fitting.map(({ device, engineName }) => predictModel(model, device, { ...options, engineName }))
      : [],
    notes: ["rows that do not fit in memory are kept and come last; one request at a time, no queueing"],
  };
}

function rowsOf(model: ModelDescription, device: DeviceRecord, options: PredictModelOptions): Row[] {
  const { lengths, batch } = { ...defaultPredictOptions, ...options };
  const deployment = deploy(model, device, options);
  const { plan, prefill, decode, memory } = deployment;
  const rates = ratesOf(device, options);
  const available = device.memory.value;
  const capacity = capacityOf(deployment);
  const longest = longestThatFits(memory, available);
  const request = options.request == null ? null : requestTimes(deployment)(options.request).total;
  return lengths.map((n): Row => {
    const seconds = prefill.interval(n);
    const { sequences, tokensPerSecond } = capacity(n);
    return {
      device: device.name,
      engine: plan.engine.name,
      devices: plan.devices,
      n,
      prefill: seconds,
      decode: decode === null ? null : decode.interval(n),
      request,
      memory: { bytes: memory.total(n), fits: fits(memory, n, available) },
      longest,
      sequences,
      tokensPerSecond: tokensPerSecond?.value ?? null,
      expense: expenseOf(rates, (request ?? seconds).seconds, plan.devices, batch),
      basis: dataOf(device, plan.engine, plan.model.dtypes.activations).basis,
    };
  });
}

/** By length, then what fits first, then by the key; what is unknown comes last. */
function sorted(rows: readonly Row[], sort: SortKey): Row[] {
  const value = (row: Row): number => {
    const unknown = Number.POSITIVE_INFINITY;
    switch (sort) {
      case "seconds":
        return (row.request ?? row.prefill).seconds;
      case "decode":
        return row.decode?.seconds ?? unknown;
      case "tokens/s":
        return -(row.tokensPerSecond ?? 0);
      case "energy":
        return row.expense.joules ?? unknown;
      case "cost":
        return row.expense.cost ?? unknown;
      case "memory":
        return row.memory.bytes;
      case "longest":
        return -(row.longest ?? unknown);
      case "name":
        return 0;
    }
  };
  const difference = (a: number, b: number): number => (a === b ? 0 : a - b);
  return [...rows].sort(
    (a, b) =>
      a.n - b.n ||
      Number(b.memory.fits) - Number(a.memory.fits) ||
      difference(value(a), value(b)) ||
      (a.device < b.device ? -1 : a.device > b.device ? 1 : 0),
  );
}
