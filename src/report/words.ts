import { seconds, significant, tokens } from "../base/format.js";
import type { Crossing, CurvePoint, PhaseReport, ReportData } from "./data.js";
import { aboutTokens, factor, levelText, printable, ratio, tokensInterval } from "./labels.js";
import { type Agreement, agreement } from "./measured.js";

/** A sentence with the question it answers, as a lead-in. */
export interface Statement {
  readonly label: string;
  readonly text: string;
}

/** The answer in three sentences: how it slows, where n² takes over, how well prediction and measurement agree. */
export function answer(data: ReportData): readonly [Statement, Statement, Statement] {
  return [
    { label: "How it slows", text: slowdown(data) },
    { label: "Where n² takes over", text: takeover(data) },
    { label: "Prediction against measurement", text: agreementText(data) },
  ];
}

/** The phase that tells how the model slows: prefill, or what stands in for it. */
export function mainPhase(data: ReportData): PhaseReport | null {
  const of = (phase: PhaseReport["phase"]) => data.phases.find((candidate) => candidate.phase === phase);
  return of("prefill") ?? of("decode-uncached") ?? data.phases[0] ?? null;
}

const titles: Record<PhaseReport["phase"], string> = {
  prefill: "Prefill",
  decode: "Decode",
  "decode-uncached": "Decode without a KV cache",
};

/** What is to be doubted: of the run as a whole, and of each phase's law, named where there are several. */
export function doubts({ warnings, phases }: ReportData): readonly string[] {
  const several = phases.filter(({ law }) => law !== null).length > 1;
  const ofLaws = phases.flatMap(({ phase, law }) =>
    (law?.warnings ?? []).map(({ message }) => (several ? `${phaseTitle(phase)}: ${message}` : message)),
  );
  return [...warnings.map(({ message }) => message), ...ofLaws];
}

export function phaseTitle(phase: PhaseReport["phase"]): string {
  return titles[phase];
}

/** What the numbers speak about: `this machine`, `this server`, or the name of a device. */
export function place(data: ReportData): string {
  if (data.run !== null && data.run.server !== null) return "this server";
  if (data.run !== null || data.prediction === null || data.prediction.device === "local") return "this machine";
  return printable(data.prediction.device);
}

interface Slowing {
  readonly predicted: boolean;
  readonly first: { readonly n: number; readonly seconds: number };
  readonly last: { readonly n: number; readonly seconds: number };
  /** Local exponents at both ends, where two points or more tell them. */
  readonly exponents: readonly [number, number] | null;
}

function exponentBetween(left: Pick<CurvePoint, "n" | "seconds">, right: Pick<CurvePoint, "n" | "seconds">): number {
  return Math.log(right.seconds / left.seconds) / Math.log(right.n / left.n);
}

/** Both ends of what was measured, or of what was predicted where fewer than two lengths were measured. */
export function slowing(phase: PhaseReport): Slowing | null {
  const measured = phase.measured.map(({ n, median }) => ({ n, seconds: median }));
  const predicted = phase.prediction?.points ?? [];
  const fromPrediction = measured.length < 2 && predicted.length > measured.length;
  const points = fromPrediction ? predicted : measured;
  const [first, second] = points;
  const last = points.at(-1);
  const beforeLast = points.at(-2);
  if (first === undefined || last === undefined) return null;
  const several = second !== undefined && beforeLast !== undefined;
  const slopes = several ? ([exponentBetween(first, second), exponentBetween(beforeLast, last)] as const) : null;
  const local = [predicted[0]?.exponent ?? null, predicted.at(-1)?.exponent ?? null] as const;
  const known = fromPrediction && several && local[0] !== null && local[1] !== null;
  return { predicted: fromPrediction, first, last, exponents: known ? [local[0], local[1]] : slopes };
}

function slowdown(data: ReportData): string {
  const phase = mainPhase(data);
  const found = phase === null ? null : slowing(phase);
  if (phase === null || found === null) return "Nothing was timed or predicted, so nothing can be said.";
  const { first, last, exponents } = found;
  const decode = phase.phase === "decode";
  const subject = decode ? "A decode step" : phaseTitle(phase.phase);
  const verb = found.predicted ? "is predicted to take" : "takes";
  const preposition = decode ? "after" : "for";
  const start = `${subject} ${verb} ${seconds(first.seconds)} ${preposition} ${tokens(first.n)} tokens`;
  if (exponents === null) return `${start}; one length does not tell how it slows.`;
  const [low, high] = exponents.map((exponent) => significant(exponent, 2));
  const moves = low === high ? `is ${low}` : `goes from ${low} to ${high}`;
  const growth = `${factor(last.n / first.n)} times the tokens, ${factor(last.seconds / first.seconds)} times the time`;
  const scale = "1 is linear, 2 is quadratic";
  return `${start} and ${seconds(last.seconds)} ${preposition} ${tokens(last.n)}: ${growth}; the local exponent ${moves} (${scale})${besides(data, phase)}.`;
}

