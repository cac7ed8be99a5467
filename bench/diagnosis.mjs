/**
 * How often `explain` finds what ails a server, and how often it sees what is not there: simulated runs of the demo
 * server's laws, fresh seeds, two strengths of each disease. Prints the table of docs/diagnosis.md.
 *
 *   npm run diagnosis [-- --runs 400 --seed 1000 --disease outside-time=0.000004]
 *
 * A disease with a strength of one's own stands instead of the table.
 */
import { parseArgs } from "node:util";
import { ailments } from "../dist/base/ailments.js";
import { normalDeviate, seededRandom, shuffled } from "../dist/base/random.js";
import { diagnose, physicsOfSamples } from "../dist/compare/diagnose.js";
import { demoTimes, healthyLaw } from "../dist/demo/law.js";
import { effects, healthyRun, meaning, simulatedRun } from "./diagnosis-plan.mjs";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "400" },
    seed: { type: "string", default: "1000" },
    disease: { type: "string", multiple: true, default: [] },
  },
});
const runs = Number(values.runs);
const tools = { demoTimes, healthyLaw, seededRandom, normalDeviate, shuffled };
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** @type {[string, readonly number[]][]} */
const asked = values.disease.map((text) => {
  const [name = "", strength = ""] = text.split("=");
  return [name, [Number(strength)]];
});
/** What the client does and the server says beside its times, of diseases where that matters. */
const circumstances = {
  healthy: [
    ["", {}],
    [", of another tool", { fresh: false }],
  ],
  unfused: [
    ["", {}],
    [", of another tool", { fresh: false }],
  ],
  "prefix-cache": [
    ["", {}],
    [", reported", { reports: true }],
    [", prompts sent again", { samePrompts: true }],
  ],
};
const longPlateau = 3;
const rows =
  asked.length > 0
    ? asked
    : Object.entries({ healthy: [0], ...effects, "fixed-overhead": [...effects["fixed-overhead"], longPlateau] });

/** Seeds of runs beside are none of the runs'. */
const otherSeeds = 500_000_000;
let seed = Number(values.seed);
function tally(disease, strength, knows, circumstance) {
  const found = new Map(ailments.map((cause) => [cause, 0]));
  let none = 0;
  let others = 0;
  for (let run = 0; run < runs; run += 1) {
    seed += 1;
    const {
      samples,
      physics: known,
      contextLimit,
      fresh,
      window,
    } = simulatedRun(tools, disease, strength, seed, {
      ...circumstance,
      knows: knows === "model" ? "model" : "device",
    });
    const beside = () => physicsOfSamples(healthyRun(tools, seed + otherSeeds, window));
    const physics = knows === null ? null : knows === "run" ? beside() : known;
    const { findings } = diagnose(samples, { physics, contextLimit, fresh });
    // A finding that leaves two causes open is of the disease where one of them is it.
    const named = findings.map(({ cause, alike }) => (alike.includes(disease) ? disease : cause));
    for (const cause of named) found.set(cause, found.get(cause) + 1);
    if (named.length === 0) none += 1;
    if (named.some((cause) => cause !== disease)) others += 1;
  }
  return { found, none, others };
}

const headings = [
  ["device", "With `--model` and `--on`"],
  ["model", "With `--model` alone"],
  ["run", "With `--beside`, a run of fresh prompts on the same server"],
  [null, "From the samples alone"],
];
for (const [knows, heading] of headings) {
  console.log(`\n${heading}, ${runs} runs per row:\n`);
  console.log("| disease | strength | what it does to the time | found | something else too | what else |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  for (const [disease, strengths] of rows) {
    for (const strength of strengths) {
      for (const [name, circumstance] of circumstances[disease] ?? [["", {}]]) {
        const healthy = disease === "healthy";
        const { found, none, others } = tally(healthy ? null : disease, strength, knows, circumstance);
        const also = [...found].filter(([cause, count]) => cause !== disease && count > 0);
        const share = percent((healthy ? none : found.get(disease)) / runs);
        const what = also.map(([cause, count]) => `${cause} ${percent(count / runs)}`).join(", ");
        const does = healthy ? "–" : meaning(tools, disease, strength);
        const cells = [`${disease}${name}`, healthy ? "–" : strength, does, share, percent(others / runs), what];
        console.log(`| ${cells.join(" | ")} |`);
      }
    }
  }
}
