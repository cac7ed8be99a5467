import { styleText } from "node:util";
import type { Command } from "commander";

/** The world a command sees. Injected, so that tests run commands without a process. */
export interface Io {
  readonly out: (text: string) => void;
  /** Progress and warnings: never on standard output, which `--json` owns. */
  readonly err: (text: string) => void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  readonly columns: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Asks a person a question with yes or no; absent where nobody is there to answer. */
  readonly confirm?: (question: string) => Promise<boolean>;
}

/** What a command's file gives: its arguments, options and action, added to an empty command. `words` is the whole line. */
export type SetUp = (command: Command, io: Io, setExitCode: (code: number) => void, words: readonly string[]) => void;

/** A command line that a shell reads back as the same words. */
export function commandLine(words: readonly string[]): string {
  const quoted = words.map((word) => (/^[\w./:,=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  return ["nsquared", ...quoted].join(" ");
}

type Format = Parameters<typeof styleText>[0];
/** Wraps text in a terminal style, or returns it as it is. */
export type Style = (format: Format, text: string) => string;

/** Colours only where a person looks at a terminal and has not asked for none (no-color.org). */
export function styleFor(io: Pick<Io, "environment">, isTerminal: boolean): Style {
  const off = !isTerminal || (io.environment["NO_COLOR"] ?? "") !== "" || io.environment["TERM"] === "dumb";
  return off ? (_format, text) => text : (format, text) => styleText(format, text, { validateStream: false });
}

/** Progress for people: one line each, to standard error. */
export function say(io: Io, text: string): void {
  io.err(`${text}\n`);
}

/** The result: one JSON document, or text for people. */
export function emit(io: Io, json: boolean | undefined, document: unknown, text: () => string): void {
  if (json === true) io.out(`${JSON.stringify(document, null, 2)}\n`);
  else io.out(`${text().replace(/\n*$/, "")}\n`);
}
