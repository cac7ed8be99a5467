// Coverage of the fit's intervals on data with known laws, as the table of docs/statistics.md.
//
//   npm run simulate -- [--sets 2000] [--write] [--law quadratic] [--workers 1] [--rows rows.jsonl [--cells 4]]
//
// Needs a build (dist). --write puts the table into docs/statistics.md. --rows keeps each cell in a file as soon as it is
// known and takes over those that are there, so that the table may be made in parts, --cells at a time: of one state of the code.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import jStat from "jstat";
import { designs, distancesOf, noises, outlierShares, physicalTruth, simulateCell, truths } from "./simulation.mjs";

/** @typedef {import("./simulation.mjs").Cell} Cell */
/** @typedef {ReturnType<typeof simulateCell>} Counts */
/** @typedef {{name: string, cell: Cell, seed: number, sets: number}} Job */
/** @typedef {{name: string, cell: Cell, distance: ReturnType<typeof distancesOf>, counts: Counts}} Row */

const seed = 20_261_123;
/** Beyond this many standard errors from the best rival a law can be told from it. */
const identifiable = 3;
/** An interval wider than this says too little for its coverage to count. */
const widestCounted = 0.25;

/** The physical law of a model on a device that is known, and on a machine that nobody measured. */
const physicalNames = ["physical, h100", "physical, unknown machine"];

/** @param {string} name @returns {Promise<import("./simulation.mjs").Truth | undefined>} */
async function truthOf(name) {
  if (!physicalNames.includes(name)) return truths[name];
  const [{ loadModel }, { nodeAccess }, { loadDevice }, { predictCurve }, { curveOnUnknown }] = await Promise.all([
    import("../dist/model/load.js"),
    import("../dist/files/node.js"),
    import("../dist/study/devices.js"),
    import("../dist/predict/curve.js"),
    import("../dist/study/unknown-device.js"),
  ]);
  const model = await loadModel("Llama-3.1-8B", nodeAccess());
  if (name === "physical, unknown machine") {
    return physicalTruth(curveOnUnknown(model, { phase: "prefill", batch: 1, attention: "fused" }));
  }
  return physicalTruth(predictCurve(model, await loadDevice("h100", {})));
}

/** The physical law is chosen by who names the model: it has no rivals. */
const unrivalled = {
  laws: Number.POSITIVE_INFINITY,
  answers: Number.POSITIVE_INFINITY,
  apart: Number.POSITIVE_INFINITY,
};

async function work() {
  const [
    { fitLaw },
    { fitPhysical },
    { lawFitters },
    { bendsOf },
    { fitBasis, valueOf },
    { median },
    { seededRandom },
  ] = await Promise.all([
    import("../dist/fit/fit-law.js"),
    import("../dist/fit/physical.js"),
    import("../dist/fit/laws.js"),
    import("../dist/fit/bend.js"),
    import("../dist/fit/basis-fit.js"),
    import("../dist/math/median.js"),
    import("../dist/base/random.js"),
  ]);
  for (const job of /** @type {Job[]} */ (workerData)) {
    const truth = await truthOf(job.name);
    if (truth === undefined) continue;
    const statistics = { fitLaw, fitPhysical, median };
    const counts = simulateCell(truth, job.cell, job.sets, seededRandom(job.seed), statistics);
    const distance =
      truth.curve !== undefined ? unrivalled : distancesOf(truth, job.cell, { lawFitters, bendsOf, fitBasis, valueOf });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origin
    parentPort?.postMessage({ name: job.name, cell: job.cell, distance, counts });
  }
}

/** @param {number | null} share */
function percent(share) {
  return share === null ? "–" : (100 * share).toFixed(1);
}

/** Whether the law can be told from the others at all. @param {Row} row */
const isTold = (row) => row.distance.laws > identifiable;

/** Whether, beyond that, it can be told from every law with another answer. @param {Row} row */
const isAnswered = (row) => isTold(row) && row.distance.answers > identifiable;

/** @param {Row} row */
function isCounted(row) {
  return isTold(row) && row.counts.width <= widestCounted;
}

/** Standard errors of a rule that is fooled in 5 %. */
const fooled = 1.645;

