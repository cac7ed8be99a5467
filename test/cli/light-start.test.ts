import { fileURLToPath } from "node:url";
import { build, type Rollup } from "vite";
import { describe, expect, test } from "vitest";

/** Packages that a file of src/ loads at once, dynamic imports not counted. */
async function loadedAtOnce(entry: string): Promise<Set<string>> {
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      ssr: fileURLToPath(new URL(`../../src/${entry}`, import.meta.url)),
      write: false,
    },
  });
  const { output } = (Array.isArray(built) ? built[0] : built) as Rollup.RollupOutput;
  const chunks = new Map(output.flatMap((file) => (file.type === "chunk" ? [[file.fileName, file] as const] : [])));
  const packages = new Set<string>();
  const seen = new Set<string>();
  const walk = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const chunk = chunks.get(name);
    if (chunk === undefined) packages.add(name);
    else chunk.imports.forEach(walk);
  };
  for (const chunk of chunks.values()) if (chunk.isEntry) walk(chunk.fileName);
  return packages;
}

const heavy = ["onnxruntime-node", "@observablehq/plot", "linkedom", "cli-progress", "ml-matrix", "jstat"];

describe("predict", () => {
  test("loads neither ONNX Runtime nor anything that draws or fits", async () => {
    const packages = await loadedAtOnce("cli/predict.ts");
    expect(packages).toContain("zod");
    for (const name of heavy) expect(packages).not.toContain(name);
  });

  test("would be caught if it did", async () => {
    expect(await loadedAtOnce("cli/measure.ts")).toContain("cli-progress");
    expect(await loadedAtOnce("fit/index.ts")).toContain("ml-matrix");
  });
});
