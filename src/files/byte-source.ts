import { badInput } from "../base/errors.js";

/** Bytes that can be read piece by piece, wherever they lie. */
export interface ByteSource {
  /** Path or address, as error messages name it. */
  readonly name: string;
  /** Bytes in all, or null where that is not known before reading. */
  readonly size: number | null;
  /** The bytes from `from` up to, not including, `to`; fewer where the source ends before. */
  read(from: number, to: number): Promise<Uint8Array>;
}

/** A source over bytes that are already in memory. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    read: (from, to) => Promise.resolve(bytes.subarray(Math.min(from, bytes.length), Math.min(to, bytes.length))),
  };
}

/**
 * The whole source as text.
 *
 * @param limit most bytes that are read
 * @throws bad input when the source is longer than `limit` or is not UTF-8
 */
export async function readText(source: ByteSource, limit: number): Promise<string> {
  const tooLong = (found: number | string) =>
    badInput("file-too-large", {
      where: source.name,
      key: "size in bytes",
      found,
      expected: `at most ${limit} bytes are read of such a file`,
    });
  if (source.size !== null && source.size > limit) throw tooLong(source.size);
  const bytes = await source.read(0, limit + 1);
  if (bytes.length > limit) throw tooLong(`more than ${limit}`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badInput("not-utf8", { where: source.name, expected: "expected text in UTF-8" });
  }
}
