import { bytes, percent, seconds, significant, si, tokens } from "../base/format.js";
import { type Style, plainStyle, table } from "../report/table.js";
import type { PredictTableDocument } from "../study/documents/predict.js";

/** Devices or engines side by side, one table per length. */
export function predictTableText(document: PredictTableDocument, style: Style = plainStyle): string {
  const lengths = [...new Set(document.rows.map(({ n }) => n))];
  const has = {
    decode: document.rows.some(({ decode }) => decode !== null),
    request: document.rows.some(({ request }) => request !== null),
    joules: document.rows.some(({ expense }) => expense.joules !== null),
    cost: document.rows.some(({ expense }) => expense.cost !== null),
    devices: document.rows.some(({ devices }) => devices > 1),
  };
  const tables = lengths.map((n) => {
    const rows = document.rows.filter((row) => row.n === n);
    return [
      style("bold", `${tokens(n)} tokens`),
      table(
        [
          "device",
          "engine",
          ...(has.devices ? ["devices"] : []),
          "prefill",
          "interval",
          ...(has.decode ? ["decode / token"] : []),
          ...(has.request ? ["request"] : []),
          "memory",
          "fits",
          "longest",
          ...(has.decode ? ["at once", "tokens/s then"] : []),
          ...(has.joules ? ["energy"] : []),
          ...(has.cost ? ["price"] : []),
          "data",
        ],
        rows.map((row) => [
          row.device,
          row.engine,
          ...(has.devices ? [String(row.devices)] : []),
          seconds(row.prefill.seconds),
          `${seconds(row.prefill.low)} – ${seconds(row.prefill.high)}`,
          ...(has.decode ? [row.decode === null ? "" : seconds(row.decode.seconds)] : []),
          ...(has.request ? [row.request === null ? "" : seconds(row.request.seconds)] : []),
          bytes(row.memory.bytes),
          { text: row.memory.fits ? "yes" : "no", ...(row.memory.fits ? {} : { style: "red" as const }) },
          row.longest === null ? "∞" : si(row.longest),
          ...(has.decode ? [si(row.sequences), row.tokensPerSecond === null ? "–" : si(row.tokensPerSecond)] : []),
          ...(has.joules ? [row.expense.joules === null ? "–" : si(row.expense.joules, "J")] : []),
          ...(has.cost ? [row.expense.cost === null ? "–" : significant(row.expense.cost)] : []),
          row.basis,
        ]),
        style,
      ),
    ].join("\n");
  });
  return [
    `${document.name} (${document.dtype}, batch ${document.batch}${document.depth > 0 ? `, after ${tokens(document.depth)} cached tokens` : ""}): sorted by ${document.sort}; ${percent(document.level)} intervals`,
    ...tables,
    [
      ...document.left.map(
        ({ device, engine, reason }) => `left out: ${[device, engine].filter(Boolean).join(" with ")}: ${reason}`,
      ),
      ...document.notes.map((note) => `note: ${note}`),
    ].join("\n"),
  ].join("\n\n");
}
