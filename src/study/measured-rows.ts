import { median } from "../math/median.js";
import { measuredLengths } from "../report/measured.js";
import { type Run, type Sample, cachedBefore, isUsable, lengthOf } from "../runs/schema.js";
import type { MeasuredRow } from "./documents/measure.js";

/** A sample's seconds by the server's own clock: its prefill, or its mean per token; null where it doesn't say. */
export function serverSecondsOf({ phase, request }: Sample): number | null {
  return (phase === "decode" ? request?.serverTokenSeconds : request?.serverPrefillSeconds) ?? null;
}

const order = ["prefill", "decode", "decode-uncached"] as const;

/** Distinct numbers, ascending. */
function distinct(values: readonly number[]): number[] {
  return [...new Set(values)].sort((left, right) => left - right);
}

/** What a run measured, a row for each phase, batch, number of cached tokens and length that has a usable sample. */
export function measuredRows({ samples }: Pick<Run, "samples">): MeasuredRow[] {
  return order.flatMap((phase) => {
    const own = samples.filter((sample) => sample.phase === phase).filter(isUsable);
    return distinct(own.map(({ batch }) => batch)).flatMap((batch) =>
      distinct(own.map(cachedBefore)).flatMap((cached) =>
        measuredLengths(own, phase, batch, cached).map(({ n, median: seconds, fastest, slowest, samples: all }) => {
          const told = own.flatMap((sample) => {
            const same = sample.batch === batch && cachedBefore(sample) === cached && lengthOf(sample) === n;
            return same ? (serverSecondsOf(sample) ?? []) : [];
          });
          const serverSeconds = told.length === 0 ? null : median(told);
          return { phase, batch, cached, n, seconds, low: fastest, high: slowest, samples: all.length, serverSeconds };
        }),
      ),
    );
  });
}
