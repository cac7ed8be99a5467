/**
 * Which models run, and why others do not: every config in a folder, with few layers and a short vocabulary, is opened in
 * ONNX Runtime and does a prefill and, where it generates, a decode step.
 *
 *   npm run build && node bench/runnable.mjs test/data/models/configs [--layers 4] [--hidden 256] [--only encoder] [--most 4GiB]
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { NsquaredError } from "../dist/base/errors.js";
import { systemClock } from "../dist/measure/clock.js";
import { decodes, openOnnxNodeRunner } from "../dist/measure/onnx-node.js";
import { parseJsonObject } from "../dist/model/hf/json.js";
import { readConfig } from "../dist/model/hf/read-config.js";
import { lowerGraph } from "../dist/onnx/lower.js";
import { openingBytes } from "../dist/onnx/memory.js";
import { runnableGraph } from "../dist/onnx/runnable.js";
import { scaled } from "../dist/variants/scale.js";

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: "string", default: "4" },
    vocabulary: { type: "string", default: "1000" },
    /** As published where it is left out. */
    hidden: { type: "string" },
    /** Only models with a stack of this kind that text passes. */
    only: { type: "string" },
    /** Opening that would take more GiB than this is left out. */
    most: { type: "string", default: "4" },
  },
});
const longest = 33;
const most = Number(options.most) * 2 ** 30;
const world = { clock: systemClock, signal: new AbortController().signal };

/** What became of a model: `runs`, or a reason. */
async function outcomeOf(model) {
  const { parameterBytes } = lowerGraph(runnableGraph(model, "fused"), { positions: longest + 1 });
  if (openingBytes({ parameterBytes }) > most) return "lowered; too large here even with these layers";
  const runner = await openOnnxNodeRunner(model, {
    attention: "fused",
    threads: null,
    seed: 1,
    maxLength: longest + 1,
    availableBytes: () => Number.POSITIVE_INFINITY,
  });
  try {
    const cells = [
      { phase: "prefill", n: longest, depth: 0, batch: 1 },
      ...(decodes(model) ? [{ phase: "decode", n: 1, depth: longest, batch: 1 }] : []),
    ];
    for (const cell of cells) {
      const outcome = await runner.run(cell, world);
      if (outcome.status !== "ok") return `${cell.phase}: ${outcome.reason}`;
    }
    return "runs";
  } finally {
    await runner.close();
  }
}

const [folder = "test/data/models/configs"] = positionals;
const counts = new Map();
for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
  const name = file.replace(/\.json$/, "");
  let outcome;
  try {
    const model = readConfig(parseJsonObject(readFileSync(join(folder, file), "utf8"), file), name, name);
    const kinds = model.stacks.filter(({ length }) => length?.kind !== "absent").map(({ kind }) => kind);
    if (options.only !== undefined && !kinds.includes(options.only)) continue;
    outcome = await outcomeOf(
      scaled(model, {
        layers: Number(options.layers),
        vocabulary: Number(options.vocabulary),
        ...(options.hidden === undefined ? {} : { hidden: Number(options.hidden) }),
      }),
    );
  } catch (error) {
    outcome =
      error instanceof NsquaredError
        ? error.message.split(/\n|, nor its keys/)[0]
        : `FAILED: ${String(error).split("\n")[0]}`;
  }
  const kind = outcome === "runs" ? "runs" : outcome.startsWith("lowered") ? "lowered" : "does not run";
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
  if (outcome !== "runs") console.log(`${name}: ${outcome}`);
}
console.log([...counts].map(([kind, count]) => `${count} ${kind}`).join(", "));