/** The decode step beside a prefill, as the end of its sentence. */
function besides(data: ReportData, main: PhaseReport): string {
  const decode = data.phases.find((phase) => phase.phase === "decode");
  const found = decode === undefined || decode === main ? null : slowing(decode);
  if (found === null || found.exponents === null) return "";
  const verb = found.predicted ? "is predicted to go" : "goes";
  const ends = `from ${seconds(found.first.seconds)} to ${seconds(found.last.seconds)}`;
  return `; a decode step ${verb} ${ends} between ${tokens(found.first.n)} and ${tokens(found.last.n)} tokens of context`;
}

/** The crossover that a report speaks of first: the law's, else the prediction's. */
export function mainCrossover(
  phase: PhaseReport,
): { readonly crossing: Crossing; readonly source: "law" | "prediction"; readonly level: number } | null {
  const { law, prediction } = phase;
  if (law?.crossover != null) return { crossing: law.crossover, source: "law", level: law.level };
  const predicted = prediction?.crossover.seconds;
  if (prediction == null || predicted == null) return null;
  return { crossing: predicted, source: "prediction", level: prediction.level };
}

function takeover(data: ReportData): string {
  const phase = mainPhase(data);
  if (phase === null) return "Nothing was timed or predicted, so no crossover is known.";
  if (phase.phase === "decode") {
    return "A decode step with a KV cache has no n² term: it reads the cache once, so its time grows with the context, not with the square.";
  }
  const found = mainCrossover(phase);
  const context = data.model.contextLength;
  if (found === null) return noCrossover(phase, context);
  const { crossing, source, level } = found;
  const beyondContext = context !== null && crossing.n > context;
  const longest = phase.measured.at(-1)?.n;
  const where = `n² ${beyondContext ? "would take" : "takes"} over at about ${aboutTokens(crossing.n)} tokens on ${place(data)}`;
  const details = [`${levelText(level)} interval ${tokensInterval(crossing.low, crossing.high)}`];
  const predicted = phase.prediction?.crossover.seconds;
  if (source === "law" && predicted != null) {
    details.push(`predicted ${aboutTokens(predicted.n)}, ${tokensInterval(predicted.low, predicted.high)}`);
  }
  const flops = phase.prediction?.crossover.flops;
  if (flops != null) details.push(`${aboutTokens(flops.n)} if only FLOPs counted`);
  const remarks: string[] = [];
  if (source === "prediction") remarks.push("by prediction");
  else if (longest !== undefined && crossing.n > longest) remarks.push(`extrapolated from ${tokens(longest)} and less`);
  if (beyondContext) remarks.push(`beyond the ${tokens(context)} tokens the model was made for`);
  const tail = remarks.length === 0 ? "" : `, ${remarks.join(", ")}`;
  return `${where} (${details.join("; ")})${tail}.`;
}

function noCrossover(phase: PhaseReport, context: number | null): string {
  const longest = phase.measured.at(-1)?.n ?? phase.prediction?.points.at(-1)?.n;
  if (phase.law === null && phase.prediction === null) {
    return "Without a law or a prediction no crossover can be named.";
  }
  const range = longest === undefined ? "" : `Up to ${tokens(longest)} tokens `;
  const flops = phase.prediction?.crossover.flops;
  const counted =
    flops == null
      ? ""
      : ` (counted in FLOPs it would be ${aboutTokens(flops.n)}${context !== null && flops.n > context ? ", beyond the model's context" : ""})`;
  return `${range}n² does not take over: no length was found from which on it costs more than the rest${counted}.`;
}

function agreementText(data: ReportData): string {
  const compared = data.phases.flatMap((phase) => {
    const found = agreement(phase);
    return found === null ? [] : [{ phase, found }];
  });
  if (compared.length === 0) {
    if (data.phases.every((phase) => phase.prediction === null)) {
      return "Nothing was predicted, so there is nothing to hold the measurement against.";
    }
    return data.run === null
      ? "Nothing was measured, so the prediction is untested here."
      : "No measured length was predicted, so the two cannot be compared.";
  }
  const parts = compared.map(({ phase, found }) => {
    const level = levelText(phase.prediction?.level ?? Number.NaN);
    const range = found.rows.length === 1 ? "" : ` (median; ${ratio(found.lowestRatio)}–${ratio(found.highestRatio)})`;
    const where = `${found.inside} of ${found.rows.length} ${found.rows.length === 1 ? "length" : "lengths"} inside the ${level} interval`;
    return `${phaseTitle(phase.phase).toLowerCase().replace("kv", "KV")} takes ${ratio(found.medianRatio)} times the predicted time${range}, ${where}`;
  });
  return `${verdict(compared.map(({ found }) => found))}: ${parts.join("; ")}.`;
}

/** Agreement in words; the bounds are stated among the report's definitions. */
function verdict(found: readonly Agreement[]): string {
  const within = (value: number, low: number, high: number) => value >= low && value <= high;
  if (
    found.every(
      (one) =>
        within(one.medianRatio, 0.9, 1.1) && within(one.lowestRatio, 0.8, 1.25) && within(one.highestRatio, 0.8, 1.25),
    )
  ) {
    return "They agree";
  }
  return found.every((one) => within(one.medianRatio, 0.8, 1.25)) ? "They agree roughly" : "They disagree";
}
