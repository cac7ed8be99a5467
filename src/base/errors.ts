/** What an error says: where it is, which key, what was found there, what would be right. */
export interface ErrorDetails {
  /** File, address or option that holds the bad value. */
  readonly where?: string;
  /** Key or field inside `where`. */
  readonly key?: string;
  /** The offending value, as it was found. */
  readonly found?: unknown;
  /** What would be right. */
  readonly expected?: string;
}

/** Exit codes of the command line, one meaning each. */
export const exitCodes = {
  /** A gate failed: a limit missed, a coefficient got worse. */
  gate: 1,
  /** Bad input: a file, an option or a request that cannot be met. */
  input: 2,
  /** Something broke in the middle; what was measured is kept. */
  incomplete: 3,
  /** Stopped by Ctrl-C; what was measured is kept. */
  interrupted: 130,
} as const;

const longestShown = 80;

/** A value as it stands in an error message: short, one line, never a huge object. */
export function show(value: unknown): string {
  let text: string;
  try {
    text =
      typeof value === "number" || typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? String(value));
  } catch {
    text = String(value);
  }
  return text.length > longestShown ? `${text.slice(0, longestShown - 1)}…` : text;
}

/**
 * An error a user can act on. `code` is stable and machine readable; the message is one line.
 */
export class NsquaredError extends Error {
  override readonly name = "NsquaredError";
  readonly code: string;
  readonly details: ErrorDetails;
  readonly exitCode: number;

  constructor(
    code: string,
    message: string,
    details: ErrorDetails = {},
    exitCode: number = exitCodes.input,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
    this.exitCode = exitCode;
  }
}

/**
 * Bad input in one line: `where: key is found; expected`.
 *
 * @param code stable, kebab-case
 */
export function badInput(code: string, details: ErrorDetails): NsquaredError {
  const subject =
    details.key === undefined
      ? details.found === undefined
        ? ""
        : `found ${show(details.found)}`
      : details.found === undefined
        ? `${details.key} is missing`
        : `${details.key} is ${show(details.found)}`;
  const parts = [subject, details.expected ?? ""].filter((part) => part !== "").join("; ");
  const message = details.where === undefined ? parts : `${details.where}: ${parts}`;
  return new NsquaredError(code, message, details);
}
