// Whole runs as the tool predicts them, and as profiles of engines do that have not seen the device, the source or the
// model.
import { compiledCost } from "../dist/hardware/compiled.js";
import { peakOf } from "../dist/hardware/roofline.js";
import { predictCurve } from "../dist/predict/index.js";
import { intervalDeviations } from "../dist/predict/interval.js";
import { makePlan } from "../dist/predict/plan.js";
import { engineFits, fittedSeconds } from "./engine-fit.mjs";
import { lineOf } from "./score.mjs";
import { curveOptions, timed } from "./timed-run.mjs";

/** @typedef {import("./runs-data.mjs").Run} Run */
/** @typedef {import("./timed-run.mjs").Timed} Timed */
/** @typedef {import("./score.mjs").Judged} Judged */
/** @typedef {Timed & {roofline: number, shipped: {seconds: number, low: number, high: number}}} Row */

/** What the products run in, by the bits that the fits go by. @param {Timed} row */
function operandsOf({ run, bits }) {
  if (bits === "8") return run.engine === "llama.cpp-cuda" ? "int8" : "float8";
  return bits === "4" && run.model.dtypes.weights === "float4" ? "float4" : run.model.dtypes.activations;
}

/** Σ max(FLOPs / peak, bytes / bandwidth) over the operators of one device. @param {Timed} row */
function rooflineOf(row) {
  const { run } = row;
  const plan = makePlan(run.model, run.device, curveOptions(run));
  const prefill = run.phase === "prefill";
  const setting = prefill
    ? { variable: /** @type {const} */ ("n"), values: { c: run.depth, b: run.batch, m: 0 } }
    : { variable: /** @type {const} */ ("c"), values: { n: 1, b: run.batch, m: 0 } };
  const wide = 1 / peakOf(run.device, run.model.dtypes.activations).value;
  const narrow = 1 / peakOf(run.device, operandsOf(row)).value;
  return plan.rows(run.phase).reduce((sum, one) => {
    const { matmulFlops, movedBytes } = compiledCost(one, setting);
    const product = one.operator.kind === "linear" || one.operator.kind === "experts";
    const compute = matmulFlops(run.n) * (product ? narrow : wide);
    return sum + one.times * Math.max(compute, movedBytes(run.n) / run.device.bandwidth.value);
  }, 0);
}

/** @param {Run[]} runs @returns {Row[]} */
export function scoredRuns(runs) {
  return runs.flatMap((run) => {
    const row = timed(run);
    if (row === null) return [];
    const { interval } = predictCurve(run.model, run.device, curveOptions(run));
    return [{ ...row, roofline: rooflineOf(row), shipped: interval(run.n) }];
  });
}

/** @param {ReturnType<typeof engineFits>} fits @param {Row} row @returns {Judged[]} */
function judged(fits, row) {
  const found = fittedSeconds(fits, row);
  if (found === null) return [];
  const { run, roofline } = row;
  return [
    {
      device: run.device.name,
      source: run.source,
      measured: run.seconds,
      predicted: found.seconds,
      spread: found.spread,
      roofline,
    },
  ];
}

const llama = (/** @type {Row} */ { run }) => run.engine.startsWith("llama.cpp");
const gpu = (/** @type {Row} */ { run }) => run.device.class !== "cpu";
const long = (/** @type {Row} */ { run }) => run.phase === "prefill" && run.n + run.depth >= 2048;
const sparse = (/** @type {Row} */ { run }) =>
  run.model.stacks.some(({ layers }) => JSON.stringify(layers).includes('"moe"'));
const alone = (/** @type {Row} */ { run }) => run.phase === "decode" && run.batch === 1 && run.gpus === 1;

/** @type {[string, (row: Row) => boolean][]} */
const groups = [
  ["llama.cpp prefill over length, n ≥ 2k", (row) => llama(row) && gpu(row) && long(row) && row.run.depth === 0],
  [
    "— of these without flash attention",
    (row) => llama(row) && gpu(row) && long(row) && row.run.depth === 0 && row.run.attention === "naive",
  ],
  [
    "llama.cpp prefill after cached tokens, depth + n ≥ 2k",
    (row) => llama(row) && gpu(row) && long(row) && row.run.depth > 0,
  ],
  ["other engines' prefill, n ≥ 2k", (row) => !llama(row) && gpu(row) && long(row)],
  ["decode, batch 1, one device, dense", (row) => alone(row) && !sparse(row)],
  ["decode, batch 1, one device, experts", (row) => alone(row) && sparse(row)],
  ["decode, larger batches, one device", ({ run }) => run.phase === "decode" && run.batch > 1 && run.gpus === 1],
  ["decode on 2 to 8 devices", ({ run }) => run.phase === "decode" && run.gpus > 1],
];
const fewest = 20;

/** What the tool itself says. @param {Row[]} rows */
function shipped(rows) {
  return rows.map((row) => {
    const { run, roofline } = row;
    const { seconds, low, high } = row.shipped;
    const spread = Math.log(high / low) / (2 * intervalDeviations);
    const { device, source, seconds: measured } = run;
    return {
      row,
      judged: { device: device.name, source, measured, predicted: seconds, spread: () => spread, roofline },
    };
  });
}

/** @param {Row[]} rows @param {(row: Row) => string} key left out together, one after the other */
function predicted(rows, key) {
  return [...new Set(rows.map(key))].flatMap((name) => {
    const hidden = rows.filter((row) => key(row) === name);
    // Builds of one engine lend each other what they know.
    const engines = new Set(hidden.map(({ run }) => run.engine));
    const fits = engineFits(rows.filter((row) => key(row) !== name && engines.has(row.run.engine)));
    return hidden.flatMap((row) => judged(fits, row).map((one) => ({ row, judged: one })));
  });
}

/** @param {{row: Row, judged: Judged}[]} all @param {boolean} sources */
function linesOf(all, sources) {
  const of = (/** @type {(row: Row) => boolean} */ test) => all.filter(({ row }) => test(row)).map((one) => one.judged);
  const engines = [...new Set(all.map(({ row }) => row.run.engine))].sort();
  const named = [...new Set(all.map(({ row }) => row.run.source))].sort();
  return [
    ...groups.flatMap(([name, test]) => lineOf(name, of(test))),
    ...engines.flatMap((engine) =>
      lineOf(
        `engine ${engine}`,
        of(({ run }) => run.engine === engine),
      ),
    ),
    ...(sources
      ? named.flatMap((source) => {
          const own = of(({ run }) => run.source === source);
          return own.length < fewest ? [] : lineOf(`source ${source}`, own);
        })
      : []),
  ];
}

const folds = 5;

/** A fifth of the models, by the letters of their names. @param {string} name */
function modelFold(name) {
  return String([...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % folds);
}

/** @param {Row[]} rows */
export function runScore(rows) {
  const unseen = predicted(rows, ({ run }) => run.device.name);
  return {
    score: {
      "Whole runs: profiles as they are shipped": linesOf(shipped(rows), false),
      "Whole runs: a model that the profiles have not seen": linesOf(
        predicted(rows, ({ run }) => modelFold(run.modelKey)),
        false,
      ),
      "Whole runs: a device that the engine's profile has not seen": linesOf(unseen, true),
      "Whole runs: a source that the engine's profile has not seen": linesOf(
        predicted(rows, ({ run }) => run.source),
        false,
      ),
    },
    unseen: unseen.map((one) => one.judged),
  };
}
