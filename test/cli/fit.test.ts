import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatRun } from "../../src/runs/parse.js";
import type { Sample } from "../../src/runs/schema.js";
import { fitDocument, scenariosDocument } from "../../src/study/documents/fit.js";
import { run, sample } from "../support/runs.js";
import { command, temporaryFolder } from "./harness.js";

const folder = temporaryFolder();
afterAll(folder.remove);

function file(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

async function json(words: readonly string[]): Promise<unknown> {
  const { code, out, err } = await command([...words, "--json"]);
  expect(err).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out);
}

const lengths = [128, 256, 512, 1024, 2048, 4096];
const wobble = [1, 1.01, 0.99];
const truth = (n: number) => 0.01 + 1e-4 * n + 1e-8 * n * n;
let runFile = "";
let csvFile = "";
beforeAll(() => {
  const samples = wobble.flatMap((factor, block) =>
    lengths.map((n): Sample => sample({ n, seconds: truth(n) * factor, block, at: block + 1 })),
  );
  runFile = file("run.json", formatRun(run({ samples })));
  const rows = samples.map(({ n, seconds }) => `${n},${(seconds ?? 0) * 1000}`);
  csvFile = file("samples.csv", ["n,latency_ms", ...rows].join("\n"));
});

describe("nsquared fit", () => {
  test("reads a CSV like the run it was made of", async () => {
    const fromRun = fitDocument.parse(await json(["fit", runFile]));
    const fromCsv = fitDocument.parse(await json(["fit", csvFile]));
    expect(fromRun.source).toBeUndefined();
    expect(fromRun.model).toBe("tiny");
    expect(fromCsv.source).toMatchObject({
      format: "csv/rows",
      axis: "length",
      count: 18,
      units: ["latency_ms in ms"],
    });
    expect(fromCsv.law.kind).toBe("quadratic");
    expect(fromCsv.law.coefficients.quadratic.value).toBeCloseTo(fromRun.law.coefficients.quadratic.value, 12);
    expect(fromCsv.extrapolation.map(({ n }) => n)).toEqual([8192, 16384, 32768]);
  });

  test("says at which length a latency is passed, and what to measure next", async () => {
    const fit = fitDocument.parse(
      await json(["fit", csvFile, "--limit", "5s", "--at", "32k", "--next", "--time", "30s", "--level", "90%"]),
    );
    expect(fit.level).toBe(0.9);
    const { limit, next } = fit;
    expect(limit?.seconds).toBe(5);
    expect(truth(limit?.n ?? 0)).toBeGreaterThan(4.5);
    expect(truth(limit?.n ?? 0)).toBeLessThan(5.5);
    expect(limit?.low ?? 0).toBeLessThan(limit?.n ?? 0);
    expect(limit?.high ?? 0).toBeGreaterThan(limit?.n ?? 0);
    expect(next?.target).toBe(32768);
    const spent = next?.lengths.reduce((sum, one) => sum + one.seconds, 0) ?? 0;
    expect(spent).toBeGreaterThan(0);
    expect(spent).toBeLessThanOrEqual(30);
    const { out } = await command(["fit", csvFile, "--limit", "5s", "--at", "32k", "--next", "--time", "30s"]);
    expect(out).toMatch(/limit {12}5 s is passed at n = 1[5-9],\d{3} \(/);
    expect(out).toMatch(/measure next/);
  });

  test("shows rejected laws with their evidence and a picture", async () => {
    const { out, code } = await command(["fit", csvFile]);
    expect(code).toBe(0);
    expect(out).toMatch(/linear\s+AICc is [\d.]+ above quadratic/);
    expect(out).toMatch(/● measured/);
    const without = await command(["fit", csvFile, "--no-plot"]);
    expect(without.out).not.toMatch(/●/);
  });

  test("one point gives the assumptions side by side, never one number", async () => {
    const document = scenariosDocument.parse(await json(["fit", "--point", "512=2s", "--at", "2048"]));
    expect(document.scenarios.map(({ name, points }) => [name, points[0]?.seconds])).toEqual([
      ["linear", 8],
      ["quadratic", 32],
    ]);
    const mixed = scenariosDocument.parse(
      await json(["fit", "--point", "512=2000ms", "--at", "2048", "--model", "SmolLM2-135M"]),
    );
    const own = mixed.scenarios[2]?.points[0]?.seconds ?? 0;
    expect(mixed.scenarios[2]?.name).toBe("SmolLM2-135M");
    expect(own).toBeGreaterThan(8);
    expect(own).toBeLessThan(32);
    const { out } = await command(["fit", "--point", "512=2s", "--at", "2k"]);
    expect(out).toMatch(/linear\s+8 s/);
    expect(out).toMatch(/quadratic\s+32 s/);
  });

  test("a line that was asked for leaves no square open", async () => {
    const points = ["--point", "8k=0.68s", "--point", "16k=1.5s", "--point", "32k=3.68s"];
    const { out } = await command(["fit", ...points, "--law", "linear"]);
    expect(out).not.toMatch(/quadratic +0|not identifiable/);
    const fit = fitDocument.parse(await json(["fit", ...points, "--law", "linear"]));
    expect(fit.warnings.map(({ code }) => code)).not.toContain("not-identifiable");
  });

  test("an interval that says nothing is not written out", async () => {
    const { out } = await command(["fit", "--point", "512=2ms", "--point", "1k=3s"]);
    expect(out).toMatch(/0 s – any time/);
    expect(out).not.toMatch(/e\+\d+ days/);
    expect(out).toMatch(/1 s ┤/);
  });

  test("several points are fitted with a noise that is printed", async () => {
    const fit = fitDocument.parse(
      await json(["fit", "--point", "8k=0.68s", "--point", "16k=1.5s", "--point", "32k=3.68s", "--at", "64k"]),
    );
    expect(fit.noise).toEqual({ relative: 0.03, assumed: true });
    expect(fit.warnings.map(({ code }) => code)).toContain("no-repeats");
    const [at] = fit.extrapolation;
    expect(at?.low ?? 0).toBeLessThan(10.1);
    expect(at?.high ?? 0).toBeGreaterThan(10.1);
    expect((at?.high ?? 0) / (at?.low ?? 1)).toBeLessThan(4);
    const rate = fitDocument.parse(
      await json(["fit", "--point", "1k=1k tok/s", "--point", "2k=2k tok/s", "--noise", "5%"]),
    );
    expect(rate.residuals.map(({ seconds }) => seconds.toFixed(4))).toEqual(["1.0240", "1.0240"]);
    expect(rate.noise.relative).toBe(0.05);
  });

  test.each(["unknown", "h100"])("knows a model's own operators over cached tokens, on %s", async (device) => {
    const seconds = (n: number, cached: number) => 0.004 + 4e-5 * n + 9e-10 * (n * cached + (n * n) / 2);
    const rows = [0, 2048, 4096, 8192, 16_384].flatMap((cached) =>
      [0.99, 1, 1.01].map((noise) => `512,${cached},${seconds(512, cached) * noise}`),
    );
    const path = file(`cached-${device}.csv`, `n_prompt,n_depth,seconds\n${rows.join("\n")}\n`);
    const words = ["fit", path, "--axis", "depth", "--model", "Llama-3.1-8B", "--on", device, "--at", "32768"];
    const { law, extrapolation } = fitDocument.parse(await json(words));
    expect(law.kind).toBe("physical");
    const [at] = extrapolation;
    const there = seconds(512, 32_768 - 512);
    expect(at?.low).toBeLessThan(there);
    expect(at?.high).toBeGreaterThan(there);
    expect((at?.high ?? 9) / (at?.low ?? 1)).toBeLessThan(1.4);
  });

  test("knows a model's own operators on a machine that nobody measured", async () => {
    // Real prefill times of two cores, one value per length; 15.0 s were measured at 8192.
    const points = [
      [128, 83.5],
      [256, 160.2],
      [512, 351.3],
      [1024, 806.3],
    ];
    const short = file("short.csv", ["n,latency_ms", ...points.map((row) => row.join(","))].join("\n"));
    const words = ["fit", short, "--model", "SmolLM2-135M", "--at", "8k"];
    const { law, extrapolation } = fitDocument.parse(await json(words));
    expect(law).toMatchObject({ kind: "physical", operators: { model: "SmolLM2-135M", device: null } });
    expect(law.efficiencies?.map(({ name }) => name)).toEqual(["matrix products", "attention", "overhead"]);
    const [at] = extrapolation;
    expect(at?.low).toBeLessThan(15.04);
    expect(at?.high).toBeGreaterThan(15.04);
    // Narrower than a factor of four, which is where "can't tell" begins.
    expect(at?.canTell).toBe(true);
    const { out } = await command([...words, "--no-plot"]);
    expect(out).toContain("the operators of SmolLM2-135M on a machine that nobody measured");
    const known = fitDocument.parse(await json([...words, "--on", "h100"]));
    expect(known.law.operators?.device).toBe("H100-SXM5-80GB");
  });

  test("warns of what the model and the device know to end before the lengths asked for", async () => {
    const codes = async (model: string, at: string, device = "unknown") => {
      const words = ["fit", csvFile, "--model", model, "--on", device, "--at", at];
      return fitDocument.parse(await json(words)).warnings.map(({ code }) => code);
    };
    expect(await codes("SmolLM2-135M", "8k")).not.toContain("context-passed");
    expect(await codes("SmolLM2-135M", "16k")).toContain("context-passed");
    // A window of 4,096 tokens: at the longest length measured it begins to tell.
    expect(await codes("Mistral-7B-v0.1", "8k")).toContain("window-passed");
    expect(await codes("Mistral-7B-v0.3", "8k")).not.toContain("window-passed");
    expect(await codes("Llama-3.1-8B", "64k", "rtx4090")).toContain("memory-limit");
    expect(await codes("Llama-3.1-8B", "64k", "h100")).not.toContain("memory-limit");
  });

  test("depth is an axis of its own", async () => {
    const rows = ["n,depth,seconds"];
    for (const depth of [0, 4096, 8192, 16384]) rows.push(`512,${depth},${1 + depth / 8192}`);
    for (const n of [512, 1024]) rows.push(`${n},0,${n / 512}`);
    const path = file("depth.csv", rows.join("\n").replace("512,0,1\n512,4096", "512,4096"));
    const depth = fitDocument.parse(await json(["fit", path, "--axis", "depth"]));
    expect(depth.source).toMatchObject({ axis: "depth", fixed: 512 });
    expect(depth.residuals.map(({ n }) => n)).toEqual([512, 4608, 8704, 16896]);
    const length = fitDocument.parse(await json(["fit", path, "--axis", "length"]));
    expect(length.source).toMatchObject({ axis: "length", fixed: 0 });
    expect(length.warnings.map(({ code }) => code)).toContain("other-series");
  });
});

describe("nsquared fit refuses", () => {
  const bad = async (words: readonly string[], wanted: RegExp) => {
    const { code, out, err } = await command(["fit", ...words]);
    expect(err.split("\n")[0]).toMatch(wanted);
    expect(out).toBe("");
    expect(code).toBe(2);
  };

  test("a point without a unit, points beside files, and options that need another", async () => {
    await bad(["--point", "512=2"], /point is "512=2"; length=time, as 512=2s/);
    await bad(["--point", "512=0s"], /point is "512=0s"/);
    await bad(["--point", "512=2s", csvFile], /either points or files/);
    await bad([csvFile, "--next"], /--next: --time is missing/);
    await bad([csvFile, "--time", "5s"], /goes with --next/);
    await bad([csvFile, "--columns", "when=a"], /expected length, depth, time, phase, batch/);
  });

  test("a phase that is not there, a single length, and no file at all", async () => {
    await bad([runFile, "--phase", "decode"], /phase is "decode"; it has prefill over length, 6 lengths/);
    await bad(
      [file("one.csv", "n,seconds\n512,1\n512,1.1\n")],
      /all 2 samples have this one length; .*: --point 512=1050ms/,
    );
    const apart = [
      [256, 16],
      [512, 40],
      [900, 70],
    ].map(([n, cached]) => `${n},${cached},1`);
    await bad(
      [file("apart.csv", ["n,n_cached,seconds", ...apart].join("\n"))],
      /prefill lengths is 3; no two samples differ in their new tokens alone/,
    );
    await bad([], /files is missing; name a run or samples, or a measured point with --point 512=2s/);
    await bad([join(folder.path, "nowhere.csv")], /nowhere.csv: no such file; expected a run or samples/);
  });
});
