import { open, stat } from "node:fs/promises";
import { badInput } from "../base/errors.js";
import { journalPathOf } from "./journal.js";
import { systemCode } from "./output.js";
import { parseRun } from "./parse.js";
import type { Run } from "./schema.js";

/** A run file larger than this is refused unread: a million samples stay below it. */
export const largestRunBytes = 256 * 1024 * 1024;

/** Looked up before opening: opening a pipe would wait for ever. */
async function statOf(path: string): Promise<{ size: number; isFile: boolean }> {
  const info = await stat(path);
  return { size: info.size, isFile: info.isFile() };
}

/** Reads a regular file of bounded size, however large it claims to be or grows. */
async function readBounded(path: string): Promise<string> {
  const { size, isFile } = await statOf(path);
  if (!isFile) throw badInput("run-not-a-file", { where: path, expected: "not a regular file; expected a run file" });
  if (size > largestRunBytes) {
    throw badInput("run-too-large", {
      where: path,
      key: "size",
      found: size,
      expected: `at most ${largestRunBytes} bytes`,
    });
  }
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(size);
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.toString("utf8", 0, filled);
  } finally {
    await file.close();
  }
}

async function readOrNull(path: string): Promise<Run | null> {
  try {
    return parseRun(await readBounded(path), path);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return null;
    if (code === null) throw error;
    throw badInput("run-unreadable", { where: path, expected: `cannot be read: ${code}` });
  }
}

/**
 * Reads a run: a sealed file, or the journal that a process left behind when it died (status `incomplete`). Given the
 * path of a run that was never sealed, it finds the journal beside it.
 *
 * @throws NsquaredError `run-not-found`, `run-not-a-file`, `run-unreadable`, `run-too-large`, and what `parseRun` throws
 */
export async function readRun(path: string): Promise<Run> {
  const run = (await readOrNull(path)) ?? (await readOrNull(journalPathOf(path)));
  if (run === null) throw badInput("run-not-found", { where: path, expected: "no such file; expected a run" });
  return run;
}
