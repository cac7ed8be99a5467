import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { version } from "../../src/base/version.js";
import { readMachine } from "../../src/measure/environment.js";
import { costComparisonDocument, costDocument } from "../../src/study/documents/cost.js";
import { describeDocument } from "../../src/study/documents/describe.js";
import { fitDocument } from "../../src/study/documents/fit.js";
import { measureDocument } from "../../src/study/documents/measure.js";
import { predictDocument } from "../../src/study/documents/predict.js";
import { reportDocument } from "../../src/study/documents/report.js";
import { calibratedDevice } from "../support/calibrated-device.js";
import { command, temporaryFolder, writeConfig } from "./harness.js";

const folder = temporaryFolder();
let config = "";
beforeAll(() => {
  config = writeConfig(folder.path);
});
afterAll(folder.remove);

async function json(words: readonly string[]): Promise<unknown> {
  const { code, out, err } = await command([...words, "--json"]);
  expect(err).not.toMatch(/error/);
  expect(code).toBe(0);
  return JSON.parse(out);
}

describe("the command line", () => {
  test("describes, prices and predicts with one JSON document each", async () => {
    const described = describeDocument.parse(await json(["describe", config]));
    const perLayer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48 + 2 * 32;
    expect(described.parameters.total).toBe(96 * 32 + 2 * perLayer + 32);
    expect(described.contextLength).toBe(256);
    expect(described.cache.bytesPerToken).toBe(2 * 2 * 8 * 2 * 4);
    const cost = costDocument.parse(await json(["cost", config, "--phase", "decode", "--lengths", "1,64"]));
    expect(cost.phase).toBe("decode");
    expect(cost.points.map((point) => point.n)).toEqual([1, 64]);
    const predicted = predictDocument.parse(await json(["predict", config, "--on", "H100", "--lengths", "64..256"]));
    expect(predicted.points.map((point) => point.n)).toEqual([64, 128, 256]);
    expect(predicted.limits.context).toEqual({ n: 256 });
  });

  test("measures, fits and reports a run", async () => {
    const out = join(folder.path, "run.json");
    const words = ["measure", config, "--phase", "prefill,decode,decode-uncached", "--lengths", "8,16,32,64"];
    const measured = measureDocument.parse(await json([...words, "--repeat", "3", "--out", out]));
    expect(measured.run).toBe(out);
    expect(measured.status).toBe("complete");
    const usable = measured.samples.filter((sample) => !sample.warmup && sample.phase !== "reference");
    expect(usable).toHaveLength(3 * 3 * 4);
    expect(usable.every((sample) => sample.seconds !== null && sample.seconds > 0)).toBe(true);

    const fitted = fitDocument.parse(await json(["fit", out, "--at", "128,1k"]));
    expect(fitted.phase).toBe("prefill");
    expect(fitted.extrapolation.map(({ n, factor }) => [n, factor])).toEqual([
      [128, 2],
      [1024, 16],
    ]);
    for (const { low, seconds, high } of fitted.extrapolation) {
      expect(low).toBeLessThanOrEqual(seconds);
      expect(seconds).toBeLessThanOrEqual(high);
    }
    const decode = fitDocument.parse(await json(["fit", out, "--phase", "decode"]));
    expect(decode.phase).toBe("decode");

    const reported = reportDocument.parse(await json(["report", out, "--on", "h100"]));
    expect(reported.answer).toHaveLength(3);
    expect(reported.phases.map(({ phase }) => phase)).toEqual(["prefill", "decode", "decode-uncached"]);
    expect(
      reported.phases[0]?.lengths.every(
        ({ ratio, measured: { seconds }, predicted }) => ratio === seconds / (predicted?.seconds ?? 0),
      ),
    ).toBe(true);
    expect(existsSync(reported.html ?? "")).toBe(true);
    expect(readFileSync(reported.html ?? "", "utf8")).toContain("</html>");

    const copy = writeConfig(folder.path, {}, "copy.json");
    expect((await command(["report", out, "--model", copy, "--on", "h100", "--no-html"])).code).toBe(0);
    const other = writeConfig(folder.path, { intermediate_size: 64 }, "other.json");
    const refused = await command(["report", out, "--model", other, "--on", "h100"]);
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch("the run measured another model");

    const again = await command([...words, "--out", out]);
    expect(again.code).toBe(2);
    expect(again.err).toMatch("never overwritten");
  });

  test("reports a run of a scaled model from the scale that the run names", async () => {
    const out = join(folder.path, "scaled.json");
    await json(["measure", config, "--layers", "1", "--lengths", "8,16,32", "--repeat", "1", "--out", out]);
    const { code, out: text } = await command(["report", out, "--on", "h100", "--no-html"]);
    expect(code).toBe(0);
    // One layer of two: 96·32 words, 2·32² + 2·16·32 of attention, 3·32·48 of the MLP, three norms.
    expect(text).toContain("10.8k parameters");

    const fitted = await command(["fit", out, "--model", config, "--on", "h100"]);
    expect(fitted.code).toBe(0);
    expect(fitted.err).toContain("scaled: 1 layer instead of 2");
    expect((await command(["explain", out, "--model", config, "--on", "h100"])).code).toBe(0);
    const other = writeConfig(folder.path, { intermediate_size: 64 }, "wider.json");
    for (const verb of ["fit", "explain"]) {
      const refused = await command([verb, out, "--model", other, "--on", "h100"]);
      expect(refused.code).toBe(2);
      expect(refused.err).toMatch(/the run measured another model, .*--layers 1/);
    }
  });

  test("fits the physical law of the model on a calibrated machine, and reports it", async () => {
    const home = join(folder.path, "home");
    mkdirSync(join(home, ".cache", "nsquared"), { recursive: true });
    // The rates are made up; that they are of this machine is what makes them count for its runs.
    const { cpu, cores } = await readMachine();
    const local = { ...calibratedDevice, calibration: { ...calibratedDevice.calibration, cpu, threads: cores } };
    writeFileSync(join(home, ".cache", "nsquared", "local.json"), JSON.stringify(local));
    const at = async (words: readonly string[]): Promise<unknown> => {
      const { code, out } = await command([...words, "--json"], undefined, home);
      expect(code).toBe(0);
      return JSON.parse(out);
    };
    const predicted = predictDocument.parse(await at(["predict", config, "--on", "local", "--lengths", "64"]));
    expect(predicted.data).toEqual({ basis: "calibrated", range: { from: 1, to: 1024 } });
    const out = join(folder.path, "physical.json");
    await at(["measure", config, "--lengths", "8,16,32,64", "--repeat", "3", "--out", out]);
    const fitted = fitDocument.parse(await at(["fit", out, "--model", config, "--at", "512"]));
    expect(fitted.law.kind).toBe("physical");
    expect(fitted.law.efficiencies?.map(({ name }) => name)).toContain("attention");
    expect(fitted.law.coefficients.quadratic.low).toBeGreaterThanOrEqual(0);
    const reported = reportDocument.parse(await at(["report", out]));
    expect(reported.device).toBe("local");
    expect(reported.phases[0]?.law).toBe("physical");
  });

  test("measures until a length is known well enough, and says which law's interval it is", async () => {
    const goal = ["--until", "60%@64", "--time", "20s", "--lengths", "8,16,32"];
    const { until, samples } = measureDocument.parse(
      await json(["measure", config, ...goal, "--out", `${folder.path}/u.json`]),
    );
    expect(until).toMatchObject({ n: 64, wanted: 0.6 });
    expect(["reached", "time", "no-better-length"]).toContain(until?.reason);
    expect(until?.reached).toBe(until?.reason === "reached");
    expect(until?.law).not.toBe("physical");
    expect(until?.low).toBeLessThanOrEqual(until?.seconds ?? 0);
    expect(samples.length).toBeGreaterThan(9);
    for (const [words, message] of [
      [["--until", "10%@64"], "--time is missing"],
      [["--until", "ten@64", "--time", "1s"], "expected a share"],
      [["--until", "10%@64", "--time", "1s", "--resume", "no.json"], "no.json"],
    ] as const) {
      const refused = await command(["measure", config, ...words]);
      expect(refused.code).toBe(2);
      expect(refused.err).toContain(message);
    }
  });

  test("measures until a context, and prefills after cached tokens, are known well enough", async () => {
    const out = join(folder.path, "until-each.json");
    const words = ["--until", "90%@64", "--phase", "prefill,decode", "--depths", "0,16", "--lengths", "8,16,32"];
    const { until, untilEach, samples } = measureDocument.parse(
      await json(["measure", config, ...words, "--time", "6s", "--out", out]),
    );
    const laws = ["prefill 0", "prefill 16", "decode 0"];
    expect(untilEach?.map(({ phase, cached }) => `${phase} ${cached}`)).toEqual(laws);
    expect(untilEach).toContainEqual(until);
    for (const { n, low, seconds } of untilEach ?? []) {
      expect(n).toBe(64);
      expect(low).toBeLessThanOrEqual(seconds ?? 0);
    }
    const timed = samples.filter(({ phase }) => phase !== "reference");
    expect(new Set(timed.map(({ phase, cached }) => `${phase} ${cached}`))).toEqual(new Set(laws));
  });

  test("warns, but measures, beyond the model's own context", async () => {
    const { code, err } = await command([
      "measure",
      config,
      "--lengths",
      "128,512",
      "--repeat",
      "1",
      "--out",
      join(folder.path, "long.json"),
    ]);
    expect(err).toMatch(/warning: 512: beyond the 256 tokens/);
    expect(code).toBe(0);
  });

  test("keeps what was measured when it is interrupted", async () => {
    const out = join(folder.path, "interrupted.json");
    const interrupt = new AbortController();
    setTimeout(() => {
      interrupt.abort();
    }, 1500);
    const words = ["measure", config, "--lengths", "64,128", "--repeat", "10000", "--out", out, "--json"];
    const { code, out: printed } = await command(words, interrupt.signal);
    expect(code).toBe(130);
    const document = measureDocument.parse(JSON.parse(printed));
    expect(document.status).toBe("interrupted");
    expect(document.samples.length).toBeGreaterThan(0);
    expect(existsSync(out)).toBe(true);
  });

  test("compares models, and says from which length one is the cheaper", async () => {
    const wide = writeConfig(
      folder.path,
      { intermediate_size: 4096, num_attention_heads: 1, num_key_value_heads: 1, head_dim: 2 },
      "wide.json",
    );
    const comparison = costComparisonDocument.parse(await json(["cost", config, wide, "--lengths", "16,64k"]));
    const [narrow, other] = comparison.models;
    expect(narrow?.points[0]?.flops.total).toBeLessThan(other?.points[0]?.flops.total ?? 0);
    expect(narrow?.points[1]?.flops.total).toBeGreaterThan(other?.points[1]?.flops.total ?? 0);
    expect(comparison.overtakes).toEqual([{ cheaper: "wide", dearer: narrow?.name, n: expect.any(Number) }]);
    const { n = 0 } = comparison.overtakes[0] ?? {};
    const at = costComparisonDocument.parse(
      await json(["cost", config, wide, "--lengths", `${Math.floor(n)},${Math.ceil(n)}`]),
    );
    const [before, after] = [0, 1].map((index) => at.models.map((model) => model.points[index]?.flops.total ?? 0));
    expect(before?.[0]).toBeLessThan(before?.[1] ?? 0);
    expect(after?.[0]).toBeGreaterThanOrEqual(after?.[1] ?? 0);
  });

  test("counts as the reference's counter does when asked", async () => {
    const counted = costDocument.parse(await json(["cost", config, "--preset", "transformers", "--lengths", "64"]));
    expect(counted.conventions).toEqual({
      causal: "full",
      head: "all",
      mac: 2,
      attention: "naive",
      kernels: "reference",
    });
    const weights = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48) + 96 * 32;
    expect(counted.points[0]?.flops.matmul).toBe(2 * 64 * weights + 2 * 2 * 64 * 64 * 32 * 2);
  });

  test("prints the version of the package", async () => {
    const { version: packaged } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(version).toBe(packaged);
    expect((await command(["--version"])).out.trim()).toBe(version);
  });

  test("an id of the hub without a network says so in one line", async () => {
    const { code, err } = await command(["describe", "no-such-org/no-such-model"]);
    expect(code).toBe(2);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
    expect(err).toMatch("no-such-org/no-such-model");
  });
});
