import { Option } from "commander";
import { percent, scientific, tokens } from "../base/format.js";
import { parseLength } from "../base/lengths.js";
import type { Dtype } from "../base/units.js";
import { nodeAccess } from "../files/node.js";
import { loadModel } from "../model/load.js";
import type { FileType } from "../model/storage.js";
import { type CostOptions, compareCosts, costOfModel, presets } from "../study/cost.js";
import type { CostComparisonDocument, CostDocument } from "../study/documents/cost.js";
import { type SetUp, emit } from "./io.js";
import { cacheDtypeOption, dtypeOption, lengthsOption, partialOption, wholeNumber } from "./options.js";
import { request as requestOf } from "./predict-options.js";
import { inFormats } from "../variants/dtype.js";
import { modelArgument } from "./words.js";
import { table } from "../report/table.js";

interface Options extends Omit<CostOptions, "mac"> {
  readonly mac?: "1" | "2";
  readonly preset?: keyof typeof presets;
  readonly allowPartial?: boolean;
  readonly dtype?: Dtype | FileType;
  readonly kvDtype?: Dtype;
  readonly json?: boolean;
}

export const setUpCost: SetUp = (command, io) => {
  command
    .description(
      "Prices a model: FLOPs, bytes and kernel launches per operator and in total, as exact polynomials in n (prefill) or " +
        "c (decode: tokens cached before the step), with the share of attention, the crossover and the length at which " +
        "attention takes half.",
    )
    .argument("<models...>", `one or several to compare: ${modelArgument}`)
    .addOption(new Option("--phase <phase>", "what to price").choices(["prefill", "decode"]).default("prefill"))
    .addOption(new Option("--batch <b>", "sequences at once").argParser(wholeNumber(1, 2 ** 20)).default(1))
    .addOption(lengthsOption("lengths to evaluate at"))
    .addOption(
      new Option(
        "--request <in:out>",
        "price a whole generation too: prompt of in tokens and out decode steps",
      ).argParser(requestOf),
    )
    .addOption(
      new Option(
        "--encoder-length <m>",
        "tokens of an encoder–decoder's encoder (default: as many as n or c, of a request as its prompt)",
      ).argParser((text: string) => parseLength(text, "--encoder-length")),
    )
    .addOption(
      new Option("--preset <name>", "count as another tool does; options beside it win").choices(Object.keys(presets)),
    )
    .addOption(
      new Option("--causal <pairs>", "count the exact causal pairs, or the full n × n (default: exact)").choices([
        "exact",
        "full",
      ]),
    )
    .addOption(
      new Option("--head <positions>", "positions whose logits are computed (default: last)").choices(["last", "all"]),
    )
    .addOption(new Option("--mac <flops>", "FLOPs of one multiply-add (default: 2)").choices(["1", "2"]))
    .addOption(
      new Option("--attention <kernel>", "fused, or naive with n × n scores in memory (default: fused)").choices([
        "fused",
        "naive",
      ]),
    )
    .addOption(dtypeOption())
    .addOption(cacheDtypeOption())
    .addOption(partialOption())
    .addHelpText(
      "after",
      `
Examples:
  nsquared cost SmolLM2-135M
  nsquared cost Llama-3.1-8B --phase decode --lengths 1k..128k
  nsquared cost Llama-3.1-8B Mistral-7B-v0.1 --lengths 1k..1M
  nsquared cost Llama-3.1-8B --request 4k:512 --dtype Q4_K_M --kv-dtype fp8
  nsquared cost ./config.json --preset transformers --json`,
    )
    .action(async (locations: string[], options: Options) => {
      const { mac, preset, allowPartial = false, dtype, kvDtype, ...rest } = options;
      const formats = {
        ...(dtype === undefined ? {} : { dtype }),
        ...(kvDtype === undefined ? {} : { cacheDtype: kvDtype }),
      };
      const models = await Promise.all(
        locations.map(async (location) =>
          inFormats(await loadModel(location, nodeAccess(), { allowPartial }), formats),
        ),
      );
      const chosen: CostOptions = {
        ...(preset === undefined ? {} : presets[preset]),
        ...rest,
        ...(mac === undefined ? {} : { mac: mac === "1" ? 1 : 2 }),
      };
      const [only] = models;
      if (models.length === 1 && only !== undefined) {
        const document = costOfModel(only, chosen);
        emit(io, options.json, document, () => costText(document));
        return;
      }
      const comparison = compareCosts(models, chosen);
      emit(io, options.json, comparison, () => comparisonText(comparison));
    });
};

