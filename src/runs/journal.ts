import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { exitCodes, NsquaredError } from "../base/errors.js";
import { runName } from "./names.js";
import { alreadyThere, exists, makeFolderOf, systemCode, unwritable, writeImmutable } from "./output.js";
import { formatRun, journalSchemaName } from "./parse.js";
import { type Run, type RunEnd, type RunHeader, runSchemaName, type Sample, type Warning } from "./schema.js";

/** A run being measured: an append-only file, each entry on disk before the call returns, sealed once. */
export interface Journal {
  /** Where the sealed run will be. */
  readonly path: string;
  /** Where the journal is until then. */
  readonly journalPath: string;
  sample(sample: Sample): Promise<void>;
  warning(warning: Warning): Promise<void>;
  /**
   * Writes the immutable run, then removes the journal. `end.warnings` replaces the warnings noted on the way.
   *
   * @throws NsquaredError `run-exists`, `output-unwritable`; the journal is kept then
   */
  seal(end: RunEnd): Promise<Run>;
  /** Stops without sealing: the journal stays. */
  close(): Promise<void>;
}

/** `runs/a.json` → `runs/a.journal.jsonl`. */
export function journalPathOf(path: string): string {
  return `${path.replace(/\.json$/, "")}.journal.jsonl`;
}

/** Opens a journal that did not exist, beside a run that does not exist; null where either does. */
async function tryCreate(path: string): Promise<FileHandle | null> {
  if (await exists(path)) return null;
  try {
    return await open(journalPathOf(path), "ax", 0o644);
  } catch (error) {
    if (systemCode(error) === "EEXIST") return null;
    throw unwritable(journalPathOf(path), error);
  }
}

function journalOn(file: FileHandle, path: string, header: RunHeader): Journal {
  const journalPath = journalPathOf(path);
  const samples: Sample[] = [];
  let isOpen = true;

  const append = async (entry: object): Promise<void> => {
    if (!isOpen) throw new NsquaredError("journal-closed", `${journalPath}: the journal is closed`, {});
    try {
      await file.appendFile(`${JSON.stringify(entry)}\n`);
      await file.datasync();
    } catch (error) {
      const { message } = unwritable(journalPath, error);
      throw new NsquaredError("journal-write", message, { where: journalPath }, exitCodes.incomplete, error);
    }
  };

  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await file.close();
  };

  return {
    path,
    journalPath,
    sample: async (sample) => {
      await append({ sample });
      samples.push(sample);
    },
    warning: (warning) => append({ warning }),
    seal: async (end) => {
      await close();
      const run: Run = { schema: runSchemaName, ...header, ...end, samples };
      await writeImmutable(path, formatRun(run));
      await unlink(journalPath);
      return run;
    },
    close,
  };
}

async function begin(file: FileHandle, path: string, header: RunHeader): Promise<Journal> {
  try {
    await file.appendFile(`${JSON.stringify({ schema: journalSchemaName, ...header })}\n`);
    await file.datasync();
  } catch (error) {
    await file.close();
    throw unwritable(journalPathOf(path), error);
  }
  return journalOn(file, path, header);
}

/**
 * Opens the journal of a new run at the path the user chose.
 *
 * @throws NsquaredError `run-exists`, `output-unwritable`: before anything is measured
 */
export async function createJournal(path: string, header: RunHeader): Promise<Journal> {
  await makeFolderOf(path);
  const file = await tryCreate(path);
  if (file === null) throw alreadyThere(path);
  return begin(file, path, header);
}

const mostNames = 1000;

/**
 * Opens the journal of a new run in a folder, as `<model>-<yyyymmdd-hhmmss>.json`, with `-2`, `-3` … behind it where
 * the name is taken.
 *
 * @throws NsquaredError `output-unwritable`: before anything is measured
 */
export async function createJournalIn(folder: string, header: RunHeader): Promise<Journal> {
  const name = runName(header.model.name, new Date(header.created));
  await makeFolderOf(join(folder, name));
  for (let attempt = 1; attempt <= mostNames; attempt += 1) {
    const path = join(folder, `${name}${attempt === 1 ? "" : `-${attempt}`}.json`);
    const file = await tryCreate(path);
    if (file !== null) return begin(file, path, header);
  }
  throw alreadyThere(join(folder, `${name}.json`));
}
