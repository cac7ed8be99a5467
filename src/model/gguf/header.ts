import type { GGUFTensorInfo } from "@huggingface/gguf";
import { NsquaredError, badInput } from "../../base/errors.js";
import type { ByteSource } from "../../files/byte-source.js";
import type { StoredTensor } from "../stored.js";
import { skimHeader } from "./skim.js";
import { tensorType } from "./tensor-types.js";

interface GgufTensor extends StoredTensor {
  /** Sizes, fastest first: a matrix is [in, out]. */
  readonly shape: readonly number[];
}

export interface GgufHeader {
  /** Short entries; lists of texts, the tokenizer's, are left out. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly GgufTensor[];
}

/**
 * The header of a GGUF file: entries and tensors, never the weights.
 *
 * @throws bad input when the header is cut off or damaged, or lists tensors that the file cannot hold
 */
export async function readHeader(source: ByteSource): Promise<GgufHeader> {
  const skimmed = await skimHeader(source);
  const skipped = skimmed.tensorsFrom - skimmed.front.length;
  const short = shortened(source, skimmed.front, skipped, skimmed.size);
  const parsed = await parse(short, source.name);
  const end = parsed.tensorInfoByteRange[1] + skipped;
  const size = short.size();
  if (size !== null && end > size) throw truncated(source.name, size, end);
  const metadata = Object.fromEntries(Object.entries(parsed.metadata));
  const alignment = Number(metadata["general.alignment"] ?? 32);
  const dataFrom = Math.ceil(end / alignment) * alignment;
  return { metadata, tensors: tensorsOf(parsed.tensorInfos, dataFrom, size, source.name) };
}

interface Shortened {
  read(from: number, to: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Length of the whole file, where it is known by now. */
  size(): number | null;
}

/** The file without what was skipped: `front`, then everything from the list of tensors on. */
function shortened(source: ByteSource, front: Uint8Array, skipped: number, knownSize: number | null): Shortened {
  let size = knownSize;
  return {
    size: () => size,
    async read(from, to) {
      const bytes = new Uint8Array(to - from);
      const ahead = from < front.length ? front.subarray(from, to) : front.subarray(0, 0);
      bytes.set(ahead);
      if (ahead.length === bytes.length) return bytes;
      const restFrom = from + ahead.length + skipped;
      // The parser asks for the next block before it knows whether it needs it, so one empty answer is no error.
      const last = to + skipped;
      if (size !== null && restFrom - size > last - restFrom) throw truncated(source.name, size, restFrom);
      const rest = await source.read(restFrom, last);
      if (rest.length < last - restFrom) size ??= restFrom + rest.length;
      bytes.set(rest, ahead.length);
      return bytes.subarray(0, ahead.length + rest.length);
    },
  };
}

async function parse(short: Shortened, where: string) {
  const { gguf } = await import("@huggingface/gguf");
  const fetch = async (_address: unknown, options?: RequestInit): Promise<Response> => {
    const [, from = "0", to = "0"] = /^bytes=(\d+)-(\d+)$/.exec(new Headers(options?.headers).get("range") ?? "") ?? [];
    return new Response(await short.read(Number(from), Number(to) + 1), { status: 206 });
  };
  try {
    return await gguf("http://gguf.invalid/", { fetch });
  } catch (cause) {
    if (cause instanceof NsquaredError) throw cause;
    const reason = cause instanceof Error ? cause.message.replaceAll(/\s+/g, " ").slice(0, 200) : "unknown reason";
    throw badInput("bad-gguf", { where, expected: `the header cannot be read: ${reason}` });
  }
}

function truncated(where: string, size: number, wanted: number): NsquaredError {
  return badInput("truncated", {
    where,
    key: "length in bytes",
    found: size,
    expected: `the header goes on to byte ${wanted} at least; the file is cut off or damaged`,
  });
}

/** Checks each tensor against its type and against the end of the file. */
function tensorsOf(
  infos: readonly GGUFTensorInfo[],
  dataFrom: number,
  fileBytes: number | null,
  where: string,
): GgufTensor[] {
  const names = new Set<string>();
  return infos.map((info, index) => {
    const bad = (key: string, found: unknown, expected: string) =>
      badInput("bad-gguf", { where, key: `${key} of tensor ${index} (${info.name.slice(0, 60)})`, found, expected });
    if (info.name === "" || info.name.includes("\uFFFD")) throw bad("name", info.name, "expected a name in UTF-8");
    if (names.has(info.name)) throw bad("name", info.name, "another tensor has the same name");
    names.add(info.name);
    const type = tensorType(info.dtype);
    if (type === null) throw bad("type", info.dtype, "this number stands for no type that is known");
    const shape = info.shape.map(Number);
    const elements = shape.reduce((product, size) => product * size, 1);
    if (shape.length === 0 || elements < 1) throw bad("shape", shape, "expected sizes of 1 or more");
    if (!Number.isSafeInteger(elements)) throw bad("shape", shape, "so many elements cannot be");
    if ((shape[0] ?? 0) % type.block !== 0) {
      throw bad("first size", shape[0], `expected a multiple of ${type.block}, the block of ${type.name}`);
    }
    const bytes = (elements / type.block) * type.bytes;
    const last = dataFrom + Number(info.offset) + bytes;
    if (fileBytes !== null && last > fileBytes) {
      throw bad("last byte", last, `the file has ${fileBytes} bytes, so the tensor cannot be in it`);
    }
    return { name: info.name, shape, type: type.name, elements, bytes };
  });
}