function comparisonText(comparison: CostComparisonDocument): string {
  const { models, overtakes, phase, batch } = comparison;
  const variable = models[0]?.variable ?? "n";
  const lengths = models[0]?.points.map(({ n }) => n) ?? [];
  const points = table(
    [variable, ...models.map(({ name }) => name)],
    lengths.map((length, index) => [
      tokens(length),
      ...models.map((model) => scientific(model.points[index]?.flops.total ?? 0)),
    ]),
  );
  return [
    `FLOPs of ${phase}, batch ${batch}`,
    "",
    points,
    "",
    ...models.flatMap(({ name, request }) =>
      request === undefined
        ? []
        : [
            `${name}: a whole generation (${tokens(request.input)}:${tokens(request.output)}) takes ` +
              `${scientific(request.total.flops.total)} FLOPs and reads ${scientific(request.total.bytes.read)} bytes`,
          ],
    ),
    ...models.map((model) => `${model.name}: ${model.flops.expression}, ${growthText(model.flops)}`),
    "",
    ...(overtakes.length === 0
      ? ["No model overtakes another."]
      : overtakes.map(
          ({ cheaper, dearer, n }) =>
            `${cheaper} is cheaper than ${dearer} from ${variable} = ${tokens(Math.ceil(n))} on`,
        )),
  ].join("\n");
}

function growthText({ growth }: CostDocument["flops"]): string {
  return growth === "1" ? "the same at every length" : `grows as ${growth}`;
}

function costText(document: CostDocument): string {
  const { variable } = document;
  const where = (at: { n: number } | null, otherwise: string): string =>
    at === null ? otherwise : `${variable} = ${tokens(at.n)}`;
  const points = table(
    [variable, "FLOPs", "attention", "share", "vector FLOPs", "bytes read", "bytes written"],
    document.points.map((point) => [
      tokens(point.n),
      scientific(point.flops.total),
      scientific(point.flops.attention),
      percent(point.attentionShare),
      scientific(point.flops.vector),
      scientific(point.bytes.read),
      scientific(point.bytes.written),
    ]),
  );
  const operators = table(
    ["operator", "×", "FLOPs each", "bytes read each", "bytes written each", "launches"],
    document.operators.map((row) => [
      row.name,
      String(row.times),
      row.flops,
      row.bytes.read,
      row.bytes.written,
      String(row.launches),
    ]),
  );
  const encoder =
    document.encoderLength === null ? [] : [`  encoder          ${document.encoderLength} tokens (--encoder-length)`];
  const meaning =
    document.phase === "prefill" ? "n new tokens, nothing cached before" : "one new token after c cached ones";
  return [
    `${document.name}: ${document.phase} (${meaning}), batch ${document.batch}, ${document.conventions.attention} attention`,
    ...encoder,
    `  FLOPs            ${document.flops.expression}   ${growthText(document.flops)}`,
    `  vector FLOPs     ${document.vectorFlops.expression}`,
    `  bytes read       ${document.bytes.read.expression}`,
    `  bytes written    ${document.bytes.written.expression}`,
    `  launches         ${document.launches}`,
    `  crossover        ${where(document.crossover, "none: no term of degree two or more overtakes the rest")}`,
    `  attention half   ${where(document.attentionHalf, "never")}`,
    "",
    points,
    "",
    operators,
    "",
    ...requestText(document),
    ...(document.notes.some((note) => note.startsWith("partial:")) ? [...document.notes, ""] : []),
    `Counted: a multiply-add is ${document.conventions.mac} FLOPs; causal pairs ${document.conventions.causal}; logits of ${
      document.conventions.head === "last" ? "the last position" : "all positions"
    }; embedding look-ups are bytes.`,
  ].join("\n");
}

function requestText(document: CostDocument): readonly string[] {
  const { request } = document;
  if (request === undefined) return [];
  const row = (name: string, amounts: typeof request.total): string[] => [
    name,
    scientific(amounts.flops.total),
    scientific(amounts.flops.attention),
    scientific(amounts.flops.vector),
    scientific(amounts.bytes.read),
    scientific(amounts.bytes.written),
    amounts.launches.toLocaleString("en-US"),
  ];
  const encoder = request.encoderLength === null ? "" : `, encoder of ${tokens(request.encoderLength)}`;
  return [
    `A whole generation: prompt of ${tokens(request.input)}, then ${tokens(request.output)} decode steps at contexts ` +
      `${tokens(request.input)} … ${tokens(request.input + request.output - 1)}${encoder}`,
    "",
    table(
      ["", "FLOPs", "attention", "vector FLOPs", "bytes read", "bytes written", "launches"],
      [
        row("prefill", request.prefill),
        ...request.parts.map(({ part, prefill }) => row(`  ${part}`, prefill)),
        row("decode", request.decode),
        ...request.parts.map(({ part, decode }) => row(`  ${part}`, decode)),
        row("total", request.total),
      ],
    ),
    "",
  ];
}