const covers = { least: 0.92, most: 0.98 };
const mostCannotTell = 0.2;
const leastSelected = 0.95;
const mostCalledQuadratic = 0.03;

/**
 * What each cell must keep, and does not: intervals that hold in 92 to 98 % (a parameter that is truly 0 has a one-sided
 * one, which may hold more often), and where the law can be told, the law selected and few "can't tell".
 *
 * @param {Row[]} rows
 */
function criteriaOf(rows) {
  return rows.flatMap((row) => {
    const { name, cell, counts } = row;
    /** @type {string[]} */
    const missed = [];
    const truth = truths[name];
    const zero = { constant: truth?.coefficients?.[0] === 0, linear: truth?.coefficients?.[1] === 0 };
    const quadraticZero = truth?.coefficients?.[2] === 0;
    /** @param {string} what @param {number | null} share @param {boolean} oneSided */
    const cover = (what, share, oneSided) => {
      if (share === null) return;
      if (share < covers.least || (!oneSided && share > covers.most)) missed.push(`${what} ${percent(share)}`);
    };
    cover("constant", counts.constant, zero.constant);
    cover("linear", counts.linear, zero.linear);
    cover("quadratic", counts.quadratic, quadraticZero);
    cover("crossover", counts.crossover, truth?.crossover === 0);
    cover("factors", counts.factors, false);
    if (isCounted(row)) cover("8×", counts.reach, false);
    if (isTold(row) && counts.selected !== null && counts.selected < leastSelected)
      missed.push(`selected ${percent(counts.selected)}`);
    if (isAnswered(row) && counts.cannotTell > mostCannotTell) missed.push(`can't tell ${percent(counts.cannotTell)}`);
    if (name === "linear" && counts.calledQuadratic > mostCalledQuadratic) {
      missed.push(`called quadratic ${percent(counts.calledQuadratic)}`);
    }
    const where = `${name} ${percent(cell.noise)}/${percent(cell.outliers)} ${cell.lengths} × ${cell.repeats}`;
    return missed.length === 0 ? [] : [`${where} (${missed.join(", ")})`];
  });
}

/** @param {number} distance */
function distanceText(distance) {
  if (distance === Number.POSITIVE_INFINITY) return "–";
  return distance < 0.05 ? "nested" : distance.toFixed(1);
}

/** Share in which any rule that is rarely fooled must say that it can't tell. @param {Row} row */
function leastUntold({ distance: { apart } }) {
  return apart === Number.POSITIVE_INFINITY ? "–" : percent(1 - jStat.normal.cdf(apart - fooled, 0, 1));
}

