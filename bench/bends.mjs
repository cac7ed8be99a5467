/**
 * How often an extrapolation of a curve that follows no law is wrong and sure of itself: prefill of SmolLM2-135M (float32,
 * onnxruntime-node, two cores), whose local exponent climbs from 0.94 to 1.59 between 128 and 8192 tokens. Data sets are drawn
 * from a smooth curve through its seven times, up to 1024 or 2048 tokens, and extrapolated to 8192. Seeded.
 *
 *   npm run build && node bench/bends.mjs [--sets 200]
 */
import { parseArgs } from "node:util";
import { normalDeviate, seededRandom } from "../dist/base/random.js";
import { fitLaw } from "../dist/fit/index.js";
import { designs, noises } from "./simulation.mjs";

const { values: options } = parseArgs({ options: { sets: { type: "string", default: "200" } } });
const sets = Number(options.sets);
const target = 8192;
/** Milliseconds from 128 tokens on, doubling. */
const times = [83.5, 160.2, 351.3, 806.3, 1988.4, 4978.6, 15_038.9];
const logs = times.map((time) => Math.log(time / 1000));

/** Log seconds between the measured lengths by a cubic with the neighbours' slopes. @param {number} n */
function secondsAt(n) {
  const place = Math.min(Math.max(Math.log2(n / 128), 0), logs.length - 1);
  const left = Math.min(Math.floor(place), logs.length - 2);
  const t = place - left;
  const value = (/** @type {number} */ i) => logs[Math.min(Math.max(i, 0), logs.length - 1)] ?? 0;
  const slope = (/** @type {number} */ i) =>
    (value(i + 1) - value(i - 1)) / (Math.min(i + 1, logs.length - 1) - Math.max(i - 1, 0));
  const [from, to] = [value(left), value(left + 1)];
  const cubic =
    from +
    t * slope(left) +
    t ** 2 * (3 * (to - from) - 2 * slope(left) - slope(left + 1)) +
    t ** 3 * (2 * (from - to) + slope(left) + slope(left + 1));
  return Math.exp(cubic);
}

const truth = secondsAt(target);
const percent = (/** @type {number} */ count) => ((100 * count) / sets).toFixed(1);
const rows = [1024, 2048].flatMap((longest) =>
  designs.flatMap(({ lengths, repeats }) =>
    noises.map((noise) => {
      const random = seededRandom(77);
      const measured = Array.from({ length: lengths }, (_, i) =>
        Math.round(128 * (longest / 128) ** (i / (lengths - 1))),
      );
      const counts = { quadratic: 0, missed: 0, wrong: 0, regimes: 0, regimesWrong: 0 };
      for (let set = 0; set < sets; set += 1) {
        const points = Array.from({ length: repeats }, (_, block) =>
          measured.map((n) => ({ n, block, seconds: secondsAt(n) * Math.exp(noise * normalDeviate(random)) })),
        ).flat();
        const fit = fitLaw(points);
        const { low, high, canTell } = fit.predict(target);
        const missed = truth < low || truth > high;
        if (fit.law.kind === "two-regimes") {
          counts.regimes += 1;
          if (missed && canTell) counts.regimesWrong += 1;
          continue;
        }
        if (fit.law.kind === "quadratic") counts.quadratic += 1;
        if (missed) counts.missed += 1;
        if (missed && canTell) counts.wrong += 1;
      }
      const { quadratic, missed, wrong, regimes, regimesWrong } = counts;
      const cells = [quadratic, missed, wrong, regimes, regimesWrong].map(percent);
      return `| ${[longest, `${lengths} × ${repeats}`, (100 * noise).toFixed(0), ...cells].join(" | ")} |`;
    }),
  ),
);
const head = [
  "up to",
  "lengths × repeats",
  "noise",
  "quadratic",
  "8192 missed",
  "missed and sure",
  "two regimes",
  "those missed and sure",
];
process.stdout.write([`| ${head.join(" | ")} |`, `| ${head.map(() => "---").join(" | ")} |`, ...rows, ""].join("\n"));
