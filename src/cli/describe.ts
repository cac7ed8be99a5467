import { bytes, parameterCount, tokens } from "../base/format.js";
import { loadModel } from "../model/load.js";
import { nodeAccess } from "../files/node.js";
import { describeModel } from "../study/describe.js";
import type { DescribeDocument } from "../study/documents/describe.js";
import { type SetUp, emit } from "./io.js";
import { modelArgument } from "./words.js";

export const setUpDescribe: SetUp = (command, io) => {
  command
    .description("Reads a model's own files and says what it is: parameters, layers, KV cache per token.")
    .argument("<model>", modelArgument)
    .addHelpText(
      "after",
      `
Examples:
  nsquared describe SmolLM2-135M
  nsquared describe ./my-model/config.json --json
  nsquared describe meta-llama/Llama-3.2-1B`,
    )
    .action(async (location: string, options: { json?: boolean }) => {
      const document = describeModel(await loadModel(location, nodeAccess()));
      emit(io, options.json, document, () => describeText(document));
    });
};

function describeText(document: DescribeDocument): string {
  const { parameters, cache, dtypes } = document;
  const rows: [string, string][] = [
    [
      "parameters",
      `${parameters.total.toLocaleString("en-US")} (${parameterCount(parameters.total)}), of them ${parameterCount(parameters.embedding)} in embeddings`,
    ],
  ];
  if (parameters.active !== parameters.total) rows.push(["active per token", parameterCount(parameters.active)]);
  rows.push(
    ["weights", `${bytes(document.weightBytes)} in ${dtypes.weights}`],
    ["hidden size", String(document.hiddenSize)],
    ["vocabulary", document.vocabularySize.toLocaleString("en-US")],
    ["context", document.contextLength === null ? "not stated" : `${tokens(document.contextLength)} tokens`],
    ["KV cache", `${bytes(cache.bytesPerToken)} per token in ${dtypes.kv}: ${cache.expression} bytes`],
    ...document.layerKinds.map((kind, index): [string, string] => [
      index === 0 ? "layers" : "",
      `${kind.count} × ${kind.description}`,
    ]),
    ...document.filled.map((fill, index): [string, string] => [
      index === 0 ? "not in the file" : "",
      `${fill.key} = ${JSON.stringify(fill.value)} (${fill.from})`,
    ]),
    ...document.notes.map((note, index): [string, string] => [index === 0 ? "note" : "", note]),
  );
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `${document.name} (${document.modelType}, ${document.source})`,
    ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`),
  ].join("\n");
}
