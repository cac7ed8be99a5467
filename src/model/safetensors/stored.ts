import { z } from "zod";
import { badInput } from "../../base/errors.js";
import { type ByteSource, readText } from "../../files/byte-source.js";
import type { OpenBeside } from "../../files/beside.js";
import { parseJsonObject } from "../hf/json.js";
import { type StoredTensor, type StoredWeights, storedWeights } from "../stored.js";
import { readSafetensors } from "./header.js";

const longestIndex = 64 * 1024 * 1024;
const mostFiles = 4096;

const indexFile = "model.safetensors.index.json";
const singleFile = "model.safetensors";

/**
 * The safetensors files of a model folder: those its index names, or its one file.
 *
 * @throws bad input when there are none, or a file that the index names is not there
 */
export async function openSafetensors(open: OpenBeside, where: string): Promise<ByteSource[]> {
  const index = await open(indexFile);
  const names = index === null ? [singleFile] : parseIndex(await readText(index, longestIndex), index.name).values();
  const files: ByteSource[] = [];
  for (const name of [...new Set(names)].sort().slice(0, mostFiles)) {
    const file = await open(name);
    if (file === null) {
      throw badInput("no-weights", {
        where,
        key: name,
        expected: "the weights must lie beside the config, as on the hub",
      });
    }
    files.push(file);
  }
  return files;
}

/** What a model folder's safetensors files hold, and what is wrong with them in words. */
export interface FoundWeights {
  readonly stored: StoredWeights | null;
  readonly notes: readonly string[];
}

/** Counts the tensors of a model folder: through its index, or in its one file. Nothing where it has neither. */
export async function findSafetensors(open: OpenBeside): Promise<FoundWeights> {
  const index = await open(indexFile);
  if (index !== null) return readIndex(index, open);
  const single = await open(singleFile);
  if (single === null) return { stored: null, notes: [] };
  return { stored: storedWeights(single.name, await readSafetensors(single)), notes: [] };
}

/**
 * Counts the tensors of the files that an index names. Files that are not there leave the count out, with a note.
 *
 * @throws bad input when the index or a file cannot be right, or they contradict each other
 */
export async function readIndex(index: ByteSource, open: OpenBeside): Promise<FoundWeights> {
  const fileOf = parseIndex(await readText(index, longestIndex), index.name);
  const files = [...new Set(fileOf.values())].sort();
  if (files.length > mostFiles) {
    const expected = `expected at most ${mostFiles} different files`;
    throw badInput("bad-safetensors-index", { where: index.name, key: "weight_map", found: files.length, expected });
  }
  const tensors: StoredTensor[] = [];
  const missing: string[] = [];
  for (const file of files) {
    const source = await open(file);
    if (source === null) missing.push(file);
    else tensors.push(...(await readSafetensors(source)));
  }
  if (missing.length > 0) {
    const note = `${missing.length} of ${files.length} weight files are not there (${missing[0]}): tensors are not counted`;
    return { stored: null, notes: [note] };
  }
  const found = new Set(tensors.map(({ name }) => name));
  const lost = [...fileOf].find(([name]) => !found.has(name));
  if (lost !== undefined) {
    const key = `weight_map.${lost[0].slice(0, 60)}`;
    throw badInput("bad-safetensors-index", { where: index.name, key, found: lost[1], expected: "that file lacks it" });
  }
  return { stored: storedWeights(index.name, tensors), notes: [] };
}

const nameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.safetensors$/);

/** File by tensor. Only plain names of files beside the index are followed. */
function parseIndex(text: string, where: string): Map<string, string> {
  const map = parseJsonObject(text, where)["weight_map"];
  const bad = (key: string, found: unknown, expected: string) =>
    badInput("bad-safetensors-index", { where, key, ...(found === undefined ? {} : { found }), expected });
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw bad("weight_map", map, "expected an object: tensor → file");
  }
  const files = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    const parsed = nameSchema.safeParse(file);
    if (!parsed.success)
      throw bad(`weight_map.${tensor.slice(0, 60)}`, file, "expected the name of a safetensors file");
    files.set(tensor, parsed.data);
  }
  return files;
}
