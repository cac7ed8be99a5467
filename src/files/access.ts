import type { ByteSource } from "./byte-source.js";

/** What reading models needs from a file system. */
export interface FileSystem {
  /** What lies at the path; null where there is nothing. */
  kindOf(path: string): Promise<"file" | "folder" | "other" | null>;
  /** @throws bad input when the file cannot be read */
  open(path: string): Promise<ByteSource>;
}

/** The part of the standard `fetch` that is used. */
export type Fetch = (
  address: string,
  options: { readonly headers?: Record<string, string>; readonly signal?: AbortSignal },
) => Promise<Response>;

/** The outside world that files are read from; tests hand in their own. */
export interface Access {
  /** Null in a browser. */
  readonly fileSystem: FileSystem | null;
  readonly fetch: Fetch;
  /** Longest wait for one answer from the network, in milliseconds. */
  readonly timeoutMilliseconds: number;
}

/** Access of a browser: addresses and hub names only. */
export function webAccess(fetch: Fetch, timeoutMilliseconds = 20_000): Access {
  return { fileSystem: null, fetch, timeoutMilliseconds };
}
