import { NsquaredError, badInput } from "../base/errors.js";
import type { Access } from "./access.js";
import type { ByteSource } from "./byte-source.js";

/** Whether the text is an address that can be fetched. */
export function isAddress(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

/**
 * Bytes behind an http(s) address, read with range requests. A server that ignores ranges sends everything; then the
 * answer is read only up to the last byte wanted.
 *
 * @throws bad input (`not-found`, `not-allowed`, `no-network`, `bad-answer`) on reading
 */
export function urlSource(address: string, access: Access): ByteSource {
  return { name: address, size: null, read: (from, to) => readRange(address, from, to, access) };
}

async function readRange(address: string, from: number, to: number, access: Access): Promise<Uint8Array> {
  const response = await request(address, from, to, access);
  if (response.status === 416) return new Uint8Array(0);
  if (response.status === 404) {
    throw badInput("not-found", { where: address, key: "HTTP status", found: 404, expected: "there is no such file" });
  }
  if (response.status === 401 || response.status === 403) {
    throw badInput("not-allowed", {
      where: address,
      key: "HTTP status",
      found: response.status,
      expected: "the file is not public: download it yourself and give its path",
    });
  }
  if (!response.ok) {
    throw badInput("bad-answer", {
      where: address,
      key: "HTTP status",
      found: response.status,
      expected: "expected 200 or 206; try again later or give a local file",
    });
  }
  const skip = response.status === 206 ? 0 : from;
  try {
    const bytes = await collect(response, skip + (to - from));
    return bytes.subarray(Math.min(skip, bytes.length));
  } catch (cause) {
    throw noNetwork(address, access, cause);
  }
}

async function request(address: string, from: number, to: number, access: Access): Promise<Response> {
  try {
    return await access.fetch(address, {
      headers: { Range: `bytes=${from}-${to - 1}` },
      signal: AbortSignal.timeout(access.timeoutMilliseconds),
    });
  } catch (cause) {
    throw noNetwork(address, access, cause);
  }
}

function noNetwork(address: string, access: Access, cause: unknown): NsquaredError {
  const timedOut = cause instanceof Error && cause.name === "TimeoutError";
  const reason = timedOut ? `no answer within ${access.timeoutMilliseconds / 1000} s` : "the address cannot be reached";
  return new NsquaredError(
    "no-network",
    `${address}: ${reason}; is there a network? A downloaded config.json or a built-in name works without one`,
    { where: address },
    2,
    cause,
  );
}

/** At most `limit` bytes of the body; the rest is not read. */
async function collect(response: Response, limit: number): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array(0);
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
  }
  await reader.cancel();
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all.subarray(0, Math.min(limit, length));
}
