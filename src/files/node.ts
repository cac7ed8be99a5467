import { type FileHandle, open, stat } from "node:fs/promises";
import { NsquaredError, badInput } from "../base/errors.js";
import type { Access, FileSystem } from "./access.js";
import type { ByteSource } from "./byte-source.js";

/** The machine's own file system. */
export const nodeFileSystem: FileSystem = {
  async kindOf(path) {
    try {
      const found = await stat(path);
      return found.isFile() ? "file" : found.isDirectory() ? "folder" : "other";
    } catch {
      return null;
    }
  },
  open: fileSource,
};

/** Files of this machine and the network. */
export function nodeAccess(timeoutMilliseconds = 20_000): Access {
  return { fileSystem: nodeFileSystem, fetch: (address, options) => fetch(address, options), timeoutMilliseconds };
}

async function fileSource(path: string): Promise<ByteSource> {
  let size: number;
  try {
    size = (await stat(path)).size;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return { name: path, size, read: (from, to) => readRange(path, from, Math.min(to, size)) };
}

async function readRange(path: string, from: number, to: number): Promise<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const bytes = new Uint8Array(Math.max(0, to - from));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
    return bytes.subarray(0, bytesRead);
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    await file?.close();
  }
}

function unreadable(path: string, cause: unknown): NsquaredError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown reason";
  const details = badInput("unreadable", { where: path, expected: `the file cannot be read (${code})` });
  return new NsquaredError(details.code, details.message, details.details, details.exitCode, cause);
}
