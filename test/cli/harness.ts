import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { run } from "../../src/cli/run.js";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line in this process and keeps what it printed. */
export async function command(
  words: readonly string[],
  signal?: AbortSignal,
  home = "/nonexistent",
  environment: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  let out = "";
  let err = "";
  const code = await run(words, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    outIsTerminal: false,
    errIsTerminal: false,
    columns: 100,
    environment: { HOME: home, ...environment },
    directory: process.cwd(),
    signal: signal ?? new AbortController().signal,
  });
  return { code, out, err };
}

/** One line on standard error that says all of `wanted`, nothing on standard output, exit code 2, no stack. */
export async function refuses(words: readonly string[], ...wanted: (string | RegExp)[]): Promise<void> {
  const { code, out, err } = await command(words);
  expect(err).not.toMatch(/\n\s+at /);
  for (const text of wanted) expect(err).toMatch(text);
  expect(out).toBe("");
  expect(
    err
      .trimEnd()
      .split("\n")
      .filter((line) => !line.startsWith("(add --help")),
  ).toHaveLength(1);
  expect(code).toBe(2);
}

/** A folder that goes away with the test. */
export function temporaryFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "nsquared-test-"));
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** A Llama small enough to run in milliseconds. */
const tinyConfig = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 96,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
  hidden_act: "silu",
  torch_dtype: "float32",
};

/** Writes a config.json with some keys changed; undefined removes one. */
export function writeConfig(folder: string, changes: Record<string, unknown> = {}, name = "config.json"): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify({ ...tinyConfig, ...changes }));
  return path;
}