/** @param {Row[]} rows @param {number} sets */
function tableOf(rows, sets) {
  const head = [
    "law",
    "noise",
    "outliers",
    "lengths × repeats",
    "from laws",
    "from answers",
    "selected",
    "constant",
    "linear",
    "quadratic",
    "crossover",
    "unbounded",
    "factors",
    "8×",
    "± width at 8×",
    "can't tell",
    "at least",
  ];
  const lines = rows.map((row) => {
    const { name, cell, distance, counts: c } = row;
    const cells = [
      c.selected,
      c.constant,
      c.linear,
      c.quadratic,
      c.crossover,
      c.unbounded,
      c.factors,
      c.reach,
      c.width,
      c.cannotTell,
    ];
    const design = `${cell.lengths} × ${cell.repeats}`;
    const far = [distance.laws, distance.answers].map(distanceText);
    return [name, percent(cell.noise), percent(cell.outliers), design, ...far, ...cells.map(percent), leastUntold(row)];
  });
  const counted = rows.filter(isCounted);
  const inside = counted.filter((row) => row.counts.reach >= 0.92 && row.counts.reach <= 0.98).length;
  const failures = criteriaOf(rows);
  const line = rows.filter((row) => row.name === "linear").map((row) => row.counts.calledQuadratic);
  const told = rows.filter(isTold);
  const rightly = told.filter((row) => (row.counts.selected ?? 1) >= leastSelected).length;
  const answered = rows.filter(isAnswered);
  const saying = answered.filter((row) => row.counts.cannotTell <= mostCannotTell).length;
  const summary = [
    `${sets} data sets per cell, ${rows.length} cells, seed ${seed}. Everything but the distances is in per cent.`,
    `In ${told.length} cells the law can be told from the others (more than ${identifiable} standard errors from them): ${rightly} select it in 95 % of the data sets and more.`,
    `In ${counted.length} of them the interval at 8× is within ±25 %: ${inside} cover the truth in 92 to 98 %.`,
    `In ${answered.length} it can be told from other answers too: ${saying} say "can't tell" in at most 20 %.`,
    ...(line.length > 0
      ? [`A straight line is called quadratic in ${percent(Math.max(...line))} % of the data sets of its worst cell.`]
      : []),
  ];
  summary.push(
    failures.length === 0
      ? "Every cell keeps every criterion."
      : `${failures.length} cells miss a criterion: ${failures.join("; ")}.`,
  );
  const rule = head.map(() => "---");
  return [...summary, "", ...[head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`)].join("\n");
}

/**
 * Cells of a file that an earlier part of the same table wrote.
 *
 * @param {string | undefined} file @returns {Row[]}
 */
function rowsOf(file) {
  if (file === undefined || !existsSync(file)) return [];
  /** JSON knows no infinity. @param {string} key @param {unknown} value */
  const revive = (key, value) =>
    value === null && ["laws", "answers", "apart"].includes(key) ? Number.POSITIVE_INFINITY : value;
  return readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [/** @type {Row} */ (JSON.parse(line, revive))]));
}

async function main() {
  const { values } = parseArgs({
    options: {
      sets: { type: "string", default: "2000" },
      write: { type: "boolean", default: false },
      law: { type: "string" },
      workers: { type: "string" },
      rows: { type: "string" },
      cells: { type: "string" },
    },
  });
  const sets = Number(values.sets);
  /** @type {Job[]} */
  const jobs = [];
  for (const name of [...Object.keys(truths), ...physicalNames]) {
    for (const design of designs) {
      for (const noise of noises) {
        for (const outliers of outlierShares) {
          const job = { name, cell: { ...design, noise, outliers }, seed: seed + jobs.length, sets };
          jobs.push(job);
        }
      }
    }
  }
  const wanted = jobs.filter((job) => values.law === undefined || job.name === values.law);
  const workers = Number(values.workers ?? availableParallelism());
  const order = new Map(wanted.map((job, position) => [JSON.stringify([job.name, job.cell]), position]));
  /** @param {Row} row */
  const place = (row) => order.get(JSON.stringify([row.name, row.cell]));
  const rows = rowsOf(values.rows).filter((row) => place(row) !== undefined);
  const known = new Set(rows.map(place));
  const missing = wanted.filter((_job, position) => !known.has(position));
  const next = missing.slice(0, Number(values.cells ?? missing.length));
  await Promise.all(
    Array.from({ length: workers }, (_, index) => {
      const mine = next.filter((_job, position) => position % workers === index);
      return new Promise((resolve, reject) => {
        const worker = new Worker(fileURLToPath(import.meta.url), { workerData: mine });
        worker.on("message", (/** @type {Row} */ row) => {
          rows.push(row);
          if (values.rows !== undefined) appendFileSync(values.rows, `${JSON.stringify(row)}\n`);
          process.stderr.write(`\r${rows.length} of ${wanted.length} cells`);
        });
        worker.on("error", reject);
        worker.on("exit", resolve);
      });
    }),
  );
  process.stderr.write("\n");
  if (next.length < missing.length) return;
  rows.sort((left, right) => (place(left) ?? 0) - (place(right) ?? 0));
  const table = tableOf(rows, sets);
  if (!values.write) {
    process.stdout.write(`${table}\n`);
    return;
  }
  const file = new URL("../docs/statistics.md", import.meta.url);
  const marks = /(<!-- simulate -->\n)[\s\S]*(\n<!-- \/simulate -->)/;
  writeFileSync(
    file,
    readFileSync(file, "utf8").replace(marks, (_all, open, close) => `${open}${table}${close}`),
  );
}

await (isMainThread ? main() : work());
