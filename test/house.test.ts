import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { house, lintFile, lintText, runtimes } from "../scripts/house.mjs";
import { root, tool } from "../scripts/process.mjs";

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"));

describe("the table of folders", () => {
  test("is what the lint rules were written from: else run node scripts/house.mjs", () => {
    expect(readFileSync(lintFile, "utf8")).toBe(lintText());
  });

  test("has a row for every folder of src", () => {
    const folders = new Set(sources.filter((path) => path.includes("/")).map((path) => path.split("/")[0]));
    const rows = new Set(house.map((room) => room.folder));
    expect([...folders].filter((folder) => !rows.has(folder ?? ""))).toEqual([]);
  });

  test("lets a folder import only folders that stand before it", () => {
    const before = new Set([""]);
    for (const room of house) {
      expect(room.imports.split(" ").filter((name) => !before.has(name))).toEqual([]);
      before.add(room.folder);
    }
  });
});

/** Files with one line that the lint rules must refuse, or must let pass. */
const refused: Record<string, string> = {
  "src/base/up.ts": `import { x } from "../math/x.js"; export const y = x;`,
  "src/base/up-type.ts": `import type { X } from "../cost/x.js"; export type Y = X;`,
  "src/base/up-export.ts": `export * from "../math/x.js";`,
  "src/base/up-late.ts": `export const y = import("../math/x.js");`,
  "src/model/hf/up-from-below.ts": `import { x } from "../../graph/x.js"; export const y = x;`,
  "src/model/disk.ts": `import { x } from "../files/node.js"; export const y = x;`,
  "src/math/node.ts": `import { sep } from "node:path"; export const y = sep;`,
  "src/cost/runtime.ts": `export const y = import("onnxruntime-node");`,
  "src/predict/runtime.ts": `import { Tensor } from "onnxruntime-common"; export const y = Tensor;`,
  "src/predict/llama.ts": `export const y = import("node-llama-cpp");`,
  "src/hardware/clock.ts": `export const y = Date.now();`,
  "src/hardware/process.ts": `export const y = process.env;`,
  "src/fit/random.ts": `export const y = Math.random();`,
  "src/fit/measure.ts": `import { x } from "../measure/x.js"; export const y = x;`,
  "src/measure/cost.ts": `import { x } from "../cost/x.js"; export const y = x;`,
  "src/measure/onnx-node-cost.ts": `import { x } from "../predict/x.js"; export const y = x;`,
  "src/measure/other.ts": `export const y = import("onnxruntime-node");`,
  "src/measure/onnx-web.ts": `export const y = import("onnxruntime-node");`,
  "src/measure/node.ts": `import { cpus } from "node:os"; export const y = cpus;`,
  "src/runs/model.ts": `import { x } from "../model/x.js"; export const y = x;`,
  "src/onnx/disk.ts": `import { open } from "node:fs/promises"; export const y = open;`,
  "src/study/disk.ts": `import { open } from "node:fs/promises"; export const y = open;`,
  "src/report/cli.ts": `import { x } from "../cli/x.js"; export const y = x;`,
  "src/study/itself.ts": `import { x } from "nsquared/cost"; export const y = x;`,
  "src/index.ts": `export * from "./cli/main.js";`,
};
const allowed: Record<string, string> = {
  "src/cost/down.ts": `import { x } from "../graph/x.js"; export const y = x;`,
  "src/model/source.ts": `import { x } from "../files/byte-source.js"; export const y = x;`,
  "src/files/node.ts": `import { open } from "node:fs/promises"; export const y = open;`,
  "src/runs/journal.ts": `import { open } from "node:fs/promises"; export const y = open;`,
  "src/measure/onnx-node-session.ts": `export const y = import("onnxruntime-node");`,
  "src/study/all.ts": `import { x } from "../measure/x.js"; import { z } from "../predict/x.js"; export const y = x + z;`,
  "src/base/up.test.ts": `import { x } from "../cli/x.js"; export const y = x + Math.random() + Date.now();`,
};
const lintReport = z.object({ diagnostics: z.array(z.object({ filename: z.string() })) });

describe("the lint rules made of the table", () => {
  const folder = mkdtempSync(join(tmpdir(), "nsquared-house-"));
  let found: string[] = [];

  beforeAll(async () => {
    copyFileSync(fileURLToPath(lintFile), join(folder, ".oxlintrc.json"));
    for (const [path, text] of Object.entries({ ...refused, ...allowed })) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `${text}\n`);
    }
    const args = [tool("oxlint"), "--allow", "all", "--format", "json", "src"];
    // oxlint exits with 1 where it finds something.
    const result: unknown = await promisify(execFile)(process.execPath, args, { cwd: folder }).catch(
      (error: unknown) => error,
    );
    const { stdout } = z.object({ stdout: z.string() }).parse(result);
    found = lintReport.parse(JSON.parse(stdout)).diagnostics.map(({ filename }) => filename.replaceAll("\\", "/"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(Object.entries(refused))("refuse %s: %s", (path) => {
    expect(found).toContain(path);
  });

  test.each(Object.entries(allowed))("accept %s: %s", (path) => {
    expect(found).not.toContain(path);
  });
});

test.each(Object.keys(runtimes))("%s is loaded in one file at most, and not before it is needed", (runtime) => {
  const texts = sources.map((path) => ({ path, text: readFileSync(join(root, "src", path), "utf8") }));
  const late = texts.filter(({ text }) => text.includes(`await import("${runtime}`));
  expect(late.length).toBeLessThanOrEqual(1);
  const early = new RegExp(`^(import|export) (?!type\\b)(?:[^;]*from )?"${runtime}`, "m");
  expect(texts.filter(({ text }) => early.test(text)).map(({ path }) => path)).toEqual([]);
});

describe("the lock file", () => {
  const locked = z.object({
    version: z.string(),
    resolved: z.string().optional(),
    integrity: z.string().optional(),
    optionalDependencies: z.record(z.string(), z.string()).default({}),
  });
  const lock = z
    .object({ packages: z.record(z.string(), locked) })
    .parse(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")));
  const packages = Object.entries(lock.packages).filter(([path]) => path !== "");

  test("names no address to download from, and has a digest for every package", () => {
    expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
    expect(packages.filter(([, { integrity }]) => integrity === undefined).map(([path]) => path)).toEqual([]);
  });

  test("lists the packages of all platforms, without which npm ci refuses it", () => {
    const missing = packages.flatMap(([path, { optionalDependencies }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages),
      ),
    );
    expect(missing).toEqual([]);
  });
});
