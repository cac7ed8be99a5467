import { badInput } from "../../../base/errors.js";
import { type JsonObject, type JsonValue, isObject } from "../json.js";

/** One object of a `quantization_config`, asked key by key. A value that cannot be right is refused with its key. */
export class Section {
  constructor(
    private readonly where: string,
    private readonly path: string,
    private readonly value: JsonObject,
  ) {}

  private bad(key: string, expected: string): Error {
    return badInput("bad-config", { where: this.where, key: `${this.path}.${key}`, found: this.value[key], expected });
  }

  keys(): string[] {
    return Object.keys(this.value);
  }

  raw(key: string): JsonValue | undefined {
    return this.value[key];
  }

  has(key: string): boolean {
    return this.value[key] !== undefined && this.value[key] !== null;
  }

  /** A whole number of at least 1; the fallback where the key is missing, null, or -1 as toolkits write "none". */
  whole<T extends number | null>(key: string, fallback: T, most = 2 ** 24): number | T {
    const found = this.value[key];
    if (found === undefined || found === null || found === -1) return fallback;
    if (typeof found === "number" && Number.isInteger(found) && found >= 1 && found <= most) return found;
    throw this.bad(key, `expected a whole number from 1 to ${most}`);
  }

  flag(key: string, fallback: boolean): boolean {
    const found = this.value[key] ?? fallback;
    if (typeof found === "boolean") return found;
    throw this.bad(key, "expected true or false");
  }

  /** A text in lower case; null where the key is missing or null. */
  word(key: string): string | null {
    const found = this.value[key];
    if (found === undefined || found === null) return null;
    if (typeof found === "string" && found.length <= 200) return found.toLowerCase();
    throw this.bad(key, "expected a text");
  }

  /** Rows and columns of a block; null where the key is missing or null. */
  pair(key: string): [number, number] | null {
    const found = this.value[key];
    if (found === undefined || found === null) return null;
    const sides: readonly JsonValue[] = Array.isArray(found) ? found : [];
    const [rows, columns] = sides;
    const right = (side: unknown): side is number => typeof side === "number" && Number.isInteger(side) && side >= 1;
    if (sides.length === 2 && right(rows) && right(columns)) return [rows, columns];
    throw this.bad(key, "expected two whole numbers: [rows, columns]");
  }

  /** Names of modules; none where the key is missing or null. */
  names(key: string): readonly string[] {
    const found = this.value[key];
    if (found === undefined || found === null) return [];
    const list: readonly JsonValue[] = Array.isArray(found) ? found : [found];
    const names = list.filter((name): name is string => typeof name === "string" && name.length <= 1000);
    if (names.length !== list.length) throw this.bad(key, "expected a list of names of modules");
    return names;
  }

  /** Null where the key is missing or null. */
  child(key: string): Section | null {
    const found = this.value[key];
    if (found === undefined || found === null) return null;
    if (isObject(found)) return new Section(this.where, `${this.path}.${key}`, found);
    throw this.bad(key, "expected an object");
  }

  /** The objects in this one by their keys. */
  children(): [string, Section][] {
    return Object.entries(this.value).flatMap(([key, found]): [string, Section][] =>
      isObject(found) ? [[key, new Section(this.where, `${this.path}.${key}`, found)]] : [],
    );
  }
}
