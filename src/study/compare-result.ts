import { seededRandom } from "../base/random.js";
import { localExponent, overtakeOf, predictedOvertake } from "../compare/overtake.js";
import { countParameters } from "../cost/parameters.js";
import { costLaw } from "../cost/law.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { Peak } from "../measure/onnx-node-peak.js";
import { predictCurve } from "../predict/curve.js";
import type { MeasuredLength } from "../report/data.js";
import { measuredLengths } from "../report/measured.js";
import type { Cell, Run } from "../runs/schema.js";
import { withDtype } from "../variants/dtype.js";
import type { Compared } from "./compare.js";
import { type Contender, attentionOf, phaseOf } from "./contenders.js";
import type { CompareDocument } from "./documents/compare.js";
import { type RunFit, batchOf, fitRun } from "./fit.js";

export interface CompareQuestions {
  /** The device whose record predicts; null where this machine has none. */
  readonly device: DeviceRecord | null;
  /** A document of so many tokens, answered in so many. */
  readonly request: { readonly prompt: number; readonly answer: number } | null;
  /** Peak memory of one prefill at a length, by contender; null where none was measured. */
  readonly peaks: ReadonlyMap<string, ReadonlyMap<number, Peak | null>> | null;
  readonly page: string | null;
  readonly seed: number;
}

/** Longest length up to which it is said who is predicted to win. */
const farthest = 2 ** 20;
const fewestLengths = 3;

type ContenderDocument = CompareDocument["contenders"][number];
type PhaseDocument = ContenderDocument["phases"][number];

/** A comparison's run with everything that is said about it, as one plain document. */
export function compareDocumentOf(compared: Compared, questions: CompareQuestions): CompareDocument {
  const { recorded, skipped, notes } = compared;
  const { run } = recorded;
  const contenders = compared.contenders.map((contender) => contenderOf(contender, compared, questions));
  return {
    schema: "nsquared/compare@1",
    run: recorded.path,
    id: run.id,
    status: run.status,
    seconds: run.seconds,
    page: questions.page,
    device: questions.device?.name ?? null,
    contenders,
    skipped: skipped.map((one) => ({ ...one })),
    warnings: [...notes, ...(questions.request === null ? [] : untold(contenders)), ...run.warnings],
  };
}

/** Whose time for a whole request nobody can tell. */
function untold(contenders: readonly ContenderDocument[]): CompareDocument["warnings"] {
  const names = contenders.filter(({ request }) => request === null).map(({ name }) => name);
  if (names.length === 0) return [];
  const message = `no time of a whole request for ${names.join(", ")}: it takes prefill and decode at ${fewestLengths} lengths or more`;
  return [{ code: "request-untold", message }];
}

function contenderOf(contender: Contender, compared: Compared, questions: CompareQuestions): ContenderDocument {
  const { run } = compared.recorded;
  const [baseline = contender] = compared.contenders;
  const fits = new Map(
    (["prefill", "decode"] as const).flatMap((phase) => {
      const fit = fitOf(run, contender, phase);
      return fit === null ? [] : [[phase, fit] as const];
    }),
  );
  return {
    name: contender.name,
    summary: contender.summary,
    model: contender.model.name,
    parameters: countParameters(buildGraph(contender.model)).total,
    attention: attentionOf(contender),
    weights: contender.run.weights ?? "f32",
    notes: contender.model.notes.filter((note) => note.startsWith("scaled")),
    phases: (["prefill", "decode"] as const).flatMap((phase) =>
      phaseDocument(phase, contender, baseline, run, fits.get(phase) ?? null, questions),
    ),
    memory: memoryOf(contender, compared, questions.peaks?.get(contender.name)),
    request: requestOf(contender, fits, questions),
  };
}

/** The samples of one contender as a run of its own. */
function ownRun(run: Run, { name }: Contender): Run {
  return { ...run, samples: run.samples.filter(({ variant }) => variant === name) };
}

/** Usable repeats by length, ascending. */
function timesOf(run: Run, contender: Contender, phase: "prefill" | "decode"): MeasuredLength[] {
  return measuredLengths(ownRun(run, contender).samples, phaseOf(phase, contender), batchOf(run));
}

function fitOf(run: Run, contender: Contender, phase: "prefill" | "decode"): RunFit | null {
  if (timesOf(run, contender, phase).length < fewestLengths) return null;
  return fitRun(ownRun(run, contender), { phase: phaseOf(phase, contender) });
}

