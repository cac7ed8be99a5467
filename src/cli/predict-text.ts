import { bytes, percent, seconds, significant, si, tokens } from "../base/format.js";
import { dataText } from "../hardware/data.js";
import { type Style, plainStyle, table } from "../report/table.js";
import type { PredictDocument } from "../study/documents/predict.js";

interface Range {
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
}

export interface TextOptions {
  readonly style?: Style;
  /** Seconds over the length, drawn; empty for none. */
  readonly picture?: string;
}

const range = ({ low, high }: Range): string => `${seconds(low)} – ${seconds(high)}`;
const both = (value: Range): string => `${seconds(value.seconds)} (${range(value)})`;
const letters = { compute: "c", bandwidth: "b", latency: "l", network: "n" } as const;

/** A prediction for people. */
export function predictText(document: PredictDocument, options: TextOptions = {}): string {
  const { style = plainStyle, picture = "" } = options;
  const sections = [
    headline(document),
    pointsTable(document, style),
    picture,
    sharesTable(document, style),
    degreesTable(document, style),
    crossings(document),
    requestText(document),
    conversationText(document, style),
    traceText(document, style),
    exceededText(document, style),
    document.notes.map((note) => `note: ${note}`).join("\n"),
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

function headline(document: PredictDocument): string {
  const { tensor, pipeline, expert, context, devices } = document.parallel;
  const split = Object.entries({ tp: tensor, pp: pipeline, ep: expert, cp: context })
    .filter(([, count]) => count > 1)
    .map(([name, count]) => `${name} ${count}`);
  const { weights, kv, activations, products } = document.dtypes;
  const formats =
    weights === kv && weights === activations && weights === products
      ? document.dtype
      : [
          `weights ${weights}`,
          `cache ${kv}`,
          `activations ${activations}`,
          ...(products === activations ? [] : [`products ${products}`]),
        ].join(", ");
  const how = [document.engine, formats, `batch ${document.batch}`, ...split];
  if (document.depth > 0) how.push(`after ${tokens(document.depth)} cached tokens`);
  const on = devices === 1 ? document.device : `${devices} × ${document.device}`;
  return `${document.name} on ${on} (${how.join("; ")}): ${dataText(document.data, document.device, document.engine)}; ${percent(document.level)} intervals`;
}

function pointsTable({ points, parallel }: PredictDocument, style: Style): string {
  const ttft = points.some((point) => point.ttft !== null);
  const decodes = points.some(({ decode }) => decode !== null);
  return table(
    [
      "n",
      "prefill",
      "interval",
      "exponent",
      ...(ttft ? ["TTFT"] : []),
      ...(decodes ? ["decode / token", "interval"] : []),
      parallel.devices > 1 ? "memory / device" : "memory",
      "fits",
      ...(decodes ? ["at once", "tokens/s then"] : []),
    ],
    points.map(({ n, prefill, decode, memory, capacity, ttft: first }) => [
      tokens(n),
      seconds(prefill.seconds),
      range(prefill),
      prefill.exponent.toFixed(2),
      ...(ttft ? [first === null ? "" : seconds(first.seconds)] : []),
      ...(decodes ? (decode === null ? ["", ""] : [seconds(decode.seconds), range(decode)]) : []),
      bytes(memory.bytes),
      { text: memory.fits ? "yes" : "no", ...(memory.fits ? {} : { style: "red" as const }) },
      ...(decodes
        ? [si(capacity.sequences), capacity.tokensPerSecond === null ? "–" : si(capacity.tokensPerSecond.value)]
        : []),
    ]),
    style,
  );
}

/** Prefill by part of the model, each with the letter of what limits it. */
function sharesTable({ points }: PredictDocument, style: Style): string {
  const names = points[0]?.prefill.parts.map((part) => part.name) ?? [];
  const shares = table(
    ["share of prefill", ...names],
    points.map(({ n, prefill }) => [
      tokens(n),
      ...names.map((name) => {
        const part = prefill.parts.find((one) => one.name === name);
        return part === undefined ? "0 %" : `${percent(part.share)} ${letters[part.bound]}`;
      }),
    ]),
    style,
  );
  return `${shares}\nlimited by: c compute, b memory bandwidth, l latency of starting and waiting, n network`;
}

function degreesTable({ points }: PredictDocument, style: Style): string {
  const degrees = [...new Set(points.flatMap(({ prefill }) => prefill.degrees.map(({ degree }) => degree)))].sort(
    (a, b) => a - b,
  );
  const names: Readonly<Record<number, string>> = { 0: "fixed", 1: "linear", 2: "quadratic" };
  const decodes = points.some(({ decode }) => decode !== null);
  const of = (parts: readonly { degree: number; seconds: number }[] | undefined, degree: number): string =>
    seconds(parts?.find((part) => part.degree === degree)?.seconds ?? 0);
  return table(
    [
      "seconds of prefill that are",
      ...degrees.map((degree) => names[degree] ?? `n^${significant(degree)}`),
      ...(decodes ? ["of decode: fixed", "linear"] : []),
    ],
    points.map(({ n, prefill, decode }) => [
      tokens(n),
      ...degrees.map((degree) => of(prefill.degrees, degree)),
      ...(decodes ? [of(decode?.degrees, 0), of(decode?.degrees, 1)] : []),
    ]),
    style,
  );
}

function end(value: number | null | undefined, otherwise: string): string {
  return value == null ? otherwise : tokens(Math.round(value));
}

function crossings({ crossover, attentionHalf, limits }: PredictDocument): string {
  const where = (at: { n: number; low?: number | null; high?: number | null } | null): string => {
    if (at === null) return "none";
    const ends = at.low === undefined ? "" : ` (${end(at.low, "0")} – ${end(at.high, "beyond any length")})`;
    return `n = ${tokens(Math.round(at.n))}${ends}`;
  };
  const limit = (at: { n: number } | null, otherwise: string): string =>
    at === null ? otherwise : at.n === 0 ? "none: the weights alone do not fit" : `n = ${tokens(at.n)}`;
  return [
    `crossover        FLOPs ${where(crossover.flops)}; seconds ${where(crossover.seconds)}`,
    `attention half   FLOPs ${where(attentionHalf.flops)}; seconds ${where(attentionHalf.seconds)}`,
    `longest          memory ${limit(limits.memory, "no limit")}; the model's context ${limit(limits.context, "not stated")}`,
    ...limits.latency.map((one) => {
      const surely = `surely ${end(one.low, "any length")}, perhaps ${end(one.high, "any length")}`;
      return `${one.limit.padEnd(16)} up to ${one.metric === "tpot" ? "c" : "n"} = ${end(one.n, "any length")} (${surely})`;
    }),
  ].join("\n");
}

function expenseText({ joules, cost }: { joules: number | null; cost: number | null }): string {
  const parts = [
    ...(joules === null ? [] : [`${si(joules, "J")} (${si(joules / 3600, "Wh")})`]),
    ...(cost === null ? [] : [`price ${significant(cost)}`]),
  ];
  return parts.length === 0 ? "" : `; ${parts.join(", ")}`;
}

function requestText({ request }: PredictDocument): string {
  if (request === null) return "";
  const { input, output, prefill, decode, total, ttft, perToken, expense } = request;
  return [
    `request          ${tokens(input)} in, ${tokens(output)} out: ${both(total)}${expenseText(expense)}`,
    `  first token    ${both(ttft ?? prefill)}${ttft === null ? ", the model alone" : ", with network and tokenizer"}`,
    ...(perToken === null
      ? []
      : [`  the others     ${both(decode)}, ${seconds(perToken)} each, ${significant(1 / perToken)} tokens/s`]),
  ].join("\n");
}

const shownTurns = 12;

function conversationText({ conversation }: PredictDocument, style: Style): string {
  if (conversation === null) return "";
  const { turns, total, totalUncached, context, expense } = conversation;
  const shown = turns.length <= shownTurns ? turns : [...turns.slice(0, shownTurns - 1), ...turns.slice(-1)];
  const rows = shown.map((turn) => [
    String(turns.indexOf(turn) + 1),
    tokens(turn.context),
    seconds(turn.prefill.seconds),
    seconds(turn.prefillUncached.seconds),
    seconds(turn.decode.seconds),
    both(turn.total),
  ]);
  return [
    table(["turn", "after", "prefill", "without cache", "decode", "together"], rows, style),
    `conversation     ${tokens(context)} tokens in the end: ${both(total)}${expenseText(expense)}; without a prefix cache ${both(totalUncached)}, ${significant(totalUncached.seconds / total.seconds)} times as long`,
  ].join("\n");
}

function traceText({ trace }: PredictDocument, style: Style): string {
  if (trace === null) return "";
  const row = (name: string, one: NonNullable<typeof trace>["prefill"] | null) =>
    one === null
      ? []
      : [
          [
            name,
            both(one.mean),
            seconds(one.ofMeanLength.seconds),
            significant(one.ratio),
            seconds(one.percentiles.p50),
            seconds(one.percentiles.p90),
            seconds(one.percentiles.p99),
          ],
        ];
  return [
    `trace            ${trace.requests} requests, ${si(trace.meanInput)} tokens in and ${si(trace.meanOutput)} out on average${expenseText(trace.expense)}`,
    table(
      ["", "mean of T", "T of the mean", "ratio", "p50", "p90", "p99"],
      [...row("prefill", trace.prefill), ...row("request", trace.total)],
      style,
    ),
  ].join("\n");
}

function exceededText({ exceeded }: PredictDocument, style: Style): string {
  if (exceeded === null) return "";
  const { n, bytes: needed, available, over, remedies } = exceeded;
  return [
    style(
      "red",
      `memory exceeded  ${tokens(n)} tokens need ${bytes(needed)} of ${bytes(available)}: ${bytes(over)} too much`,
    ),
    ...(remedies.length === 0
      ? ["  nothing that was tried makes it fit"]
      : remedies.map(({ change, bytes: left, longest }) => {
          const reach = longest === null ? "no limit" : `up to ${tokens(longest)} tokens`;
          return `  fits with ${change}: ${bytes(left)}${change.startsWith("at most") ? "" : `, ${reach}`}`;
        })),
  ].join("\n");
}
