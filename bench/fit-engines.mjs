// Fits what engines take beyond their kernels to published whole runs and writes src/hardware/engine-fits.ts.
//
//   npm run fit-engines -- [--data folder] [--write]
//
// Needs a build, and the kernels' fits (npm run fit-kernels) first.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { factored, kinOf } from "../dist/hardware/engine-rows.js";
import { engineFits, fittedSeconds } from "./engine-fit.mjs";
import { readTimings } from "./hardware-data.mjs";
import { quantile } from "./robust-fit.mjs";
import { runsOf } from "./runs-data.mjs";
import { timed } from "./timed-run.mjs";

const { values } = parseArgs({ options: { data: { type: "string" }, write: { type: "boolean" } } });
const { runs, left } = runsOf(readTimings("prefill", values.data), readTimings("decode", values.data));
for (const [reason, count] of left) console.log(`left out: ${count} of ${reason}`);
const rows = runs.flatMap((run) => timed(run) ?? []);
const fits = engineFits(rows);
for (const fit of fits) {
  const own = rows.filter(
    (row) =>
      row.engine === fit.engine &&
      (fit.class === "any" || kinOf(row.run.device) === fit.class || row.run.device.name === fit.class) &&
      (fit.bits === "any" || row.bits === fit.bits),
  );
  const errors = own.flatMap((row) => {
    const found = fittedSeconds([fit], { ...row, bits: fit.bits });
    return found === null ? [] : [Math.abs(Math.log(found.seconds / row.run.seconds))];
  });
  const shown = fit.factors.map((factor, i) => `${factored[i]} ${factor.toFixed(2)}`);
  console.log(
    `${fit.engine} | ${fit.class} | ${fit.bits} bits: ${fit.rows} runs, median error ${(100 * quantile(errors, 0.5)).toFixed(1)} %; ${shown.join(", ")}; step ${(fit.perStep * 1e6).toFixed(0)} µs, ${fit.sustained.toFixed(2)} T/J`,
  );
}
if (values.write === true) {
  const short = (/** @type {number} */ value) => Number(value.toPrecision(3));
  const lines = fits.map(
    ({ engine, class: name, bits, rows: count, lengths, factors, perStep, sustained, spreads }) => {
      const { prefill, decode, batched } = spreads();
      const stated = [prefill, decode, batched].map(({ common, classes }) => [short(common), short(classes)]);
      const step = short(perStep * 1e6);
      return `  ${JSON.stringify([engine, name, bits, count, lengths, stated, step, factors.map(short), short(sustained)])},\n`;
    },
  );
  writeFileSync(
    new URL("../src/hardware/engine-fits.ts", import.meta.url),
    `import type { EngineRow } from "./engine-rows.js";

/* Made by \`npm run fit-engines -- --write\` from published whole runs; bench/data/README.md names their sources. */

export const engineRows: readonly EngineRow[] = [
${lines.join("")}];
`,
  );
}
