// Running other programs from the project's scripts; plain Node, works before anything is installed.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * The JavaScript file behind a command of an installed package, to be run with Node itself: no shell, no .cmd files.
 *
 * @param {string} name the package
 * @param {string} [command] the command, where it is not named like the package
 */
export function tool(name, command = name) {
  const folder = join(root, "node_modules", name);
  /** @type {{bin: string | Record<string, string>}} */
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = typeof bin === "string" ? bin : bin[command];
  if (file === undefined) throw new Error(`${name} has no command ${command}`);
  return join(folder, file);
}

/**
 * Runs a program in the project's folder and keeps what it prints.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{shell?: boolean}} [options]
 * @returns {Promise<{ok: boolean, output: string}>}
 */
export function run(program, args, { shell = false } = {}) {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: "1" };
    const child = spawn(program, args, { cwd: root, env, shell, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (/** @type {Buffer} */ chunk) => {
      output += chunk.toString();
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => resolve({ ok: false, output: `${output}${error.message}\n` }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

/** @param {readonly string[]} args a JavaScript file and its arguments */
export function runNode(args) {
  return run(process.execPath, args);
}

/**
 * Does one step: prints its name at once, and what came of it when it is done.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<{ok: boolean, output: string, value?: T}>} work
 */
export async function step(name, work) {
  const start = performance.now();
  process.stdout.write(`${name} … `);
  const result = await work();
  console.log(`${result.ok ? "ok" : "FAILED"} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  if (!result.ok) console.log(result.output.trimEnd());
  return result;
}
