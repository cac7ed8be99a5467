// Fits the kernel functions of src/hardware/kernels.ts to published tables and writes src/hardware/kernel-fits.ts.
//
//   npm run fit-kernels -- [--data folder] [--thin] [--write]
//
// Needs a build. Reads the thinned copies in bench/data, or with --data a folder of full tables, of which --thin makes the
// copies. Prints how well each fit holds on shapes that it has not seen.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { readTimings, thinTimings } from "./hardware-data.mjs";
import { fitsOf, heldOut, kernelRows } from "./kernel-fit.mjs";
import { quantile } from "./robust-fit.mjs";

const { values } = parseArgs({
  options: { data: { type: "string" }, thin: { type: "boolean" }, write: { type: "boolean" } },
});
if (values.thin === true && values.data !== undefined) thinTimings(values.data);
const rows = kernelRows(readTimings("gemm", values.data), readTimings("attention", values.data));
const fits = fitsOf(rows);
const errors = heldOut(rows);
for (const [key, large] of Object.entries(errors)) {
  if (large.length === 0) continue;
  console.log(
    `${key.padEnd(64)} ${String(large.length).padStart(4)} held out, median error ${(100 * quantile(large, 0.5)).toFixed(1)} %, p90 ${(100 * quantile(large, 0.9)).toFixed(1)} %`,
  );
}
if (values.write === true) {
  const short = (/** @type {number} */ value) => Number(value.toPrecision(3));
  const parameters = (/** @type {Record<string, number>} */ { overhead = 0, ...rest }) =>
    [overhead * 1e6, ...Object.values(rest)].map(short);
  const lines = (/** @type {unknown[][]} */ table) => table.map((row) => `  ${JSON.stringify(row)},\n`).join("");
  const ofDevices = fits.devices.map((one) => [
    one.kind,
    one.bits,
    one.device,
    one.engine,
    one.longest,
    short(one.spread),
    parameters(one.fit),
  ]);
  const ofClasses = fits.pooled.map((one) => [one.kind, one.bits, one.class, short(one.spread), parameters(one.fit)]);
  writeFileSync(
    new URL("../src/hardware/kernel-fits.ts", import.meta.url),
    `import type { DeviceRow, PooledRow } from "./kernel-rows.js";

/* Made by \`npm run fit-kernels -- --write\` from published kernel timings; bench/data/README.md names their sources. */

export const deviceRows: readonly DeviceRow[] = [
${lines(ofDevices)}];

export const pooledRows: readonly PooledRow[] = [
${lines(ofClasses)}];
`,
  );
}
