import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareDocument } from "../../src/study/documents/compare.js";
import { command, temporaryFolder, writeConfig } from "./harness.js";

const folder = temporaryFolder();
let config = "";
beforeAll(() => {
  config = writeConfig(folder.path);
});
afterAll(folder.remove);

describe("compare", () => {
  test("runs variants in interleaved rounds, skips by name what cannot run, draws a page", async () => {
    const out = join(folder.path, "compared.json");
    const variants = ["full", "mqa", "window:8", "naive", "uncached", "bigbird"];
    const words = ["compare", ...variants.slice(0, 5), "--like", config, "--layers", "3", "--lengths", "8,16,32,64"];
    const { code, out: printed } = await command([
      ...words,
      "--request",
      "32:8",
      "--no-memory",
      "--out",
      out,
      "--json",
    ]);
    expect(code).toBe(0);
    const document = compareDocument.parse(JSON.parse(printed));
    expect(document.contenders.map(({ name }) => name)).toEqual(variants.slice(0, 5));
    for (const contender of document.contenders) {
      expect(contender.notes).toEqual(["scaled: 3 layers instead of 2"]);
      expect(contender.phases.map(({ points }) => points.map(({ n }) => n))).toEqual([
        [8, 16, 32, 64],
        [8, 16, 32, 64],
      ]);
      expect(contender.phases[0]?.points.every(({ samples, seconds }) => samples === 3 && seconds > 0)).toBe(true);
      expect(contender.request?.seconds.value).toBeGreaterThan(contender.request?.firstToken ?? Infinity);
      expect(contender.request?.factor).toBeLessThan(1);
      expect(contender.memory.map(({ n }) => n)).toEqual([8, 16, 32, 64]);
    }
    expect(document.contenders.at(-1)?.phases[1]?.phase).toBe("decode-uncached");
    expect(document.contenders[0]?.phases[0]?.overtake).toBeNull();
    const fewer = document.contenders[2]?.phases[0]?.overtake?.predicted.flops ?? 0;
    expect(fewer).toBeGreaterThan(7);
    expect(fewer).toBeLessThan(10);
    const run = JSON.parse(readFileSync(out, "utf8")) as {
      samples: { variant?: string; block: number; phase: string }[];
    };
    const round = run.samples.filter(({ block, phase }) => block === 1 && phase !== "reference");
    expect(new Set(round.map(({ variant }) => variant))).toEqual(new Set(variants.slice(0, 5)));
    const page = readFileSync(join(folder.path, "compared.html"), "utf8");
    expect(page).toContain("window:8");
    expect(page.match(/<svg/g)?.length).toBe(2 * 3);

    const fit = await command(["fit", out]);
    expect(fit.code).toBe(2);
    expect(fit.err).toContain("of several variants");
  });

  test("says in one line what cannot be", async () => {
    for (const [words, expected] of [
      [["full", "gqa:3", "--like", config], "a divisor of 4"],
      [["full", "mqa"], "--like"],
      [["full", "full", "--like", config], "each one once"],
      [["full", "windw:8", "--like", config], "window:W"],
      [["full", "--like", config, "--hidden", "33"], "a multiple of 8"],
      [["window:8+linear", "--like", config], 'without effect is "window:8"'],
      [
        ["naive", "--like", config, "--lengths", "1M", "--phase", "prefill"],
        "naive: no length fits: 1M; it would take",
      ],
    ] as const) {
      const { code, err } = await command(["compare", ...words]);
      expect(code).toBe(2);
      expect(err).toContain(expected);
      expect(
        err
          .trim()
          .split("\n")
          .filter((line) => line.startsWith("nsquared:")),
      ).toHaveLength(1);
    }
  });

  test("reads with an encoder, decodes nothing from it, and leaves out lengths it has no positions for", async () => {
    const bert = join(folder.path, "bert.json");
    const keys = {
      hidden_size: 32,
      intermediate_size: 48,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      vocab_size: 90,
    };
    writeFileSync(
      bert,
      JSON.stringify({ model_type: "bert", max_position_embeddings: 32, type_vocab_size: 2, ...keys }),
    );
    const words = [
      "compare",
      "full",
      "linformer:8",
      "nystrom:4",
      "--like",
      bert,
      "--lengths",
      "16,32,64",
      "--repeat",
      "1",
    ];
    const out = join(folder.path, "encoders.json");
    const { code, out: printed } = await command([...words, "--no-memory", "--no-page", "--out", out, "--json"]);
    expect(code).toBe(0);
    const document = compareDocument.parse(JSON.parse(printed));
    expect(document.contenders.map(({ phases }) => phases.map(({ phase, points }) => [phase, points.length]))).toEqual([
      [["prefill", 3]],
      [["prefill", 2]],
      [["prefill", 3]],
    ]);
    expect(document.warnings.map(({ code: name }) => name)).toContain("length-beyond-positions");
    const decoded = await command(["compare", "full", "--like", bert, "--phase", "decode"]);
    expect([decoded.code, decoded.err]).toEqual([2, expect.stringContaining('phase is "decode"; prefill')]);
    const beyond = await command(["compare", "linformer:8", "--like", bert, "--lengths", "64"]);
    expect([beyond.code, beyond.err]).toEqual([2, expect.stringContaining("at most the 32 positions")]);
  });

  test("says which lengths the model was not made for, and why there is no time of a whole request", async () => {
    const out = join(folder.path, "doubts.json");
    const words = [
      "compare",
      "full",
      "mqa",
      "--like",
      config,
      "--lengths",
      "8,512",
      "--repeat",
      "1",
      "--request",
      "1k:8",
    ];
    const { code, out: printed } = await command([...words, "--no-memory", "--no-page", "--out", out, "--json"]);
    expect(code).toBe(0);
    const { warnings } = compareDocument.parse(JSON.parse(printed));
    const said = (name: string): string[] => warnings.filter((one) => one.code === name).map(({ message }) => message);
    expect(said("beyond-context")).toEqual([expect.stringMatching(/^512: beyond the 256 tokens/)]);
    expect(said("request-untold")).toEqual([
      expect.stringMatching(/full, mqa: it takes prefill and decode at 3 lengths/),
    ]);
  });

  test("stopped before anything is open, says so", async () => {
    const stopped = AbortSignal.abort();
    const { code, err } = await command(["compare", "full", "--like", config, "--lengths", "8"], stopped);
    expect([code, err]).toEqual([130, expect.stringContaining("stopped before there was a result")]);
  });

  test("skips what is too large for the memory or not lowered, and goes on", async () => {
    const out = join(folder.path, "skipped.json");
    const words = [
      "compare",
      "full",
      "topk:4",
      "--like",
      config,
      "--lengths",
      "8,16",
      "--repeat",
      "1",
      "--phase",
      "prefill",
    ];
    const { code, out: printed } = await command([...words, "--no-memory", "--no-page", "--out", out, "--json"]);
    const document = compareDocument.parse(JSON.parse(printed));
    expect(code).toBe(0);
    expect([...document.contenders, ...document.skipped].map(({ name }) => name).sort()).toEqual(["full", "topk:4"]);
    expect(existsSync(join(folder.path, "skipped.html"))).toBe(false);
  });
});
