// How far predictions lie from measurements: one line of the score per group of rows.
import { intervalDeviations } from "../dist/predict/interval.js";
import { once, quantile } from "./robust-fit.mjs";

/**
 * @typedef {object} Judged one measurement with what was said of it without having seen it
 * @property {string} device
 * @property {string} source
 * @property {number} measured seconds
 * @property {number} predicted
 * @property {() => number} spread standard deviation of log seconds that the prediction states
 * @property {number} roofline seconds of the plain roofline
 */
/**
 * @typedef {object} Line
 * @property {string} name
 * @property {number} rows
 * @property {number} devices
 * @property {number} median of |log(predicted / measured)|, in per cent, as all below
 * @property {number} p90
 * @property {number} bias median of log(predicted / measured)
 * @property {number} coverage of the 80 % interval
 * @property {number} roofline median of the plain roofline
 * @property {number} roofline18 median of the roofline times 1.8
 */

/** What everybody multiplies the roofline by. */
const usualFactor = 1.8;
const round = (/** @type {number} */ value) => Math.round(1000 * value) / 10;

/** @param {string} name @param {Judged[]} rows @returns {Line[]} none of nothing */
export function lineOf(name, rows) {
  if (rows.length === 0) return [];
  const logs = rows.map(({ predicted, measured }) => Math.log(predicted / measured));
  const size = (/** @type {number[]} */ values) => values.map(Math.abs);
  const plain = rows.map(({ roofline, measured }) => Math.log(roofline / measured));
  const inside = once(
    () => rows.filter(({ spread }, i) => Math.abs(logs[i] ?? 0) <= intervalDeviations * spread()).length,
  );
  return [
    {
      name,
      rows: rows.length,
      devices: new Set(rows.map(({ device }) => device)).size,
      median: round(quantile(size(logs), 0.5)),
      p90: round(quantile(size(logs), 0.9)),
      bias: round(quantile(logs, 0.5)),
      // Most of the time of a score goes into spreads: who reads medians alone does not wait for them.
      get coverage() {
        return round(inside() / rows.length);
      },
      roofline: round(quantile(size(plain), 0.5)),
      roofline18: round(quantile(size(plain.map((log) => log + Math.log(usualFactor))), 0.5)),
    },
  ];
}

/** @param {string} title @param {Line[]} lines */
export function tableOf(title, lines) {
  const cells = lines.map((line) =>
    [
      line.name,
      line.rows,
      line.devices,
      ...[line.median, line.p90, line.bias, line.coverage, line.roofline, line.roofline18].map((value) =>
        value.toFixed(1),
      ),
    ].join(" | "),
  );
  return [
    `### ${title}`,
    "",
    "| rows | number | devices | median | p90 | bias | in 80 % interval | roofline | roofline × 1.8 |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...cells.map((line) => `| ${line} |`),
  ].join("\n");
}
