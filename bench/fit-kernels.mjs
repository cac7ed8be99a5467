// Fits the kernel functions of src/hardware/kernels.ts to published tables and writes src/hardware/kernel-fits.ts.
//
//   npm run fit-kernels -- [--data folder] [--thin] [--write]
//
// Needs a build. Reads the thinned copies in bench/data, or with --data a folder of full tables, of which --thin makes the
// copies. Prints how well each fit holds on shapes that it has not seen.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { readTimings, thinTimings } from "./hardware-data.mjs";
import { parameterNames } from "../dist/hardware/kernel-rows.js";
import { mixerRows } from "./mixer-rows.mjs";
import { engineSpread, fitsOf, kernelRows, pooledRows } from "./kernel-fit.mjs";

const { values } = parseArgs({
  options: { data: { type: "string" }, thin: { type: "boolean" }, write: { type: "boolean" } },
});
if (values.thin === true && values.data !== undefined) thinTimings(values.data);
const fits = fitsOf([
  ...kernelRows([...readTimings("gemm", values.data), ...readTimings("attention", values.data)]),
  ...mixerRows(readTimings("mixers", values.data)),
]);
for (const { kind, format, device, engine, rows, spread } of fits) {
  const key = [kind, format, device, engine].join(" | ");
  console.log(
    `${key.padEnd(64)} ${String(rows.length).padStart(4)} rows, unseen shapes within ${(128 * spread()).toFixed(1)} % (80 %)`,
  );
}
const between = /** @type {const} */ (["gemm", "attention", "decode"]).map((kind) => ({
  kind,
  ...engineSpread(fits, kind),
}));
for (const { kind, pairs, spread } of between)
  console.log(`${kind}: engines' kernels on one device lie ${(100 * spread).toFixed(1)} % apart, of ${pairs} pairs`);
if (values.write === true) {
  const short = (/** @type {number} */ value) => Number(value.toPrecision(3));
  const parameters = (
    /** @type {{kind: import("./kernel-fit.mjs").Kind, fit: Readonly<Record<string, number>>}} */ { kind, fit },
  ) => parameterNames[kind].map((name) => short((fit[name] ?? 0) * (name === "overhead" ? 1e6 : 1)));
  const lines = (/** @type {unknown[][]} */ table) => table.map((row) => `  ${JSON.stringify(row)},\n`).join("");
  const ofDevices = fits.map((one) => [
    one.kind,
    one.format,
    one.device,
    one.engine,
    one.longest,
    short(one.spread()),
    parameters(one),
  ]);
  const ofClasses = pooledRows(fits).map((one) => [
    one.kind,
    one.format,
    one.engine,
    one.class,
    short(one.spread()),
    parameters(one),
  ]);
  writeFileSync(
    new URL("../src/hardware/kernel-fits.ts", import.meta.url),
    `import type { DeviceRow, PooledRow } from "./kernel-rows.js";

/* Made by \`npm run fit-kernels -- --write\` from published kernel timings; bench/data/README.md names their sources. */

export const deviceRows: readonly DeviceRow[] = [
${lines(ofDevices)}];

export const pooledRows: readonly PooledRow[] = [
${lines(ofClasses)}];

/** Standard deviation of log seconds between engines' kernels on one and the same device. */
export const engineSpreads = ${JSON.stringify(Object.fromEntries(between.map(({ kind, spread }) => [kind, short(spread)])))} as const;
`,
  );
}
