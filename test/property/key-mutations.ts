import { NsquaredError } from "../../src/base/errors.js";
import { isKnownHarmless } from "../../src/model/hf/harmless-keys.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";

/** Keys that may change a description without a word, and why that is right. */
const exempt: Readonly<Record<string, string>> = {
  max_position_embeddings: "the longest sequence: no cost depends on it where positions are not a table",
  n_positions: "as max_position_embeddings",
  seq_length: "as max_position_embeddings",
  max_seq_len: "as max_position_embeddings",
  partial_rotary_factor: "how much of a head rotates: no product of matrices, no parameter depends on it",
  block_ff_dim: "LFM2's class takes intermediate_size in its place, and the file has both",
  quantization_config: "a file without one is of weights that are not quantised",
  expert_dtype: "as quantization_config",
  vision_config: "Gemma 4's class has no tower by default",
  audio_config: "Gemma 4's class has no tower by default",
};

/** What a description says about the model itself. */
function substance(model: ModelDescription): string {
  const { filled: _filled, notes: _notes, name: _name, source: _source, ...rest } = model;
  return JSON.stringify(rest);
}

/** Everything a description reports besides: what was filled in, and notes. */
function reports(model: ModelDescription): Set<string> {
  return new Set([...model.filled.map((entry) => JSON.stringify(entry)), ...model.notes]);
}

type Config = Readonly<Record<string, unknown>>;

/** The configuration with each key of the model's own object left out, and with each key null. */
function mutations(config: Config): (readonly [string, Config])[] {
  const nested = ["text_config", "language_config", "llm_config"].filter(
    (key) => typeof config[key] === "object" && config[key] !== null,
  );
  const within = (object: Config, wrap: (changed: Config) => Config, prefix: string) =>
    Object.keys(object)
      .filter((key) => key !== "model_type" && !nested.includes(key))
      .flatMap((key) => {
        const { [key]: _left, ...without } = object;
        return [
          [`${prefix}${key} left out`, wrap(without)],
          [`${prefix}${key} null`, wrap({ ...object, [key]: null })],
        ] as const;
      });
  return [
    ...within(config, (changed) => changed, ""),
    ...nested.flatMap((key) => within({ ...(config[key] as Config) }, (to) => ({ ...config, [key]: to }), `${key}.`)),
  ];
}

/**
 * Changes of a configuration (a key left out, or null) that change what is described without a word: none where what took
 * a key's place is always refused or reported.
 */
export function silentMutations(config: Config, file: string): string[] {
  const whole = readConfig(config, file, file);
  const told = reports(whole);
  return mutations(config).flatMap(([name, mutated]) => {
    const key = name.replace(/ (left out|null)$/, "").replace(/^.*\./, "");
    if (Object.hasOwn(exempt, key) || isKnownHarmless(key)) return [];
    let changed: ModelDescription;
    try {
      changed = readConfig(mutated, file, file);
    } catch (error) {
      if (error instanceof NsquaredError) return [];
      throw error;
    }
    if (substance(changed) === substance(whole)) return [];
    return [...reports(changed)].every((sentence) => told.has(sentence)) ? [name] : [];
  });
}
