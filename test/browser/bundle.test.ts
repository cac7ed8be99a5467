import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Rollup } from "vite";
import { describe, expect, test } from "vitest";

const pure = [
  "base/format",
  "math/expression",
  "model/index",
  "graph/index",
  "cost/index",
  "hardware/index",
  "predict/index",
  "fit/index",
];

/** Bundles entries of src/ for a browser, without shims, and gives the code. */
async function bundle(entries: readonly string[]): Promise<string> {
  const source = entries
    .map((entry, index) => {
      const path = fileURLToPath(new URL(`../../src/${entry}.ts`, import.meta.url));
      return `export * as entry${index} from ${JSON.stringify(path)};`;
    })
    .join("\n");
  const folder = mkdtempSync(join(tmpdir(), "nsquared-bundle-"));
  const entry = join(folder, "entry.ts");
  writeFileSync(entry, source);
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, minify: false, lib: { entry, formats: ["es"], fileName: "bundle" } },
  }).finally(() => {
    rmSync(folder, { recursive: true });
  });
  const outputs = (Array.isArray(built) ? built : [built]) as Rollup.RollupOutput[];
  return outputs.flatMap(({ output }) => output.map((file) => (file.type === "chunk" ? file.code : ""))).join("\n");
}

describe("a browser", () => {
  test("gets the pure folders without anything of Node", async () => {
    const code = await bundle(pure);
    expect(code).not.toMatch(/from\s*["']node:/);
    expect(code).not.toMatch(/browser-external/);
    expect(code).toContain("predictCurve");
  });

  test("would notice one that is not pure", async () => {
    expect(await bundle(["measure/environment"])).toMatch(/node:|browser-external/);
  });
});
