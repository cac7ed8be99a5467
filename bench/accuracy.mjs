// How well the fit extrapolates real latencies: of every sweep the longest third is hidden and predicted from the rest. And
// how far predicted seconds lie from published ones: predict-accuracy.mjs.
//
//   npm run accuracy -- [--data folder] [--thin] [--write] [--gate]
//
// Needs a build (dist). Reads the thinned copies in bench/data, or with --data a folder with gemm_kernel.csv,
// attention_kernel.csv, e2e_prefill.csv and e2e_decode.csv; --thin makes the copy of the sweeps. --write puts the tables into
// docs/accuracy.md and the score into bench/data/score.json; --gate scores predictions alone and fails when they got worse.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Matrix, solve } from "ml-matrix";
import { fitLaw, lawKinds } from "../dist/fit/index.js";
import { hideLongest, readSweeps, sweepsOf, writeSweeps } from "./accuracy-data.mjs";
import { predictionAccuracy } from "./predict-accuracy.mjs";
import { quantile } from "./robust-fit.mjs";

/** @typedef {import("./accuracy-data.mjs").Sweep} Sweep */
/** @typedef {{n: number, seconds: number}} Point */
/**
 * What one law said of the hidden lengths of one sweep. Covered and canTell are null where it gives no interval.
 * @typedef {{error: number, covered: boolean | null, canTell: boolean | null, width: number | null}} Guess
 */

/** Ordinary least squares, as anybody would: no weights, any sign. @param {Point[]} points @param {number} degree */
function plain(points, degree) {
  const scale = Math.max(...points.map(({ n }) => n));
  const powers = (/** @type {number} */ n) => Array.from({ length: degree + 1 }, (_, i) => (n / scale) ** i);
  const beta = solve(
    new Matrix(points.map(({ n }) => powers(n))),
    Matrix.columnVector(points.map(({ seconds }) => seconds)),
  ).to1DArray();
  return (/** @type {number} */ n) => powers(n).reduce((sum, value, i) => sum + value * (beta[i] ?? 0), 0);
}

/** @param {Sweep} sweep @param {import("../dist/fit/index.js").FitOptions} options @returns {Guess[] | null} */
function fitted(sweep, options) {
  const { kept, hidden } = hideLongest(sweep);
  const length = new Set(kept.map(({ n }) => n)).size;
  try {
    const law = fitLaw(kept, { ...options, axis: sweep.kind === "prefill over length" ? "length" : "depth" });
    return hidden.map(({ n, seconds }) => {
      const { sample, seconds: said, canTell } = law.predict(n);
      return {
        error: Math.abs(said / seconds - 1),
        covered: sample.low <= seconds && seconds <= sample.high,
        canTell,
        width: Math.sqrt(sample.high / sample.low) - 1,
      };
    });
  } catch (error) {
    // A law whose shape is searched for needs more lengths than this sweep has.
    if (error instanceof Error && "code" in error && error.code === "too-few-lengths" && length < 6) return null;
    throw error;
  }
}

/** @param {Sweep} sweep @param {number} degree @returns {Guess[]} */
function ordinary(sweep, degree) {
  const { kept, hidden } = hideLongest(sweep);
  const law = plain(kept, degree);
  return hidden.map(({ n, seconds }) => ({
    error: Math.abs(law(n) / seconds - 1),
    covered: null,
    canTell: null,
    width: null,
  }));
}

const percent = (/** @type {number} */ value) => (Number.isNaN(value) ? "–" : (100 * value).toFixed(1));
/** Every sweep counts alike, however many lengths it has. @param {Guess[][]} all @param {(guess: Guess) => boolean} test */
function shareOf(all, test) {
  const shares = all.map((guesses) => guesses.filter(test).length / guesses.length);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** @param {string} name @param {(Guess[] | null)[]} answers */
function rowOf(name, answers) {
  const all = answers.filter((guesses) => guesses !== null);
  if (all.length === 0) return null;
  const middle = all.map((guesses) =>
    quantile(
      guesses.map(({ error }) => error),
      0.5,
    ),
  );
  const longest = all.map((guesses) => guesses.at(-1)?.error ?? Number.NaN);
  const stated = all.every((guesses) => guesses.every(({ covered }) => covered !== null));
  const cells = [
    name,
    String(all.length),
    percent(quantile(middle, 0.5)),
    percent(quantile(middle, 0.9)),
    percent(quantile(longest, 0.5)),
    percent(quantile(longest, 0.9)),
    ...(stated
      ? [
          percent(shareOf(all, ({ covered }) => covered === true)),
          percent(
            quantile(
              all.flatMap((guesses) => guesses.map(({ width }) => width ?? Number.NaN)),
              0.5,
            ),
          ),
          percent(shareOf(all, ({ canTell }) => canTell === false)),
        ]
      : ["–", "–", "–"]),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** @param {Sweep[]} sweeps */
function report(sweeps) {
  const kinds = [...new Set(sweeps.map(({ kind }) => kind))];
  return kinds
    .map((kind) => {
      const own = sweeps.filter((sweep) => sweep.kind === kind);
      const hidden = own.reduce((sum, sweep) => sum + hideLongest(sweep).hidden.length, 0);
      const rows = [
        rowOf(
          "**selected**",
          own.map((sweep) => fitted(sweep, {})),
        ),
        rowOf(
          "plain line",
          own.map((sweep) => ordinary(sweep, 1)),
        ),
        rowOf(
          "plain quadratic",
          own.map((sweep) => ordinary(sweep, 2)),
        ),
        ...lawKinds.map((law) =>
          rowOf(
            law,
            own.map((sweep) => fitted(sweep, { laws: [law] })),
          ),
        ),
      ].filter((row) => row !== null);
      return [
        `## ${kind[0]?.toUpperCase()}${kind.slice(1)}`,
        "",
        `${own.length} sweeps, ${hidden} hidden values.`,
        "",
        "| law | sweeps | median | p90 | median at the longest | p90 at the longest | coverage | ± width | can't tell |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ...rows,
      ].join("\n");
    })
    .join("\n\n");
}

/** @param {{data?: string | undefined, thin: boolean, write: boolean}} options */
function extrapolation({ data, thin, write }) {
  const sweeps = data === undefined ? readSweeps() : sweepsOf(data);
  if (thin && data !== undefined) writeSweeps(sweeps);
  const text = report(sweeps);
  if (write) {
    const file = new URL("../docs/accuracy.md", import.meta.url);
    const marks = /(<!-- accuracy -->\n)[\s\S]*(\n<!-- \/accuracy -->)/;
    writeFileSync(
      file,
      readFileSync(file, "utf8").replace(marks, (_all, open, close) => `${open}${text}${close}`),
    );
  } else process.stdout.write(`${text}\n`);
}

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    thin: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    gate: { type: "boolean", default: false },
  },
});
if (!values.gate) extrapolation(values);
if (!predictionAccuracy(values)) process.exitCode = 1;
