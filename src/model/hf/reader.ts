import type { ModelDescription } from "../types.js";
import type { ConfigReader } from "./config-reader.js";

/** What a family's reader finds out; the rest is the same for all families. */
export type ReaderResult = Omit<ModelDescription, "name" | "modelType" | "source" | "filled" | "notes">;

/** Reads the keys of one family. @throws bad input naming the key */
export type Reader = (config: ConfigReader) => ReaderResult;
