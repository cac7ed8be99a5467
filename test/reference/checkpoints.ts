import { expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";

/** A published checkpoint: its name, its config, and the total over its tensors. */
export type Checkpoint = readonly [name: string, config: Record<string, unknown>, parameters: number];

/** A BERT-like layer of width h and network f: four projections, two linear maps, two norms, all with biases. */
export const layer = (h: number, f: number): number => 4 * (h * h + h) + 2 * h * f + f + h + 4 * h;

/** Each has the parameters of its tensors, and no key of its config is left unread. */
export function testCheckpoints(checkpoints: readonly Checkpoint[]): void {
  test.each(checkpoints)("%s has the parameters of its tensors, and no key is left unread", (_, config, parameters) => {
    const model = readConfig(config, "a.json", "a");
    expect(countParameters(buildGraph(model)).total).toBe(parameters);
    expect(model.notes.filter((note) => note.startsWith("keys that nothing"))).toEqual([]);
  });
}
