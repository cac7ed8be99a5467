const safe: unique symbol = Symbol("markup");

/** HTML that may be written as it is. Only `html` and `trusted` make it, so no text from a file can pass for it. */
export interface Markup {
  readonly [safe]: string;
}

export type Insert = string | number | Markup | null | readonly Insert[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}

function isMarkup(value: object): value is Markup {
  return safe in value;
}

function written(value: Insert): string {
  if (value === null) return "";
  if (typeof value === "string") return escaped(value);
  if (typeof value === "number") return String(value);
  return isMarkup(value) ? value[safe] : value.map(written).join("");
}

/** HTML from a template: texts that are put in are escaped, for content and for quoted attributes alike. */
export function html(strings: TemplateStringsArray, ...inserts: readonly Insert[]): Markup {
  return { [safe]: String.raw({ raw: strings }, ...inserts.map(written)) };
}

/** Declares text to be HTML. Only for what a library serialised or this package wrote itself. */
export function trusted(text: string): Markup {
  return { [safe]: text };
}

export function serialise(markup: Markup): string {
  return markup[safe];
}
