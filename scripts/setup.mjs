// Makes a fresh clone ready: checks Node, installs the packages of package-lock.json, builds. Does nothing that is done.
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "./build.mjs";
import { root, run, runNode, step } from "./process.mjs";

/** @typedef {{version?: string, optional?: boolean, peer?: boolean}} LockedPackage */

/** @param {string} path @returns {Record<string, LockedPackage> | null} what a lock file lists; null where there is none */
function lockedPackages(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8")).packages;
  } catch {
    return null;
  }
}

/** Whether node_modules holds what package-lock.json says; packages for other platforms may be absent. */
function isInstalled() {
  const wanted = lockedPackages("package-lock.json");
  const present = lockedPackages("node_modules/.package-lock.json");
  if (wanted === null || present === null) return false;
  return Object.entries(wanted).every(([path, { version, optional = false }]) => {
    if (path === "") return true;
    const found = present[path];
    return found === undefined ? optional : found.version === version;
  });
}

function install() {
  // Development packages too, whatever NODE_ENV says: the compiler is one of them.
  const args = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = process.env.npm_execpath;
  if (npm !== undefined && basename(npm) === "npm-cli.js") return runNode([npm, ...args]);
  return run("npm", args, { shell: process.platform === "win32" });
}

function nodeIsRecent() {
  const wanted = /** @type {{engines: {node: string}}} */ (
    JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  ).engines.node.replace(">=", "");
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split(".").map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return true;
  console.error(`nsquared needs Node ${wanted} or newer; this is ${process.versions.node}. See https://nodejs.org.`);
  return false;
}

async function setUp() {
  if (!nodeIsRecent()) return false;
  if (!isInstalled()) {
    const { ok } = await step("Installing packages with npm ci (about half a gigabyte, once)", install);
    if (!ok) return false;
  }
  return build();
}

if (!(await setUp())) process.exitCode = 1;