function phaseDocument(
  phase: "prefill" | "decode",
  contender: Contender,
  baseline: Contender,
  run: Run,
  fit: RunFit | null,
  questions: CompareQuestions,
): PhaseDocument[] {
  const timed = timesOf(run, contender, phase);
  if (timed.length === 0) return [];
  const predicted = predictedSeconds(contender, phase, run, questions.device);
  return [
    {
      phase: phaseOf(phase, contender),
      points: timed.map(({ n, samples, median: seconds, fastest, slowest }) => ({
        n,
        seconds,
        fastest,
        slowest,
        samples: samples.length,
        tokensPerSecond: (batchOf(run) * (phase === "prefill" ? n : 1)) / seconds,
        predicted: predicted === null ? null : predicted(n),
      })),
      law: fit === null ? null : { kind: fit.blind.law.kind, expression: fit.blind.law.expression },
      exponent: localExponent(timed),
      overtake: contender === baseline ? null : overtakeDocument(phase, contender, baseline, run, questions),
    },
  ];
}

function overtakeDocument(
  phase: "prefill" | "decode",
  contender: Contender,
  baseline: Contender,
  run: Run,
  { device, seed }: CompareQuestions,
): PhaseDocument["overtake"] {
  const measured = overtakeOf(timesOf(run, contender, phase), timesOf(run, baseline, phase), seededRandom(seed));
  if (measured === null) return null;
  const ours = predictedSeconds(contender, phase, run, device);
  const theirs = predictedSeconds(baseline, phase, run, device);
  const known = ours !== null && theirs !== null;
  return {
    ...measured,
    predicted: {
      flops: predictedOvertake(flopsOf(contender, phase), flopsOf(baseline, phase), 1, farthest),
      seconds: known ? predictedOvertake(ours, theirs, 1, farthest) : null,
      known,
    },
  };
}

type OfLength = (n: number) => number;

function flopsOf(contender: Contender, phase: "prefill" | "decode"): OfLength {
  const uncached = contender.run.uncached === true;
  const priced = phase === "decode" && !uncached ? "decode" : "prefill";
  const options = { attention: attentionOf(contender), phase: priced, encoder: "same" } as const;
  const { flops } = costLaw(priceGraph(buildGraph(contender.model, options)), priced);
  return (n) => flops.at(priced === "prefill" ? { n, c: 0, b: 1, m: 0 } : { n: 1, c: n, b: 1, m: 0 });
}

function predictedSeconds(
  contender: Contender,
  phase: "prefill" | "decode",
  run: Run,
  device: DeviceRecord | null,
): OfLength | null {
  // A calibration's rates are of float32 matrices, a data sheet's of the model's own format.
  if (device === null || (contender.run.weights ?? "f32") !== "f32") return null;
  const { model } = contender;
  return predictCurve(device.calibration === null ? model : withDtype(model, device.calibration.dtype), device, {
    phase: phase === "decode" && contender.run.uncached !== true ? "decode" : "prefill",
    batch: batchOf(run),
    attention: attentionOf(contender),
  }).seconds;
}

function memoryOf(
  contender: Contender,
  { recorded, predictedBytes }: Compared,
  peaks: ReadonlyMap<number, Peak | null> | undefined,
): ContenderDocument["memory"] {
  const cells = recorded.run.plan.cells.filter(
    (cell): cell is Cell => cell.variant === contender.name && cell.phase === "prefill",
  );
  return cells.map((cell) => ({
    n: cell.n,
    predicted: predictedBytes(contender.name, cell),
    measured: peaks?.get(cell.n)?.step ?? null,
  }));
}

/**
 * A document read and answered: the prefill's law at its length, then as many decode steps as tokens follow the first,
 * at the context in the middle of the answer (a step's time grows by no more than a line over so short a stretch).
 */
function requestOf(
  contender: Contender,
  fits: ReadonlyMap<"prefill" | "decode", RunFit>,
  { request }: CompareQuestions,
): ContenderDocument["request"] {
  const prefill = fits.get("prefill");
  const decode = fits.get("decode");
  if (request === null || prefill === undefined || decode === undefined) return null;
  const { prompt, answer } = request;
  const first = prefill.blind.predict(prompt);
  const step = decode.blind.predict(prompt + (answer - 2) / 2);
  const steps = answer - 1;
  return {
    prompt,
    answer,
    firstToken: first.seconds,
    seconds: {
      value: first.seconds + steps * step.seconds,
      low: Math.max(0, first.low + steps * step.low),
      high: first.high + steps * step.high,
    },
    factor: Math.max(first.factor, step.factor),
    canTell: first.canTell && step.canTell,
  };
}
