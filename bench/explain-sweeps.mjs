/**
 * What `explain` says of the published sweeps in bench/data: measured by others, of servers that nobody called ill. One line
 * per sweep with a finding; most should have none.
 *
 *   npm run build && node bench/explain-sweeps.mjs [--all] [--model]
 *
 * With `--model` those whose model's config is among the tests' data are held against the model alone, too.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { diagnose } from "../dist/compare/diagnose.js";
import { nodeAccess } from "../dist/files/node.js";
import { loadModel } from "../dist/model/load.js";
import { physicsOfModel } from "../dist/study/explain.js";

const { values } = parseArgs({
  options: { all: { type: "boolean", default: false }, model: { type: "boolean", default: false } },
});

/** Configs of models as the sweeps name them; a Llama 2 of 70B has the layers of a Llama 3. */
const configs = [
  [/gpt-oss-20b/, "openai__gpt-oss-20b.json"],
  [/Phi-4-mini/, "microsoft__Phi-4-mini-instruct.json"],
  [/Qwen3-0.6B/, "Qwen__Qwen3-0.6B.json"],
  [/llama.*70B/i, "meta-llama__Meta-Llama-3-70B-Instruct.json"],
  [/llama 8B/, "meta-llama__Meta-Llama-3.1-8B.json"],
];

/** @param {string} name */
async function physicsOf(name) {
  const [, file] = configs.find(([pattern]) => /** @type {RegExp} */ (pattern).test(name)) ?? [];
  if (!values.model || file === undefined) return null;
  const place = fileURLToPath(new URL(`../test/data/models/configs/${file}`, import.meta.url));
  return physicsOfModel(null, await loadModel(place, nodeAccess()));
}

/** Rows of a file without a comma in quotes before the columns that are read. @param {string} name */
function rows(name) {
  const text = readFileSync(new URL(`data/${name}`, import.meta.url), "utf8");
  return text
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.match(/("([^"]|"")*"|[^,]*)(,|$)/g)?.map((cell) => cell.replace(/,$/, "")) ?? []);
}

/** @type {Map<string, import("../dist/compare/diagnosed-sample.js").DiagnosedSample[]>} */
const samples = new Map();
for (const [id = "", n, seconds] of rows("points.csv")) {
  const sample = { n: Number(n), seconds: Number(seconds), serverSeconds: null, cachedTokens: null, at: null };
  samples.set(id, [...(samples.get(id) ?? []), sample]);
}

const counts = { sweeps: 0, ill: 0, informed: 0 };
for (const [id = "", kind = "", source, model, hardware, , , engine] of rows("sweeps.csv")) {
  const points = samples.get(id) ?? [];
  if (kind !== "prefill over length" || new Set(points.map(({ n }) => n)).size < 5) continue;
  counts.sweeps += 1;
  const physics = await physicsOf(model ?? "");
  if (physics !== null) counts.informed += 1;
  const { findings } = diagnose(points, { physics, contextLimit: null });
  if (findings.length > 0) counts.ill += 1;
  if (findings.length === 0 && !values.all) continue;
  const lengths = points.map(({ n }) => n);
  const range = `${points.length} samples, ${Math.min(...lengths)} to ${Math.max(...lengths)}`;
  const beside = physics === null ? "" : ", beside its model";
  console.log(`${id}: ${source}, ${model} on ${hardware}, ${engine} (${range}${beside})`);
  for (const { cause, evidence } of findings) console.log(`  ${cause}: ${evidence}`);
}
console.log(
  `${counts.ill} of ${counts.sweeps} sweeps of five and more lengths have a finding; ${counts.informed} were held against a model`,
);
