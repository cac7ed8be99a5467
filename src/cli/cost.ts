import { Option } from "commander";
import { percent, scientific, tokens } from "../base/format.js";
import { nodeAccess } from "../files/node.js";
import { loadModel } from "../model/load.js";
import { type CostOptions, costOfModel } from "../study/cost.js";
import type { CostDocument } from "../study/documents/cost.js";
import { type SetUp, emit } from "./io.js";
import { lengthsOption, wholeNumber } from "./options.js";
import { modelArgument } from "./words.js";
import { table } from "../report/table.js";

interface Options extends Omit<CostOptions, "mac"> {
  readonly mac: "1" | "2";
  readonly json?: boolean;
}

export const setUpCost: SetUp = (command, io) => {
  command
    .description(
      "Prices a model: FLOPs, bytes and kernel launches per operator and in total, as exact polynomials in n (prefill) or\n" +
        "c (decode: tokens cached before the step), with the share of attention, the crossover and the length at which\n" +
        "attention takes half.",
    )
    .argument("<model>", modelArgument)
    .addOption(new Option("--phase <phase>", "what to price").choices(["prefill", "decode"]).default("prefill"))
    .addOption(new Option("--batch <b>", "sequences at once").argParser(wholeNumber(1, 2 ** 20)).default(1))
    .addOption(lengthsOption("lengths to evaluate at"))
    .addOption(
      new Option("--causal <pairs>", "count the exact causal pairs, or the full n × n")
        .choices(["exact", "full"])
        .default("exact"),
    )
    .addOption(
      new Option("--head <positions>", "positions whose logits are computed").choices(["last", "all"]).default("last"),
    )
    .addOption(new Option("--mac <flops>", "FLOPs of one multiply-add").choices(["1", "2"]).default("2"))
    .addOption(
      new Option("--attention <kernel>", "fused, or naive with n × n scores in memory")
        .choices(["fused", "naive"])
        .default("fused"),
    )
    .addHelpText(
      "after",
      `
Examples:
  nsquared cost SmolLM2-135M
  nsquared cost Llama-3.1-8B --phase decode --lengths 1k..128k
  nsquared cost ./config.json --causal full --head all --json`,
    )
    .action(async (location: string, options: Options) => {
      const model = await loadModel(location, nodeAccess());
      const document = costOfModel(model, { ...options, mac: options.mac === "1" ? 1 : 2 });
      emit(io, options.json, document, () => costText(document));
    });
};

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
  const meaning =
    document.phase === "prefill" ? "n new tokens, nothing cached before" : "one new token after c cached ones";
  return [
    `${document.name}: ${document.phase} (${meaning}), batch ${document.batch}, ${document.conventions.attention} attention`,
    `  FLOPs            ${document.flops.expression}   grows as ${document.flops.growth}`,
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
    `Counted: a multiply-add is ${document.conventions.mac} FLOPs; causal pairs ${document.conventions.causal}; logits of ${
      document.conventions.head === "last" ? "the last position" : "all positions"
    }; embedding look-ups are bytes.`,
  ].join("\n");
}
