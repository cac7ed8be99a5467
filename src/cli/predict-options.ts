import { InvalidArgumentError } from "commander";
import { longestLength, parseLength } from "../base/lengths.js";
import type { LatencyWanted } from "../predict/latency.js";
import type { Request, Turns } from "../predict/requests.js";
import { duration, number } from "./options.js";

/** A positive number such as 3.2. */
export const positive = (what: string): ((text: string) => number) => number((value) => value > 0, `${what}, above 0`);

/** A duration that may be nothing: `0`, `20ms`. */
export function durationOrNone(text: string): number {
  if (/^\s*0+(\.0*)?\s*$/.test(text)) return 0;
  // Latencies are milliseconds to most people and seconds to the option's relatives.
  if (/^\s*[\d.]+\s*$/.test(text))
    throw new InvalidArgumentError(`${text.trim()} of what? ${text.trim()}ms or ${text.trim()}s.`);
  return duration(text);
}

/** A length that may be 0: tokens already cached. */
export function depth(text: string): number {
  return text.trim() === "0" ? 0 : parseLength(text, "--depth");
}

export function length(option: string): (text: string) => number {
  return (text) => parseLength(text, option);
}

/** `4k:512`: tokens of the prompt, tokens of the answer. */
export function request(text: string): Request {
  const [input, output, ...more] = text.split(":");
  if (input === undefined || output === undefined || more.length > 0) {
    throw new InvalidArgumentError('expected "4k:512": tokens of the prompt, then of the answer.');
  }
  return { input: parseLength(input, "--request"), output: parseLength(output, "--request") };
}

const mostTurns = 1000;

/** `10x500:200`: ten turns of 500 tokens, each answered by 200. */
export function turns(text: string): Turns {
  const match = /^\s*(\d+)\s*[x×*]\s*([^:]+):([^:]+)$/i.exec(text);
  const count = Number(match?.[1] ?? Number.NaN);
  if (match === null || !(count >= 1 && count <= mostTurns)) {
    throw new InvalidArgumentError(
      `expected "10x500:200": 1 to ${mostTurns} turns, tokens asked and answered in each.`,
    );
  }
  const one = { input: parseLength(match[2] ?? "", "--turns"), output: parseLength(match[3] ?? "", "--turns") };
  if (count * (one.input + one.output) > longestLength) {
    throw new InvalidArgumentError("expected a conversation of at most 2^40 tokens.");
  }
  return { count, ...one };
}

const metrics: Readonly<Record<string, LatencyWanted["metric"]>> = {
  ttft: "ttft",
  prefill: "prefill",
  tpot: "tpot",
  itl: "tpot",
  decode: "tpot",
};

/** `ttft<5s`. */
export function latencyWanted(text: string): LatencyWanted {
  const match = /^\s*([a-z]+)\s*(?:<=?|≤)\s*(.+)$/i.exec(text);
  const metric = metrics[(match?.[1] ?? "").toLowerCase()];
  if (match === null || metric === undefined) {
    throw new InvalidArgumentError('expected "ttft<5s", "prefill<2s" or "tpot<50ms".');
  }
  return { text: text.trim(), metric, seconds: duration(match[2] ?? "") };
}

/** Names between commas, none of them empty. */
export function names(text: string): readonly string[] {
  const all = text.split(",").map((name) => name.trim());
  if (all.some((name) => name === "")) throw new InvalidArgumentError("expected names with commas between.");
  return [...new Set(all)];
}
