/**
 * How long `nsquared predict` takes as a whole process, from cold, beside a Node process that does nothing: the two in
 * turn, so that both see the same machine.
 *
 *   npm run build && node bench/startup.mjs [--rounds 20]
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "20" } } });
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const commands = {
  "node -e 0": ["-e", "0"],
  "predict Llama-3.1-8B --on h100": [main, "predict", "Llama-3.1-8B", "--on", "h100"],
};
const seconds = new Map(Object.keys(commands).map((name) => [name, []]));
for (let round = -1; round < Number(values.rounds); round += 1) {
  for (const [name, words] of Object.entries(commands)) {
    const start = performance.now();
    const { status } = spawnSync(process.execPath, words, { stdio: "ignore" });
    if (status !== 0) throw new Error(`${name}: exit code ${status}`);
    // The first round fills the disk cache.
    if (round >= 0) seconds.get(name).push((performance.now() - start) / 1000);
  }
}
for (const [name, times] of seconds) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share) => (sorted[Math.floor(share * (sorted.length - 1))] * 1e3).toFixed(0).padStart(5);
  console.log(`${name.padEnd(34)} median ${at(0.5)} ms, fastest ${at(0)} ms, slowest ${at(1)} ms`);
}
