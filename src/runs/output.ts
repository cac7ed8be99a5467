import { randomBytes } from "node:crypto";
import { chmod, link, mkdir, open, rename, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { badInput, type NsquaredError } from "../base/errors.js";

/** The system's code of an error (`EACCES`), or null. */
export function systemCode(error: unknown): string | null {
  const code: unknown = typeof error === "object" && error !== null && "code" in error ? error.code : null;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : null;
}

const explanations: Record<string, string> = {
  EACCES: "no permission to write there",
  EPERM: "no permission to write there",
  ENOENT: "the folder does not exist and cannot be made",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENOTDIR: "a part of the path is a file, not a folder",
  EEXIST: "a file stands where a folder is needed",
  EISDIR: "it is a folder",
  ENAMETOOLONG: "the name is too long",
};

/** One line for a path that cannot be written. */
export function unwritable(path: string, error: unknown): NsquaredError {
  const code = systemCode(error);
  const why = code === null ? String(error) : (explanations[code] ?? code);
  return badInput("output-unwritable", {
    where: path,
    expected: `cannot be written: ${why}; choose a folder that can`,
  });
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw unwritable(path, error);
  }
}

/**
 * Makes a folder and those above it. Not by `mkdir`'s own `recursive`: in Node 20 that never returns where a file system
 * answers ENOENT although the parent exists (/proc).
 */
async function makeFolder(folder: string): Promise<void> {
  if (await exists(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) await makeFolder(parent);
  try {
    await mkdir(folder);
  } catch (error) {
    // Another process may have made it in the meantime; a file in its place shows when the run is opened.
    if (systemCode(error) !== "EEXIST") throw unwritable(folder, error);
  }
}

export async function makeFolderOf(path: string): Promise<void> {
  await makeFolder(dirname(resolve(path)));
}

export function alreadyThere(path: string): NsquaredError {
  return badInput("run-exists", { where: path, expected: "already exists; runs are never overwritten" });
}

/** Systems and file systems without hard links say one of these. */
const noLinks: ReadonlySet<string | null> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV"]);

/** Gives a finished file its name; a hard link, unlike a rename, never replaces what is there. */
async function publish(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
    await unlink(temporary);
  } catch (error) {
    const code = systemCode(error);
    if (code === "EEXIST") throw alreadyThere(path);
    if (!noLinks.has(code)) throw unwritable(path, error);
    if (await exists(path)) throw alreadyThere(path);
    await rename(temporary, path);
  }
}

/**
 * Writes a file that never changes again: whole or not at all, read-only (mode 0444), never over an existing one.
 *
 * @throws NsquaredError `run-exists`, `output-unwritable`
 */
export async function writeImmutable(path: string, text: string): Promise<void> {
  await makeFolderOf(path);
  const temporary = join(dirname(path), `.nsquared-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(temporary, 0o444);
    await publish(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    if (systemCode(error) === null) throw error;
    throw unwritable(path, error);
  }
}

/**
 * Writes a text file that may replace an older one: whole or not at all.
 *
 * @throws NsquaredError `output-unwritable`
 */
export async function writeText(path: string, text: string): Promise<void> {
  await makeFolderOf(path);
  const temporary = join(dirname(path), `.nsquared-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeFile(temporary, text, { flag: "wx" });
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw unwritable(path, error);
  }
}
