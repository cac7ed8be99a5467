import { badInput } from "../base/errors.js";
import { percent } from "../base/format.js";
import { nodeAccess } from "../files/node.js";
import { loadModel } from "../model/load.js";
import { type ColumnChoice, readSamples } from "../runs/import/index.js";
import { loadDevice } from "../study/devices.js";
import type { ExplainDocument } from "../study/documents/explain.js";
import { againstText, explainDocumentOf, explainedSet, samplesOfSet } from "../study/explain.js";
import { modelAsRun } from "../study/run-model.js";
import { columnsOption } from "./fit-options.js";
import { type SetUp, emit } from "./io.js";
import { modelArgument } from "./words.js";

interface Options {
  readonly model?: string;
  readonly on?: string;
  readonly beside?: string;
  readonly columns?: ColumnChoice;
  readonly json?: boolean;
}

export const setUpExplain: SetUp = (command, io) => {
  command
    .description(
      "What ails the prefills of a run: cached prefixes, a plateau, padding to buckets, time outside of the model, unfused " +
        "attention, chunks gathered anew, memory pressure, throttling, queueing, a window that saves nothing; each with its " +
        "evidence and what to try. With --model the samples are held against the model's own mix of work, with --on too against " +
        "what it takes on that device, with --beside against another run of the same server whose prompts were fresh; else they speak alone.",
    )
    .argument("<run>", "a run file of nsquared measure, or samples of another tool")
    .option("--model <model>", `the model that was measured: ${modelArgument}`)
    .option("--on <device>", "the device it ran on: of the catalog, a file, `local` or `local-llama`")
    .option("--beside <run>", "a run of the same model on the same server, known to have computed its prompts")
    .addOption(columnsOption())
    .addHelpText(
      "after",
      `
Examples:
  nsquared explain runs/my-model-20261123-120000.json
  nsquared explain run.json --model Llama-3.1-8B
  nsquared explain run.json --model Llama-3.1-8B --on h100
  nsquared explain benchmark.csv --beside runs/my-model-20261123-120000.json
  nsquared explain latencies.csv --columns length=prompt,time=latency:ms --json`,
    )
    .action(async (path: string, options: Options) => {
      if (options.model === undefined && options.on !== undefined) {
        const expected = "the model whose operators are to be held against the times on that device";
        throw badInput("option-alone", { where: path, key: "--model", expected });
      }
      if (options.beside !== undefined && options.model !== undefined) {
        const expected = "what a server took before, or the physics of a model: leave one out";
        throw badInput("option-alone", { where: path, key: "--beside", found: "--model as well", expected });
      }
      const columns = options.columns === undefined ? {} : { columns: options.columns };
      const set = await readSamples([path], columns);
      const beside = options.beside === undefined ? null : await readSamples([options.beside]);
      const named = options.model === undefined ? null : await loadModel(options.model, nodeAccess());
      const model =
        named === null || set.run === null ? named : modelAsRun(named, set.run, options.model ?? named.name);
      const device = options.on === undefined ? null : await loadDevice(options.on, io.environment);
      const document = explainDocumentOf({
        ...explainedSet(set, path, model, device),
        beside: beside === null ? null : { path: options.beside ?? "", samples: samplesOfSet(beside) },
      });
      emit(io, options.json, document, () => explainText(document));
    });
};

function explainText(document: ExplainDocument): string {
  const { model, samples, lengths, noise, findings, looksLikePhysics, warnings } = document;
  return [
    `${model}: ${samples} prefills of ${lengths} lengths, scatter ${percent(noise)}, held against ${againstText(document)}`,
    "",
    ...(findings.length === 0
      ? [
          looksLikePhysics
            ? "looks like physics: a constant, a part that grows with the length and one that grows with its square"
            : "nothing to see, in too few lengths to say that it looks like physics",
        ]
      : findings.flatMap(({ cause, alike, evidence, advice, options }) => [
          `${[cause, ...alike].join(" or ")}: ${evidence}`,
          `  try: ${advice}`,
          ...options.map(({ engine, option }) => `    ${engine}: ${option}`),
        ])),
    ...(warnings.length === 0 ? [] : ["", ...warnings.map(({ message }) => `warning: ${message}`)]),
  ].join("\n");
}
