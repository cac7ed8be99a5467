import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/cli/run.js";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line in this process and keeps what it printed. */
export async function command(words: readonly string[], signal?: AbortSignal, home = "/nonexistent"): Promise<Ran> {
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
    environment: { HOME: home },
    directory: process.cwd(),
    signal: signal ?? new AbortController().signal,
  });
  return { code, out, err };
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
