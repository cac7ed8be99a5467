// The score of predicted seconds on published timings: kernels and whole runs that the fits have not seen, the rules by
// which rows are left out, a picture, and the gate against the committed score. bench/accuracy.mjs calls it.
import { readFileSync, writeFileSync } from "node:fs";
import { findDevice } from "../dist/hardware/index.js";
import { readConfig } from "../dist/model/index.js";
import { attentionHalfSeconds } from "../dist/predict/crossing.js";
import { predictCurve } from "../dist/predict/index.js";
import { readTimings, unfairTimings } from "./hardware-data.mjs";
import { kernelRows } from "./kernel-fit.mjs";
import { mixerRows } from "./mixer-rows.mjs";
import { runsOf } from "./runs-data.mjs";
import { scatterOf } from "./scatter.mjs";
import { kernelScore } from "./score-kernels.mjs";
import { runScore, scoredRuns } from "./score-runs.mjs";
import { tableOf } from "./score.mjs";

/** @typedef {Record<string, import("./score.mjs").Line[]>} Score */

const scoreFile = new URL("data/score.json", import.meta.url);
const docs = new URL("../docs/accuracy.md", import.meta.url);
const picture = new URL("../docs/accuracy.svg", import.meta.url);
/** A group may get worse by a twentieth of its median error and half a point. */
const tolerance = { relative: 0.05, points: 0.5 };
/** Groups of fewer rows move too much to gate. */
const fewest = 30;

/** @param {string | undefined} folder full tables; the copies in bench/data where it is left out */
function measure(folder) {
  const [gemm, attention] = [readTimings("gemm", folder), readTimings("attention", folder)];
  const mixers = readTimings("mixers", folder);
  const kernels = [...kernelRows([...gemm, ...attention]), ...mixerRows(mixers)];
  const { runs, left } = runsOf(readTimings("prefill", folder), readTimings("decode", folder));
  const rows = scoredRuns(runs);
  const { score, unseen } = runScore(rows);
  const windowed = attention.filter((row) => row.window !== "0").length;
  const reasons = [
    [
      "gemm: no peak of that format on the data sheet, sides below 64, or block-scaled fp8 flat at its overhead",
      gemm.length - kernels.filter(({ kind }) => kind === "gemm").length,
    ],
    ["attention: a window, so that pairs are not those of full attention", windowed],
    [
      "attention: no device or no peak",
      attention.length - windowed - kernels.filter(({ kind }) => kind === "attention" || kind === "decode").length,
    ],
    [
      "linear mixers: a decode step, a part of a mixer, or a model that is not described",
      mixers.length - kernels.filter(({ kind }) => kind.startsWith("delta") || kind === "decay").length,
    ],
    ...[...left].sort(([a], [b]) => a.localeCompare(b)),
    ["devices that do not divide the model's heads", runs.length - rows.length],
    ...(folder === undefined ? [] : unfairTimings(folder)),
  ];
  return { score: { ...kernelScore(kernels), ...score }, unseen, reasons, used: kernels.length + rows.length };
}

/** Where attention takes half of the seconds of Llama-3.1-8B's prefill on an H100, engine by engine. */
function attentionHalf() {
  const path = new URL("../test/data/models/configs/meta-llama__Meta-Llama-3.1-8B.json", import.meta.url);
  const model = readConfig(JSON.parse(readFileSync(path, "utf8")), "config.json", "Llama-3.1-8B");
  const shown = (/** @type {number | undefined} */ value) =>
    value === undefined ? "–" : Math.round(value).toLocaleString("en");
  const lines = ["vllm", "tensorrt-llm", "hf-sdpa", "hf-eager"].map((engineName) => {
    const curve = predictCurve(model, findDevice("h100"), { engineName });
    const half = attentionHalfSeconds(curve);
    const at = half?.n ?? 1;
    const seconds = (/** @type {string} */ name) => curve.components.find((one) => one.name === name)?.seconds(at) ?? 0;
    const cells = [curve.seconds(at), seconds("gemm"), seconds("attention"), seconds("vector")];
    return `| ${engineName} | ${shown(half?.n)} | ${shown(half?.low ?? undefined)} – ${shown(half?.high ?? undefined)} | ${cells.map((value) => value.toFixed(2)).join(" | ")} |`;
  });
  return [
    "| engine, bfloat16, batch 1 | attention half at n | 80 % interval | seconds there | products | attention | vectors |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
}

/** @param {Score} score @returns {string[]} what got worse */
function worse(score) {
  /** @type {Score} */
  const committed = JSON.parse(readFileSync(scoreFile, "utf8"));
  return Object.entries(committed).flatMap(([title, lines]) =>
    lines.flatMap((before) => {
      const now = score[title]?.find(({ name }) => name === before.name);
      if (before.rows < fewest) return [];
      if (now === undefined) return [`${title}, ${before.name}: no rows any more`];
      const limit = before.median * (1 + tolerance.relative) + tolerance.points;
      return now.median <= limit
        ? []
        : [`${title}, ${before.name}: median error ${now.median} %, was ${before.median} %`];
    }),
  );
}

/** @param {{data?: string | undefined, write: boolean, gate: boolean}} options @returns {boolean} whether the gate holds */
export function predictionAccuracy({ data, write, gate }) {
  const { score, unseen, reasons, used } = measure(data);
  if (gate) {
    const failures = worse(score);
    for (const failure of failures) console.error(`worse than the committed score: ${failure}`);
    return failures.length === 0;
  }
  const text = [
    `${used} timings are scored.`,
    ...Object.entries(score).map(([title, lines]) => tableOf(title, lines)),
    "### Rows left out, by rule",
    ["| rule | rows |", "| --- | ---: |", ...reasons.map(([rule, count]) => `| ${rule} | ${count} |`)].join("\n"),
    "### Where attention takes half of the prefill: Llama-3.1-8B on an H100",
    attentionHalf(),
  ].join("\n\n");
  if (write) {
    const marks = /(<!-- prediction -->\n)[\s\S]*(\n<!-- \/prediction -->)/;
    const page = readFileSync(docs, "utf8");
    writeFileSync(
      docs,
      page.replace(marks, (_all, open, close) => `${open}${text}${close}`),
    );
    writeFileSync(scoreFile, `${JSON.stringify(score, null, 1)}\n`);
    writeFileSync(picture, scatterOf(unseen));
  } else process.stdout.write(`${text}\n`);
  return true;
}
