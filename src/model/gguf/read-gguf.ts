import { NsquaredError, badInput } from "../../base/errors.js";
import type { Dtype } from "../../base/units.js";
import type { ByteSource } from "../../files/byte-source.js";
import type { OpenBeside } from "../../files/beside.js";
import { type ReadOptions, readConfig } from "../hf/read-config.js";
import type { Filled, ModelDescription } from "../types.js";
import { type LoadedModel, type StoredTensor, storedTypes, storedWeights } from "../stored.js";
import { type GgufHeader, readHeader } from "./header.js";
import { GgufMetadata } from "./metadata.js";
import { toConfig } from "./to-config.js";

/**
 * The description of a model from the header of a GGUF file. The weights themselves are not read.
 *
 * @param open opens the other files of a model that is split; without it their tensors are not counted
 * @throws bad input when a header cannot be right or the architecture is not known
 */
export async function readGguf(
  source: ByteSource,
  name: string,
  open?: OpenBeside,
  options: ReadOptions = {},
): Promise<LoadedModel> {
  const header = await wholeHeader(source, open);
  refuseOtherContents(header, source.name);
  const metadata = new GgufMetadata(header, source.name);
  const { config, origin, adjust, note } = toConfig(metadata, options.allowPartial === true);
  const description = inItsOwnWords(origin, () => adjust(readConfig(config, source.name, name)));
  const { tensors } = metadata.header;
  const weights = nearestDtype(tensors);
  return {
    ...description,
    modelType: metadata.architecture,
    dtypes: { ...description.dtypes, weights },
    storage: { kind: "gguf", tensors },
    filled: [...description.filled.filter(({ key }) => !origin.has(key)), ...runtimeDefaults],
    notes: [
      ...description.notes.filter((text) => !text.startsWith("keys that")),
      ...(note === null ? [] : [note]),
      ...notesOf(metadata, weights),
    ],
    stored: storedWeights(source.name, tensors),
  };
}

/** The header, with the tensors of all files where the model is split over several. */
async function wholeHeader(source: ByteSource, open?: OpenBeside): Promise<GgufHeader> {
  const given = await readHeader(source);
  const [, stem = "", number, count] = /([^\\/]*)-(\d{5})-of-(\d{5})\.gguf(?:[?#].*)?$/i.exec(source.name) ?? [];
  const files = given.metadata["split.count"];
  if (typeof files !== "number" || files < 2 || open === undefined || Number(count) !== files) return given;
  const header = Number(number) === 1 ? given : await firstOf(`${stem}-00001-of-${count}.gguf`, source.name, open);
  const tensors = [...given.tensors];
  for (let file = 1; file <= Math.min(files, mostFiles); file += 1) {
    if (file === Number(number)) continue;
    const other = await open(`${stem}-${String(file).padStart(5, "0")}-of-${count}.gguf`);
    if (other === null) return { metadata: header.metadata, tensors: given.tensors };
    tensors.push(...(await readHeader(other)).tensors);
  }
  return { metadata: { ...header.metadata, [wholeKey]: true }, tensors };
}

/** The first file of a split model alone says what the model is. */
async function firstOf(name: string, where: string, open: OpenBeside): Promise<GgufHeader> {
  const first = await open(name);
  if (first === null) {
    throw badInput("bad-gguf", { where, key: `${name} beside it`, expected: "the first file says what the model is" });
  }
  return readHeader(first);
}

/** GGUF files hold other things than language models, too. */
function refuseOtherContents({ metadata, tensors }: GgufHeader, where: string): void {
  const kind = metadata["general.type"];
  const refused = (key: string, found: unknown, expected: string): Error =>
    badInput("bad-gguf", { where, key, found, expected });
  if (typeof kind === "string" && kind !== "model") {
    throw refused(
      "general.type",
      kind,
      "expected a model; adapters, towers and matrices of importance are none by themselves",
    );
  }
  if (metadata["general.architecture"] === "clip") {
    throw refused("general.architecture", "clip", "a tower for images or sound: give the language model's file");
  }
  const parts = metadata["split.count"];
  const partial = typeof parts === "number" && parts > 1;
  if (tensors.length === 0 && !partial) {
    throw refused("number of tensors", 0, "expected a model's; the file may hold a vocabulary alone");
  }
}

/** Files that one model is split into at most; the largest published ones have some 50. */
const mostFiles = 1000;
/** Marks a header whose other files were read. */
const wholeKey = "split.all_read";

const runtimeDefaults: readonly Filled[] = [
  { key: "dtypes", value: "float16 cache and activations", from: "default of llama.cpp; a header names neither" },
];

/** Errors name the key as the file has it, not its name in Hugging Face configs. */
function inItsOwnWords(origin: ReadonlyMap<string, string>, read: () => ModelDescription): ModelDescription {
  try {
    return read();
  } catch (cause) {
    const key = cause instanceof NsquaredError ? cause.details.key : undefined;
    if (!(cause instanceof NsquaredError) || key === undefined) throw cause;
    throw badInput("bad-gguf", { ...cause.details, key: origin.get(key) ?? key });
  }
}

const plainTypes: Readonly<Record<string, Dtype>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  MXFP4: "float4",
  NVFP4: "float4",
};

/** The number format nearest to the type that takes most bytes. */
function nearestDtype(tensors: readonly StoredTensor[]): Dtype {
  const [main] = storedTypes(tensors);
  if (main === undefined) return "float16";
  return plainTypes[main.type] ?? ((8 * main.bytes) / main.elements <= 6 ? "int4" : "int8");
}

function notesOf(metadata: GgufMetadata, weights: Dtype): string[] {
  const types = storedTypes(metadata.header.tensors);
  const missed = metadata.missed().sort();
  const notes = missed.length === 0 ? [] : [`not in the header, so none or worked out: ${missed.join(", ")}`];
  if (types.some(({ type }) => plainTypes[type] === undefined)) {
    notes.push(
      `weights are priced at the bits of their tensors; products count as ${weights}, the nearest plain format`,
    );
  }
  const parts = metadata.header.metadata["split.count"];
  if (typeof parts === "number" && parts > 1 && metadata.header.metadata[wholeKey] !== true) {
    notes.push(`this is one of ${parts} files: tensors of the others are not in its totals`);
  }
  return notes;
}
