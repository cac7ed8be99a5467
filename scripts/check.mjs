// Everything that must hold before a change lands: a line per step, then the counts of the tests as the last line.
// Arguments go to vitest: `npm run check -- src/math` runs the tests of one folder.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { runNode, step, tool } from "./process.mjs";

/** @typedef {{status: string, fullName: string}} TestResult */
/** @typedef {{testResults: {status: string, assertionResults: TestResult[]}[]}} Report */

/** @type {[string, string[]][]} */
const steps = [
  ["Format", [tool("@biomejs/biome", "biome"), "format", "--reporter=summary"]],
  ["Types", [tool("typescript", "tsc"), "-p", "tsconfig.json"]],
  ["Lint", [tool("oxlint")]],
  ["Unused code and packages", [tool("knip")]],
];

/** @param {string[]} filters */
async function runTests(filters) {
  const folder = mkdtempSync(join(tmpdir(), "nsquared-check-"));
  const file = join(folder, "report.json");
  try {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const { ok, output } = await runNode([tool("vitest"), "run", ...reporters, ...filters]);
    return { ok, output, value: readReport(file) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} file @returns {Report} */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { testResults: [{ status: "failed", assertionResults: [] }] };
  }
}

/** @param {Report} report */
function count({ testResults }) {
  const tests = testResults.flatMap((file) => file.assertionResults);
  const passed = tests.filter(({ status }) => status === "passed").length;
  // A file that fails as a whole, at its imports for example, has no failed test of its own.
  const broken = testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && assertionResults.every((result) => result.status !== "failed"),
  ).length;
  const failed = tests.filter(({ status }) => status === "failed").length + broken;
  const skipped = tests.filter(({ status }) => status !== "passed" && status !== "failed");
  for (const { fullName } of skipped) console.log(`skipped: ${fullName}`);
  return { passed, failed, skipped: skipped.length };
}

let ok = true;
for (const [name, args] of steps) ok = (await step(name, () => runNode(args))).ok && ok;
if (await build()) {
  ok = (await step("Package", () => runNode([tool("publint"), "--strict"]))).ok && ok;
  // Everything, not the tests of one folder: predictions must not get worse than the committed score.
  if (process.argv.length === 2)
    ok = (await step("Accuracy", () => runNode(["bench/accuracy.mjs", "--gate"]))).ok && ok;
} else ok = false;
const tests = await step("Tests", () => runTests(process.argv.slice(2)));
const { passed, failed, skipped } = count(tests.value ?? { testResults: [] });
if (!ok || !tests.ok || failed > 0 || passed === 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
