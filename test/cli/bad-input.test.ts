import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { command, refuses, temporaryFolder, writeConfig } from "./harness.js";

const folder = temporaryFolder();
let good = "";
beforeAll(() => {
  good = writeConfig(folder.path, {}, "good.json");
});
afterAll(folder.remove);

describe("a config that cannot be right is refused with file, key, value and what would be right", () => {
  const cases: [string, Record<string, unknown>, (string | RegExp)[]][] = [
    ["unknown model type", { model_type: "llamma" }, ["model_type", "llamma"]],
    ["no model type", { model_type: undefined, architectures: undefined }, ["model_type"]],
    [
      "heads that do not divide the hidden size",
      { num_attention_heads: 5, num_key_value_heads: 5 },
      [/hidden_size|num_attention_heads/, "32"],
    ],
    ["KV heads that do not divide the heads", { num_key_value_heads: 3 }, ["num_key_value_heads", "3"]],
    ["no layers", { num_hidden_layers: 0 }, ["num_hidden_layers", "0"]],
    ["10^12 layers", { num_hidden_layers: 1e12 }, ["num_hidden_layers", /1000000000000|1e\+?12/]],
    ["a negative size", { intermediate_size: -48 }, ["intermediate_size", "-48"]],
    ["a size that is a text", { vocab_size: "96" }, ["vocab_size", '"96"']],
    ["a size that is no whole number", { hidden_size: 32.5 }, ["hidden_size", "32.5"]],
  ];
  test.each(cases)("%s", async (name, changes, wanted) => {
    const file = `${name.replace(/\W+/g, "-")}.json`;
    const path = writeConfig(folder.path, changes, file);
    await refuses(["describe", path], file, ...wanted);
  });

  test("not JSON", async () => {
    const path = join(folder.path, "broken.json");
    writeFileSync(path, '{"model_type": "llama",');
    await refuses(["describe", path], "broken.json", /JSON/);
  });

  test("a folder without a config", async () => {
    const path = join(folder.path, "empty");
    mkdirSync(path);
    await refuses(["cost", path], "empty", "config.json");
  });

  test("nothing there", async () => {
    await refuses(["describe", join(folder.path, "nowhere.json")], "nowhere.json", "no such file or folder");
  });
});

describe("options that cannot be right are refused with the option, the value and what would be right", () => {
  test("lengths out of order", async () => {
    await refuses(["cost", good, "--lengths", "512,128"], "--lengths", "512,128", "ascending");
  });
  test("lengths that are no numbers", async () => {
    await refuses(["measure", good, "--lengths", "long"], "--lengths", "long");
  });
  test("a range that runs backwards", async () => {
    await refuses(["predict", good, "--on", "h100", "--lengths", "8k..128"], "--lengths", "8k..128");
  });
  test("an unknown phase", async () => {
    await refuses(["cost", good, "--phase", "training"], "--phase", "training", "prefill");
    await refuses(["measure", good, "--phase", "prefill,training"], "--phase", "training", "decode");
  });
  test("a batch of none", async () => {
    await refuses(["cost", good, "--batch", "0"], "--batch", "0");
  });
  test("a time that is none", async () => {
    await refuses(["measure", good, "--time", "soon"], "--time", "soon", "90s");
  });
  test("an unknown device, with the nearest names", async () => {
    await refuses(["predict", good, "--on", "h10"], "h10", "H100");
  });
  test("a machine that was not calibrated", async () => {
    await refuses(["predict", good, "--on", "local"], "nsquared calibrate");
  });
  test("a device file of another schema", async () => {
    const path = join(folder.path, "device.json");
    writeFileSync(path, JSON.stringify({ schema: "nsquared/device@9" }));
    await refuses(["predict", good, "--on", path], "device.json", "schema", "nsquared/device@9");
  });
  test("samples of an unnamed device, and options of samples without any", async () => {
    await refuses(["calibrate", "--from", "gemm.csv"], "--on is missing", "--on h100");
    await refuses(["calibrate", "--on", "h100"], "--on", "--from");
    await refuses(["calibrate", "--from", "nowhere.csv", "--on", "h100"], "nowhere.csv", "cannot be read (ENOENT)");
  });
  test("an unknown command and an unknown option", async () => {
    expect((await command(["costs", good])).code).toBe(2);
    expect((await command(["cost", good, "--bach", "2"])).code).toBe(2);
  });
});

describe("a run that cannot be", () => {
  test("does not exist", async () => {
    await refuses(["fit", join(folder.path, "none.json")], "none.json");
    await refuses(["report", join(folder.path, "none.json")], "none.json");
  });
  test("is something else", async () => {
    await refuses(["fit", good], "good.json", /schema|run/);
  });
  test("cannot be written, and nothing is measured", async () => {
    const blocker = join(folder.path, "file");
    writeFileSync(blocker, "");
    await refusesAfterOpening(["measure", good, "--lengths", "8,16", "--out", join(blocker, "run.json")], "file");
  });
});

/** The same where warnings and progress may stand before the refusal. */
async function refusesAfterOpening(words: readonly string[], wanted: string | RegExp): Promise<void> {
  const { code, err, out } = await command(words);
  expect(err.trimEnd().split("\n").at(-1)).toMatch(wanted);
  expect(out).toBe("");
  expect(code).toBe(2);
}

describe("what does not fit this machine is refused before it is allocated", () => {
  test("a model", async () => {
    const path = writeConfig(
      folder.path,
      { hidden_size: 8192, intermediate_size: 16_384, num_hidden_layers: 200, num_attention_heads: 64 },
      "huge.json",
    );
    await refusesAfterOpening(["measure", path, "--lengths", "8"], /memory needed.*available/);
  });
  test("a matrix", async () => {
    const path = writeConfig(folder.path, { hidden_size: 65_536, intermediate_size: 262_144 }, "wide.json");
    await refusesAfterOpening(["measure", path, "--lengths", "8"], /tensors of at most 2 GiB.*--hidden/);
  });
  test("naive scores", async () => {
    await refusesAfterOpening(
      ["measure", good, "--attention", "naive", "--lengths", "1M"],
      /prefill of 1M tokens.*memory needed is "\d.*available/,
    );
  });
});

describe("help", () => {
  test("names every command, and each has examples", async () => {
    const { out, code } = await command(["--help"]);
    expect(code).toBe(0);
    for (const name of ["profile", "describe", "cost", "predict", "calibrate", "measure", "fit", "report"]) {
      expect(out).toContain(name);
      const help = await command([name, "--help"]);
      expect(help.code).toBe(0);
      expect(help.out).toContain("Examples:");
      expect(help.out).toContain("--json");
    }
  });
});

test("what is stopped by hand before there is a result says so, and half a calibration is not kept", async () => {
  const path = join(folder.path, "stopped.json");
  const { code, out, err } = await command(["calibrate", "--quick", "--out", path], AbortSignal.abort());
  expect([code, out]).toEqual([130, ""]);
  expect(err).toContain("nsquared: stopped before there was a result");
  expect(existsSync(path)).toBe(false);
});
