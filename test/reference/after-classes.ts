import { countParameters } from "../../src/cost/parameters.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import * as families from "../support/published-families.js";

/** Published models of families that are read after their published classes; the hub's total where it states one. */
const models: readonly (readonly [string, Readonly<Record<string, unknown>>, number | null])[] = [
  ["allenai/Molmo-7B-D-0924", families.molmo, null],
  ["allenai/Molmo-7B-O-0924", families.molmoO, 7_665_032_192],
  ["allenai/Molmo2-4B", families.molmo2, null],
  ["fla-hub/hgrn2-1.3B-100B", families.hgrn2, null],
  ["inclusionAI/Ling-3.0-tiny", families.ling3, null],
  ["Kwai-Klear/Klear-46B-A2.5B", families.klear, null],
  ["microsoft/Phi-4-mini-flash-reasoning", families.phi4Flash, null],
  ["microsoft/trocr-base-printed", families.trOcr, null],
  ["naver-clova-ix/donut-base", families.donut, null],
  ["Nikity/lille-130m-instruct", families.lille, null],
  ["pfnet/plamo-2-1b", families.plamo2, 1_291_441_920],
  ["stepfun-ai/step3", families.step3, 320_969_912_832],
  ["XiaomiMiMo/MiMo-V2.5, its language model", families.mimo, null],
];

const grouped = (count: number): string => count.toLocaleString("en-US");

/** What those are counted as. */
export function afterClasses(): string {
  const lines = models.map(([name, config, published]) => {
    const { total } = countParameters(buildGraph(readConfig(config, "config.json", name)));
    const stated = published === null ? "–" : published === total ? "=" : grouped(published);
    return `| ${name} | ${grouped(total)} | ${stated} |`;
  });
  return [
    "## Families read after their published classes",
    "",
    "Sums over the tensors of the class, held by tests; *published* is the total of the checkpoint's safetensors as the hub",
    "states it (TransformerLens' list of architectures, 25 June 2026), – where that list has none.",
    "",
    "| model | ours | published |",
    "| --- | ---: | ---: |",
    ...lines,
    "",
  ].join("\n");
}
