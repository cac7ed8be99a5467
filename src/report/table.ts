/** How a piece of text is set off on a terminal. */
export type Emphasis = "bold" | "dim" | "red" | "green" | "yellow" | "blue" | "cyan" | "magenta";
/** Sets text off, or returns it as it is where colours are not wanted. */
export type Style = (format: Emphasis, text: string) => string;

export const plainStyle: Style = (_format, text) => text;

export interface Column {
  readonly title: string;
  /** Shown under the title, dimmed: `ms`, `tokens`. */
  readonly unit?: string;
  /** Left out: right where every cell starts like a number, else left. */
  readonly align?: "left" | "right";
}

export interface Cell {
  readonly text: string;
  readonly style?: Emphasis;
}

const gap = "  ";
const startsLikeNumber = /^[-–~<≥≤]?\s?[\d∞.]/;

/** Columns of a terminal that a text takes: marks that combine take none. */
export function displayWidth(text: string): number {
  return [...text.replace(/\p{Mn}/gu, "")].length;
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "right" ? space + text : text + space;
}

/**
 * An aligned table for a terminal: titles, units where a column has one, then the rows. No line ends in blanks.
 *
 * @param columns plain texts are titles without a unit
 * @param rows one cell per column; missing cells are empty
 */
export function table(
  columns: readonly (string | Column)[],
  rows: readonly (readonly (string | Cell)[])[],
  style: Style = plainStyle,
): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === "string" ? { text: cell } : cell)));
  const heads = columns.map((column, index) => {
    const head: Column = typeof column === "string" ? { title: column } : column;
    const texts = cells.map((row) => row[index]?.text ?? "");
    const numbers = texts.filter((text) => text !== "").every((text) => startsLikeNumber.test(text));
    return {
      title: head.title,
      unit: head.unit ?? "",
      align: head.align ?? (numbers ? "right" : "left"),
      width: Math.max(...[head.title, head.unit ?? "", ...texts].map(displayWidth)),
    };
  });
  const line = (row: readonly Cell[]): string => {
    // Blanks after the last text would break a copied table, so the line ends there.
    const last = row.findLastIndex((cell) => cell.text !== "");
    return heads
      .slice(0, last + 1)
      .map(({ align, width }, index) => {
        const cell = row[index] ?? { text: "" };
        const aligned = pad(cell.text, index === last && align === "left" ? 0 : width, align);
        return cell.style === undefined ? aligned : style(cell.style, aligned);
      })
      .join(gap);
  };
  const titles = line(heads.map(({ title }) => ({ text: title, style: "bold" })));
  const units = line(heads.map(({ unit }) => ({ text: unit, style: "dim" })));
  return [titles, ...(units === "" ? [] : [units]), ...cells.map(line)].join("\n");
}
