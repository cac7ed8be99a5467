import { Option } from "commander";
import { bytes, parameterCount, tokens } from "../base/format.js";
import type { Dtype } from "../base/units.js";
import { loadModel } from "../model/load.js";
import { nodeAccess } from "../files/node.js";
import { type DescribeOptions, describeModel } from "../study/describe.js";
import type { DescribeDocument } from "../study/documents/describe.js";
import { type SetUp, emit } from "./io.js";
import { cacheDtypeOption, dtypeOption, partialOption } from "./options.js";
import { modelArgument } from "./words.js";

interface Options extends Omit<DescribeOptions, "cacheDtype"> {
  readonly kvDtype?: Dtype;
  readonly allowPartial?: boolean;
  readonly json?: boolean;
}

export const setUpDescribe: SetUp = (command, io) => {
  command
    .description("Reads a model's own files and says what it is: parameters, layers, KV cache per token.")
    .argument("<model>", modelArgument)
    .addOption(dtypeOption())
    .addOption(cacheDtypeOption())
    .addOption(
      new Option(
        "--preset <name>",
        "count parameters as another tool does: transformers leaves out what a checkpoint holds and nothing runs",
      ).choices(["transformers"]),
    )
    .addOption(partialOption())
    .addHelpText(
      "after",
      `
Examples:
  nsquared describe SmolLM2-135M
  nsquared describe ./my-model/config.json --json
  nsquared describe ./my-model/config.json --dtype Q8_0 --kv-dtype fp8
  nsquared describe meta-llama/Llama-3.2-1B`,
    )
    .action(async (location: string, options: Options) => {
      const { json, kvDtype, allowPartial = false, ...rest } = options;
      const model = await loadModel(location, nodeAccess(), { allowPartial });
      const document = describeModel(model, { ...rest, ...(kvDtype === undefined ? {} : { cacheDtype: kvDtype }) });
      emit(io, json, document, () => describeText(document));
    });
};

function describeText(document: DescribeDocument): string {
  const { parameters, unrun, cache, state, dtypes, quantised } = document;
  const rows: [string, string][] = [
    [
      "parameters",
      `${parameters.total.toLocaleString("en-US")} (${parameterCount(parameters.total)}), of them ${parameterCount(parameters.embedding)} in embeddings`,
    ],
  ];
  if (parameters.active !== parameters.total) rows.push(["active per token", parameterCount(parameters.active)]);
  if (unrun.prediction + unrun.buffers > 0) rows.push(["not run", unrunText(unrun)]);
  rows.push(
    [
      "weights",
      quantised === undefined
        ? `${bytes(document.weightBytes)} in ${dtypes.weights}`
        : `${bytes(quantised.bytes)} in ${quantised.type}, ${quantised.bitsPerWeight.toFixed(4)} bits each`,
    ],
    ...(quantised?.formats ?? []).map((format): [string, string] => [
      "",
      `${parameterCount(format.parameters)} in ${format.name}, ${((8 * format.bytes) / format.parameters).toFixed(4)} bits each`,
    ]),
    ["hidden size", String(document.hiddenSize)],
    ["vocabulary", document.vocabularySize.toLocaleString("en-US")],
    ["context", document.contextLength === null ? "not stated" : `${tokens(document.contextLength)} tokens`],
    ["KV cache", cacheText(cache)],
    ...cache.keysAndValues.pieces
      .slice(1)
      .map((piece): [string, string] => ["", `from ${tokens(piece.from)} tokens on: ${piece.expression} bytes`]),
    ...(cache.encoderBytesPerToken === 0
      ? []
      : [["", `and ${bytes(cache.encoderBytesPerToken)} per token of the encoder`] satisfies [string, string]]),
    ...(state.bytes === 0
      ? []
      : [["state", `${bytes(state.bytes)} in ${state.dtypes.join(", ")}, at every length`] satisfies [string, string]]),
    ...layerRows(document),
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

/** Which stack layers belong to is said where there are several kinds. */
function layerRows({ layerKinds }: DescribeDocument): [string, string][] {
  const kinds = new Set(layerKinds.map(({ stack }) => stack));
  return layerKinds.map(({ count, stack, description }, index) => [
    index === 0 ? "layers" : "",
    `${count} × ${description}${kinds.size === 1 ? "" : ` (${stackNames[stack]})`}`,
  ]);
}

const stackNames = { decoder: "decoder", encoder: "encoder", vision: "vision tower", audio: "audio tower" } as const;

function cacheText(cache: DescribeDocument["cache"]): string {
  const { keysAndValues } = cache;
  if (keysAndValues.expression === "0") return "none";
  return `${bytes(cache.bytesPerToken)} per token in ${cache.dtype}: ${keysAndValues.expression} bytes`;
}

function unrunText({ prediction, buffers }: DescribeDocument["unrun"]): string {
  const parts = [
    ...(prediction === 0 ? [] : [`${parameterCount(prediction)} in layers that predict further tokens`]),
    ...(buffers === 0 ? [] : [`${buffers.toLocaleString("en-US")} in biases, tables and projections beside`]),
  ];
  return `${parts.join(", ")}: part of the checkpoint`;
}
