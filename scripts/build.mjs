// Compiles src/ to dist/, unless dist/ is made of the same sources already.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root, runNode, step, tool } from "./process.mjs";

const stamp = join(root, "dist", ".sources");

/** A digest of everything that dist/ is made of. */
function sourcesDigest() {
  const digest = createHash("sha256");
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(ts|json)$/.test(path) && !path.endsWith(".test.ts"))
    .map((path) => join("src", path))
    .toSorted();
  for (const path of [...sources, "tsconfig.json", "tsconfig.build.json", "package-lock.json"]) {
    digest.update(`${path}\n`).update(readFileSync(join(root, path)));
  }
  return digest.digest("hex");
}

function builtDigest() {
  try {
    return readFileSync(stamp, "utf8");
  } catch {
    return null;
  }
}

/** Whether dist/ is current afterwards. */
export async function build() {
  const digest = sourcesDigest();
  if (digest === builtDigest()) return true;
  const { ok } = await step("Building dist", () => {
    rmSync(join(root, "dist"), { recursive: true, force: true });
    return runNode([tool("typescript", "tsc"), "-p", "tsconfig.build.json"]);
  });
  if (ok) writeFileSync(stamp, digest);
  return ok;
}

if (process.argv[1] === fileURLToPath(import.meta.url) && !(await build())) process.exitCode = 1;
