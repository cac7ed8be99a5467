import { bytes, percent, seconds, tokens } from "../base/format.js";
import type { CurvePoint, PartsPoint, PhaseReport, ReportData } from "./data.js";
import { aboutSeconds, aboutTokens, factor, levelText } from "./labels.js";
import { mainCrossover, mainPhase, place, slowing } from "./words.js";

/** The report in plain words, for somebody who knows neither FLOPs nor exponents: one paragraph per string. */
export function plainWords(data: ReportData): string[] {
  const phase = mainPhase(data);
  if (phase === null) return [];
  const paragraphs = phase.phase === "decode" ? [] : [twoKinds, onThisMachine(data, phase), longerInput(data, phase)];
  return [...paragraphs, afterwards(data), remembered(data)].filter((paragraph) => paragraph !== null);
}

const twoKinds =
  "To read an input, the model does two kinds of work. Most of it is done once for every token: twice the input, twice the work. " +
  "Attention is different: it compares every token with every token before it, so twice the input means four times the comparisons. " +
  "That second kind is the n² of this report.";

/** Share of one part in all seconds of a point. */
export function shareOf(point: PartsPoint, part: keyof PartsPoint["seconds"]): number {
  const total = Object.values(point.seconds).reduce((sum, value) => sum + value, 0);
  return total > 0 ? (point.seconds[part] ?? 0) / total : 0;
}

function onThisMachine(data: ReportData, phase: PhaseReport): string | null {
  const sentences: string[] = [];
  const first = phase.prediction?.parts[0];
  const longest = phase.measured.at(-1)?.n ?? Number.POSITIVE_INFINITY;
  const last = phase.prediction?.parts.findLast((point) => point.n <= longest);
  if (first !== undefined && last !== undefined && last.n > first.n) {
    const at = (point: PartsPoint) => percent(shareOf(point, "attention"));
    const shares = `${at(first)} of the time at ${aboutTokens(first.n)} tokens and ${at(last)} at ${aboutTokens(last.n)}`;
    sentences.push(`On ${place(data)} attention is predicted to take ${shares}.`);
  }
  const found = mainCrossover(phase);
  if (found !== null) {
    const context = data.model.contextLength;
    const n = aboutTokens(found.crossing.n);
    if (context !== null && found.crossing.n > context) {
      const reach =
        found.crossing.low > context
          ? "so within its reach time grows mostly in step with the length"
          : `but the interval begins at ${aboutTokens(found.crossing.low)}, so n² may matter within its reach`;
      sentences.push(
        `Only from about ${n} tokens on would the n² part cost more than everything else together. The model was made for ${tokens(context)} tokens, ${reach}.`,
      );
    } else {
      sentences.push(
        `From about ${n} tokens on, the n² part costs more than everything else together. Well below that length, think of time as growing in step with the input; well above it, doubling the input makes it almost four times as slow.`,
      );
    }
  }
  return sentences.length === 0 ? null : sentences.join(" ");
}

interface Longer extends CurvePoint {
  readonly factor: number;
  readonly canTell: boolean;
}

/** What 2 and 10 times the longest measured length would cost: by the law, else by the prediction. */
export function longerInputs(
  phase: PhaseReport,
): { readonly source: "law" | "prediction"; readonly points: readonly Longer[] } | null {
  const longest = phase.measured.at(-1)?.n;
  if (longest === undefined) return null;
  const pick = (points: readonly (CurvePoint & { readonly canTell?: boolean })[]) =>
    [2, 10].flatMap((wanted): Longer[] => {
      const found = points.find((point) => Math.abs(point.n / (wanted * longest) - 1) < 0.01);
      return found === undefined ? [] : [{ canTell: true, ...found, factor: wanted }];
    });
  const byLaw = pick(phase.law?.extrapolation ?? []);
  if (byLaw.length > 0) return { source: "law", points: byLaw };
  const predicted = pick(phase.prediction?.points ?? []);
  return predicted.length > 0 ? { source: "prediction", points: predicted } : null;
}

const times: Record<number, string> = { 2: "Twice as much", 10: "Ten times as much" };

function longerInput(data: ReportData, phase: PhaseReport): string | null {
  const longest = phase.measured.at(-1);
  const longer = longerInputs(phase);
  if (longest === undefined || longer === null) return null;
  const parts = longer.points.map((point) => {
    const input = `${times[point.factor] ?? ""} (${tokens(point.n)})`;
    return point.canTell
      ? `${input} would take about ${aboutSeconds(point)}, ${factor(point.seconds / longest.median)} times as long.`
      : `What ${input.charAt(0).toLowerCase()}${input.slice(1)} would take the samples cannot tell: perhaps ${aboutSeconds(point)}.`;
  });
  const level = longer.source === "law" ? phase.law?.level : phase.prediction?.level;
  const basis =
    longer.source === "law"
      ? `extrapolated from what was measured between ${tokens(phase.law?.from ?? longest.n)} and ${tokens(phase.law?.to ?? longest.n)} tokens`
      : "predicted from the machine's rates";
  const context = data.model.contextLength;
  const beyond = context !== null && longer.points.some((point) => point.n > context);
  const made = beyond
    ? ` The model was made for ${tokens(context)} tokens; beyond that it still costs time, but its output is not to be trusted.`
    : "";
  const memory = data.limits.memory?.n ?? Number.POSITIVE_INFINITY;
  const full = longer.points.some((point) => point.n > memory)
    ? ` More than ${aboutTokens(memory)} tokens would not fit into memory.`
    : "";
  return `Reading ${tokens(longest.n)} tokens took ${seconds(longest.median)}. ${parts.join(" ")} Nobody measured ${longer.points.length === 1 ? "this length: it is" : "these lengths: they are"} ${basis}, and the range in brackets should hold the truth in ${levelText(level ?? Number.NaN)} of such cases.${made}${full}`;
}

function afterwards(data: ReportData): string | null {
  const decode = data.phases.find((phase) => phase.phase === "decode");
  const found = decode === undefined ? null : slowing(decode);
  if (found === null) return null;
  const verb = found.predicted ? "is predicted to take" : "takes";
  const ends =
    found.exponents === null
      ? `${seconds(found.first.seconds)} after ${tokens(found.first.n)} tokens`
      : `${seconds(found.first.seconds)} after ${tokens(found.first.n)} tokens and ${seconds(found.last.seconds)} after ${tokens(found.last.n)}`;
  return `Writing the answer is another matter. Every new token looks back once at all tokens before it, so each costs a little more than the one before: a straight line, not a square. On ${place(data)} one ${verb} ${ends}.`;
}

function remembered(data: ReportData): string | null {
  const cache = data.model.cache;
  if (cache === null || cache.bytesPerToken <= 0) return null;
  const kept = `For every token the model keeps ${bytes(cache.bytesPerToken)} in memory (the KV cache), so that it need not be read again.`;
  const limit = data.limits.memory;
  if (limit?.n === 0) return `${kept} The memory of ${place(data)} does not even hold its weights.`;
  return limit === null
    ? kept
    : `${kept} The memory of ${place(data)} is full at about ${aboutTokens(limit.n)} tokens.`;
}
