import { describe, expect, test } from "vitest";
import { NsquaredError } from "../../src/base/errors.js";
import { readGguf } from "../../src/model/gguf/read-gguf.js";
import type { ModelDescription } from "../../src/model/types.js";
import { sparseSource } from "../support/gguf.js";
import { families, headerOf, metadataOf } from "../support/gguf-families.js";

/** Keys that may go without a word, and why that is right. */
const exempt: Readonly<Record<string, string>> = {
  context_length: "the longest sequence: no cost depends on it where positions are not a table",
  "rope.freq_base": "an angle",
  "rope.dimension_count": "how much of a head rotates: no product of matrices depends on it",
  "attention.layer_norm_rms_epsilon": "a small number",
  "attention.layer_norm_epsilon": "a small number",
};

/** What a description says about the model itself. */
function substance(model: ModelDescription): string {
  const { filled: _filled, notes: _notes, ...rest } = model;
  return JSON.stringify(rest);
}

const reports = (model: ModelDescription): Set<string> =>
  new Set([...model.filled.map((entry) => JSON.stringify(entry)), ...model.notes]);

const read = (arch: string, without?: string): Promise<ModelDescription> => {
  const example = families[arch];
  if (example === undefined) throw new Error(`no family ${arch}`);
  return readGguf(sparseSource(headerOf(arch, example, without), 1e9), "m");
};

describe("a key that a GGUF header lacks is missed, changes nothing, or what took its place is reported", () => {
  test.each(Object.keys(families))("%s", async (arch) => {
    const whole = await read(arch);
    const told = reports(whole);
    const silent: string[] = [];
    for (const key of Object.keys(metadataOf(arch, families[arch] ?? { layer: {} }))) {
      if (Object.hasOwn(exempt, key.replace(`${arch}.`, ""))) continue;
      let changed: ModelDescription;
      try {
        changed = await read(arch, key);
      } catch (error) {
        expect(error).toBeInstanceOf(NsquaredError);
        expect(String(error)).not.toContain("\n");
        continue;
      }
      if (substance(changed) === substance(whole)) continue;
      if ([...reports(changed)].every((sentence) => told.has(sentence))) silent.push(key);
    }
    expect(silent).toEqual([]);
  });
});
