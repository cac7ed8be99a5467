// What a model's own operators add on a machine that nobody has measured: of the published sweeps in bench/data whose model
// is built in, the longest third is hidden and foretold from the rest, by the physical law with a free scale and by the
// samples alone; and how the cost of attention, or of a cached byte, that each whole sweep says lies about its prior.
//
//   npm run build && node bench/unknown-device.mjs [--each]
import { parseArgs } from "node:util";
import { fitLaw, fitPhysical } from "../dist/fit/index.js";
import { builtInModel } from "../dist/model/builtin/models.js";
import { curveOnUnknown } from "../dist/study/unknown-device.js";
import { hideLongest, readSweeps } from "./accuracy-data.mjs";
import { quantile } from "./robust-fit.mjs";

const { values: options } = parseArgs({ options: { each: { type: "boolean", default: false } } });

/** Names of the sources, and the built-in model that has those shapes. @type {[RegExp, string][]} */
const names = [
  [/gpt-oss.20b/i, "gpt-oss-20b"],
  [/phi-4-mini/i, "Phi-4-mini"],
  [/Qwen3-0\.6B/, "Qwen3-0.6B"],
  [/Llama-3(\.1)?-8B|^llama 8B/, "Llama-3.1-8B"],
  [/llama 70B|Llama-3\.3-70B/, "Llama-3.1-70B"],
  [/Qwen3-30B-A3B|qwen3moe 30B/, "Qwen3-30B-A3B"],
  [/DeepSeek-V2-Lite|deepseek2 30B/, "DeepSeek-V2-Lite"],
  [/qwen2 7B/, "Qwen2.5-7B"],
  [/DeepSeek-(R1|V3)/, "DeepSeek-V3"],
];

const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(1)} %`;

for (const [kind, phase, grows] of /** @type {const} */ ([
  ["prefill over length", "prefill", "attention"],
  ["decode over context", "decode", "cache"],
])) {
  /** @type {{physical: number[], blind: number[], covered: boolean[], logs: number[]}} */
  const all = { physical: [], blind: [], covered: [], logs: [] };
  for (const sweep of readSweeps().filter((one) => one.kind === kind)) {
    const name = names.find(([pattern]) => pattern.test(sweep.about.model ?? ""))?.[1];
    if (name === undefined) continue;
    const attention = /no-fa|fa=off/.test(sweep.about.engine ?? "") ? "naive" : "fused";
    const curve = curveOnUnknown(builtInModel(name), { phase, batch: 1, attention });
    const { kept, hidden } = hideLongest(sweep);
    const physical = fitPhysical(curve, kept);
    const blind = fitLaw(kept, { axis: phase === "decode" ? "depth" : "length" });
    const factor = fitPhysical(curve, sweep.points).law.efficiencies.find((one) => one.name === grows)?.value ?? 1;
    all.logs.push(Math.log(factor));
    for (const { n, seconds } of hidden) {
      const said = physical.predict(n);
      all.physical.push(Math.abs(said.seconds / seconds - 1));
      all.blind.push(Math.abs(blind.predict(n).seconds / seconds - 1));
      all.covered.push(said.sample.low <= seconds && seconds <= said.sample.high);
      if (options.each)
        console.log(name, sweep.about.hardware, n, percent(said.seconds / seconds - 1), factor.toFixed(2));
    }
  }
  const mean = all.logs.reduce((sum, log) => sum + log, 0) / all.logs.length;
  const spread = Math.sqrt(all.logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / all.logs.length);
  const errors = (/** @type {number[]} */ of) =>
    `${percent(quantile(of, 0.5))} (90th percentile ${percent(quantile(of, 0.9))})`;
  console.log(
    `${kind}: ${all.logs.length} sweeps, ${all.physical.length} hidden lengths: off by ${errors(all.physical)}, the samples alone by ${errors(all.blind)};`,
    `95 % intervals hold ${percent(all.covered.filter(Boolean).length / all.covered.length)};`,
    `the cost of ${grows} over its prior: ${Math.exp(mean).toFixed(2)}, spread of the logarithm ${spread.toFixed(2)}`,
  );
}
