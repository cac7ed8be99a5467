import type { Access } from "./access.js";
import type { ByteSource } from "./byte-source.js";
import { isAddress, urlSource } from "./url-source.js";

/** Opens a file of a model's folder by name; null where there is none on this machine. */
export type OpenBeside = (file: string) => Promise<ByteSource | null>;

/** Opens files of the folder that `path`, a path or an address, lies in. */
export function beside(path: string, access: Access): OpenBeside {
  if (isAddress(path)) {
    return (file) => Promise.resolve(urlSource(new URL(file, path.replace(/[?#].*$/, "")).href, access));
  }
  const folder = /^.*[\\/]/.exec(path)?.[0] ?? "";
  return async (file) => {
    const files = access.fileSystem;
    return files !== null && (await files.kindOf(folder + file)) === "file" ? files.open(folder + file) : null;
  };
}
