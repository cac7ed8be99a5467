import { badInput } from "../../base/errors.js";
import type { ByteSource } from "../../files/byte-source.js";
import { ForwardReader } from "./forward-reader.js";

/** Longest header that is read; those of real files have up to some 20 MB, nearly all of it the tokenizer's words. */
const longestHeader = 64 * 1024 * 1024;
/** The most that any real file has is a few dozen entries and some 10,000 tensors. */
const mostEntries = 10_000;
const mostTensors = 100_000;
const longestName = 4096;
/** Longer values are the tokenizer's. */
const longestText = 64 * 1024;
const longestList = 10_000;
const deepestList = 4;

const arrayType = 9;
const textType = 8;
/** Bytes of a scalar by its type's number: u8 i8 u16 i16 u32 i32 f32 bool (text) (array) u64 i64 f64. */
const scalarBytes = [1, 1, 2, 2, 4, 4, 4, 1, null, null, 8, 8, 8] as const;

/** The front of a header without the values that describing a model does not need. */
export interface SkimmedHeader {
  /** Magic, version, counts and the entries that were kept, as GGUF. */
  readonly front: Uint8Array;
  /** Where in the source the list of tensors begins. */
  readonly tensorsFrom: number;
  /** Where the source ends, where that was found out. */
  readonly size: number | null;
}

/**
 * Walks the entries of a GGUF header and leaves out lists of texts, long lists and long texts: the tokenizer. A parser
 * spends a second on its half a million words, and none of them costs inference anything. Counts and lengths are
 * checked against limits and the end of the file before anything of their size is read.
 *
 * @throws bad input when the header is cut off, not GGUF, or claims what cannot be
 */
export async function skimHeader(source: ByteSource): Promise<SkimmedHeader> {
  const reader = new ForwardReader(source, longestHeader);
  const bad = (key: string, found: unknown, expected: string): Error =>
    badInput("bad-gguf", { where: source.name, key, found, expected });
  const magic = await reader.take(4);
  if (String.fromCharCode(...magic) !== "GGUF") {
    throw bad("first four bytes", [...magic].map((byte) => byte.toString(16).padStart(2, "0")).join(" "), "not GGUF");
  }
  const versionBytes = await reader.take(4);
  const versionView = new DataView(versionBytes.buffer);
  reader.littleEndian = (versionView.getUint32(0, true) & 0xffff) !== 0;
  const version = versionView.getUint32(0, reader.littleEndian);
  if (version !== 2 && version !== 3) throw bad("version of GGUF", version, "expected 2 or 3");
  await reader.need(16);
  const tensors = reader.uint64();
  const entries = reader.uint64();
  if (tensors > mostTensors) throw bad("number of tensors", tensors, `expected at most ${mostTensors}`);
  if (entries > mostEntries) throw bad("number of entries", entries, `expected at most ${mostEntries}`);

  const kept: Uint8Array[] = [];
  let keptEntries = 0;
  for (let entry = 0; entry < entries; entry += 1) {
    const key = await takeText(reader, longestName);
    if (key === null) throw bad(`name of entry ${entry}`, `longer than ${longestName} bytes`, "the header is damaged");
    checkUtf8(key.subarray(8), source.name, `name of entry ${entry}`);
    const type = await reader.take(4);
    const value = await takeValue(reader, uint(type, 0, 4, reader.littleEndian), bad);
    if (value === null) continue;
    kept.push(key, type, ...value);
    keptEntries += 1;
  }
  const counts = new DataView(new ArrayBuffer(16));
  counts.setBigUint64(0, BigInt(tensors), reader.littleEndian);
  counts.setBigUint64(8, BigInt(keptEntries), reader.littleEndian);
  const front = joined([magic, versionBytes, new Uint8Array(counts.buffer), ...kept]);
  return { front, tensorsFrom: reader.position, size: reader.size };
}

type Bad = (key: string, found: unknown, expected: string) => Error;

/** The bytes of a value that is kept, or null where it was skipped. */
async function takeValue(reader: ForwardReader, type: number, bad: Bad): Promise<Uint8Array[] | null> {
  if (type === textType) {
    const text = await takeText(reader, longestText);
    return text === null ? null : [text];
  }
  if (type !== arrayType) return [await reader.take(bytesOf(type, bad))];
  const head = await reader.take(12);
  const items = uint(head, 0, 4, reader.littleEndian);
  const count = uint(head, 4, 8, reader.littleEndian);
  if (items !== textType && items !== arrayType && count <= longestList) {
    return [head, await reader.take(count * bytesOf(items, bad))];
  }
  await skipItems(reader, items, count, bad, 0);
  return null;
}

async function skipItems(reader: ForwardReader, type: number, count: number, bad: Bad, depth: number): Promise<void> {
  if (type === textType) {
    checkCount(reader, count, 8);
    await reader.skipTexts(count);
    return;
  }
  if (type !== arrayType) {
    reader.skip(count * bytesOf(type, bad));
    return;
  }
  if (depth >= deepestList) throw bad("nesting of lists", `more than ${deepestList}`, "the header is damaged");
  checkCount(reader, count, 12);
  for (let item = 0; item < count; item += 1) {
    await reader.need(12);
    const inner = reader.uint32();
    await skipItems(reader, inner, reader.uint64(), bad, depth + 1);
  }
}

/** Refuses a count whose items cannot all be there, before any of them is read. */
function checkCount(reader: ForwardReader, count: number, leastBytes: number): void {
  const before = reader.position;
  reader.skip(count * leastBytes);
  reader.position = before;
}

/** Length and bytes of a text, or null where it is longer than `longest` and was skipped. */
async function takeText(reader: ForwardReader, longest: number): Promise<Uint8Array | null> {
  await reader.need(8);
  const length = reader.uint64();
  if (length > longest) {
    reader.skip(length);
    return null;
  }
  reader.position -= 8;
  return reader.take(8 + length);
}

function bytesOf(type: number, bad: Bad): number {
  const bytes = scalarBytes[type];
  if (bytes === undefined || bytes === null) throw bad("type of a value", type, "expected a number from 0 to 12");
  return bytes;
}

function uint(bytes: Uint8Array, at: number, size: 4 | 8, littleEndian: boolean): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return size === 4 ? view.getUint32(at, littleEndian) : Number(view.getBigUint64(at, littleEndian));
}

function checkUtf8(bytes: Uint8Array, where: string, key: string): void {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badInput("not-utf8", { where, expected: `${key} is not UTF-8; the header is damaged` });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
