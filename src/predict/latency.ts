import { badInput } from "../base/errors.js";
import { longestLength } from "../base/lengths.js";
import { firstNonNegative } from "../math/roots.js";
import type { Deployment } from "./deployment.js";
import type { Terms } from "./requests.js";

/** A latency wanted: `ttft<5s`. */
export interface LatencyWanted {
  readonly text: string;
  /** `ttft` is a prefill with the stated terms, `prefill` without; `tpot` one decode step. */
  readonly metric: "ttft" | "prefill" | "tpot";
  readonly seconds: number;
}

export interface LatencyReach extends LatencyWanted {
  /**
   * The largest length that keeps it: by the estimate, surely (low: the upper ends of the intervals keep it too) and perhaps
   * (high). 0 where no length does; `n` and `high` are null beyond 2⁴⁰ tokens.
   */
  readonly reach: { readonly n: number | null; readonly low: number | null; readonly high: number | null };
}

/** @throws NsquaredError `nothing-generated` for a decode latency of a model that generates nothing */
export function reachOf(deployment: Deployment, wanted: LatencyWanted, terms: Terms): LatencyReach {
  const { decode, prefill } = deployment;
  const curve = wanted.metric === "tpot" ? decode : prefill;
  if (curve === null) {
    throw badInput("nothing-generated", {
      where: "--limit",
      found: wanted.text,
      expected: "a model that generates tokens; this one has no decoder",
    });
  }
  const beside = wanted.metric === "ttft" ? terms.network + terms.tokenizer : 0;
  const last = (end: "seconds" | "low" | "high"): number | null => {
    const over = (n: number): number => curve.interval(n)[end] + beside - wanted.seconds;
    if (over(1) > 0) return 0;
    const first = firstNonNegative(over, 1, longestLength);
    if (first === null) return null;
    const whole = Math.max(1, Math.floor(first));
    return over(whole) > 0 ? whole - 1 : whole;
  };
  return { ...wanted, reach: { n: last("seconds"), low: last("high"), high: last("low") } };
}
