import type { ReportData } from "../report/data.js";
import { answer } from "../report/words.js";
import type { ReportDocument } from "./documents/report.js";

/** A report as one plain document; `low` and `high` of what was measured are the fastest and the slowest sample. */
export function reportDocumentOf(data: ReportData, run: string, html: string | null): ReportDocument {
  return {
    schema: "nsquared/report@1",
    run,
    model: data.model.name,
    device: data.prediction?.device ?? null,
    html,
    answer: answer(data).map(({ text }) => text),
    phases: data.phases.map((phase) => ({
      phase: phase.phase,
      lengths: phase.measured.map((measured) => {
        const point = phase.prediction?.points.find(({ n }) => n === measured.n) ?? null;
        return {
          n: measured.n,
          measured: {
            seconds: measured.median,
            low: measured.fastest,
            high: measured.slowest,
            repeats: measured.samples.length,
          },
          predicted: point === null ? null : { seconds: point.seconds, low: point.low, high: point.high },
          ratio: point === null ? null : measured.median / point.seconds,
          inside: point === null ? null : measured.median >= point.low && measured.median <= point.high,
        };
      }),
      law: phase.law?.kind ?? null,
      extrapolation: (phase.law?.extrapolation ?? []).map((point) => ({ ...point })),
    })),
    findings: (data.diagnosis?.findings ?? []).map(({ cause, alike, evidence }) => ({
      cause,
      alike: [...alike],
      evidence,
    })),
    warnings: [...data.warnings],
  };
}
