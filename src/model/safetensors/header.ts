import { z } from "zod";
import { badInput } from "../../base/errors.js";
import type { ByteSource } from "../../files/byte-source.js";
import { parseJsonObject } from "../hf/json.js";
import type { StoredTensor } from "../stored.js";

/** Longest header, as the reference implementation of the format has it. */
const longestHeader = 100_000_000;

/** Bits of one element by dtype: https://github.com/huggingface/safetensors, `safetensors/src/tensor.rs`. */
const bitsOf: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  I64: 64,
  U64: 64,
  F64: 64,
};

const offset = z.number().int().nonnegative();
const entrySchema = z.object({
  dtype: z.string().max(40),
  shape: z.array(offset).max(16),
  data_offsets: z.tuple([offset, offset]),
});

/** A tensor and where its bytes lie in the file. */
export interface PlacedTensor extends StoredTensor {
  readonly shape: readonly number[];
  /** First byte, from the file's beginning. */
  readonly from: number;
}

/**
 * The tensors of a safetensors file from its header: eight bytes of length, then JSON. Each tensor must take the bytes
 * that its shape and dtype ask for, and together they must fill the file without gaps or overlaps.
 *
 * @throws bad input when the header is cut off or damaged, or the tensors cannot be in the file
 */
export async function readSafetensors(source: ByteSource): Promise<StoredTensor[]> {
  return (await readPlacedTensors(source)).map(({ name, type, elements, bytes }) => ({ name, type, elements, bytes }));
}

/** The same with shapes and places, for those who read the numbers. */
export async function readPlacedTensors(source: ByteSource): Promise<PlacedTensor[]> {
  const where = source.name;
  const prefix = await source.read(0, 8);
  if (prefix.length < 8) {
    throw badInput("truncated", {
      where,
      key: "length in bytes",
      found: prefix.length,
      expected: "expected 8 or more",
    });
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  const most = Math.min(longestHeader, source.size === null ? longestHeader : source.size - 8);
  if (length > most) {
    const expected = `at most ${most} bytes can be a header here`;
    throw badInput("bad-safetensors", { where, key: "length of the header", found: String(length), expected });
  }
  const end = 8 + Number(length);
  const bytes = await source.read(8, end);
  if (bytes.length < end - 8) {
    const expected = `the header goes on to byte ${end}; the file is cut off`;
    throw badInput("truncated", { where, key: "length in bytes", found: 8 + bytes.length, expected });
  }
  const header = parseJsonObject(decoded(bytes, where), where);
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  const tensors = entries.map(([name, value]) => tensorOf(name, value, where));
  checkLayout(tensors, source.size === null ? null : source.size - end, where);
  return tensors.map((tensor) => ({ ...tensor, from: tensor.from + end }));
}

function decoded(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badInput("not-utf8", { where, expected: "the header is not UTF-8" });
  }
}

function tensorOf(name: string, value: unknown, where: string): PlacedTensor {
  const bad = (key: string, found: unknown, expected: string) =>
    badInput("bad-safetensors", { where, key: `${key} of tensor ${name.slice(0, 60)}`, found, expected });
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) throw bad("entry", value, "expected dtype, shape and data_offsets");
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  const bits = Object.hasOwn(bitsOf, dtype) ? bitsOf[dtype] : undefined;
  if (bits === undefined) throw bad("dtype", dtype, `expected one of ${Object.keys(bitsOf).join(", ")}`);
  const elements = shape.reduce((product, size) => product * size, 1);
  const bytes = (elements * bits) / 8;
  const [from, to] = offsets;
  if (!Number.isSafeInteger(elements) || to - from !== bytes) {
    throw bad("data_offsets", offsets, `${dtype} of shape [${shape.join(", ")}] takes ${bytes} bytes`);
  }
  return { name, type: dtype, elements, bytes, shape, from };
}

function checkLayout(tensors: readonly PlacedTensor[], room: number | null, where: string): void {
  let at = 0;
  for (const { name, from, bytes } of [...tensors].sort(
    (left, right) => left.from - right.from || left.bytes - right.bytes,
  )) {
    if (from !== at) {
      const key = `first byte of tensor ${name.slice(0, 60)}`;
      throw badInput("bad-safetensors", { where, key, found: from, expected: `the one before ends at ${at}` });
    }
    at += bytes;
  }
  if (room !== null && at > room) {
    const expected = `the file has room for ${room}, so the tensors cannot be in it`;
    throw badInput("bad-safetensors", { where, key: "bytes of all tensors", found: at, expected });
  }
}
