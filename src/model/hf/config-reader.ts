import { badInput } from "../../base/errors.js";
import type { Filled } from "../types.js";
import { type Check, flag, listOf, real, size, sizeOrZero, text, tokenCount } from "./checks.js";
import { type JsonObject, type JsonValue, isObject } from "./json.js";
import { isKnownHarmless, isQuiet } from "./harmless-keys.js";

/** A key, or its names in order of preference: the first one present counts. */
export type Key = string | readonly [string, ...string[]];

/**
 * Reads one configuration object key by key: checks each value, fills what is missing with the class defaults of the
 * family, and keeps a record of what was filled and of what nobody asked for.
 */
export class ConfigReader {
  readonly filled: Filled[];
  readonly notes: string[];
  /** Keys that were asked for and that neither the file nor the class has, or that are null in both. */
  private readonly absent: Set<string>;
  /** Keys that are null in the file and were taken as none, with the value that the class has. */
  private readonly nulls: Map<string, JsonValue>;
  private used = new Set<string>();
  private children: ConfigReader[] = [];

  /**
   * @param where file, for error messages
   * @param family whose class defaults fill missing keys, e.g. `llama`
   */
  constructor(
    readonly where: string,
    private readonly values: JsonObject,
    private readonly defaults: JsonObject,
    readonly family: string,
    private readonly prefix = "",
    parent?: ConfigReader,
  ) {
    this.filled = parent?.filled ?? [];
    this.notes = parent?.notes ?? [];
    this.absent = parent?.absent ?? new Set<string>();
    this.nulls = parent?.nulls ?? new Map<string, JsonValue>();
  }

  /** The value of a key: from the file, else the class default. Null is no value. */
  read<T>(key: Key, check: Check<T>): T {
    const value = this.optional(key, check);
    if (value === null) {
      const present = this.present(key);
      throw this.bad(present?.name ?? key, present?.value, check.expected);
    }
    return value;
  }

  /** Like `read`, where null stands for "none". */
  optional<T>(key: Key, check: Check<T>): T | null {
    const present = this.present(key);
    const known = this.defaultOf(key) ?? null;
    if (present !== null) {
      if (present.value !== null) return this.checked(present.name, present.value, check);
      if (known === null) this.absent.add(this.prefix + present.name);
      else this.nulls.set(this.prefix + present.name, known);
      return null;
    }
    const name = nameOf(key);
    if (known === null) {
      this.absent.add(this.prefix + name);
      return null;
    }
    this.fill(name, known, `class default of ${this.family}`);
    return this.checked(name, known, check);
  }

  /** Like `optional`, where it is no news that the key is not there. */
  peek<T>(key: Key, check: Check<T>): T | null {
    return this.present(key) === null && this.defaultOf(key) === undefined ? null : this.optional(key, check);
  }

  /** Like `read`; what neither the file nor the class names is worked out from other keys. */
  derived<T>(key: Key, check: Check<T>, from: string, derive: () => T): T {
    const present = this.present(key);
    if (present !== null && present.value !== null) return this.checked(present.name, present.value, check);
    const known = present === null ? this.defaultOf(key) : undefined;
    if (known !== undefined && known !== null) {
      this.fill(nameOf(key), known, `class default of ${this.family}`);
      return this.checked(nameOf(key), known, check);
    }
    const value = derive();
    this.fill(nameOf(key), value, from);
    return value;
  }

  size(key: Key): number {
    return this.read(key, size);
  }
  sizeOrZero(key: Key): number {
    return this.optional(key, sizeOrZero) ?? 0;
  }
  tokens(key: Key): number | null {
    return this.optional(key, tokenCount);
  }
  /** False where the key is null or nowhere to be found. */
  flag(key: Key): boolean {
    return this.optional(key, flag) ?? false;
  }
  real(key: Key): number {
    return this.read(key, real);
  }
  text(key: Key): string {
    return this.read(key, text);
  }
  /** A list with exactly one item per layer, or null where there is none. */
  perLayer<T>(key: Key, item: Check<T>, layers: number): T[] | null {
    const list = this.optional(key, listOf(item));
    if (list === null) return null;
    if (list.length !== layers) {
      throw this.bad(key, `a list of ${list.length}`, `expected ${layers} items, one per layer`);
    }
    return list;
  }

  /** Whether the file itself has the key with a value other than null. */
  has(key: Key): boolean {
    const present = this.present(key);
    return present !== null && present.value !== null;
  }

  /** The raw value, whatever it is; undefined where the file lacks it. */
  raw(key: Key): JsonValue | undefined {
    return this.present(key)?.value;
  }

  /** Reader of a nested object; an empty one where the file has none. */
  child(key: string, defaults?: JsonObject, family = this.family): ConfigReader {
    const present = this.present(key);
    const value = present?.value ?? null;
    if (value !== null && !isObject(value)) throw this.bad(key, value, "expected an object");
    const inherited = this.defaults[key];
    const fallback = defaults ?? (isObject(inherited) ? inherited : {});
    const child = new ConfigReader(this.where, value ?? {}, fallback, family, `${this.prefix}${key}.`, this);
    this.children.push(child);
    return child;
  }

  /** The same object with some keys set: for classes that know a value that their files do not name. */
  with(values: JsonObject): ConfigReader {
    return this.again({ ...this.values, ...values }, this.defaults);
  }

  /** The same object of a class with defaults of its own. */
  defaulting(defaults: JsonObject): ConfigReader {
    return this.again(this.values, { ...this.defaults, ...defaults });
  }

  /** Another look at the same object: what it reads counts as read here. */
  private again(values: JsonObject, defaults: JsonObject): ConfigReader {
    const copy = new ConfigReader(this.where, values, defaults, this.family, this.prefix, this);
    copy.used = this.used;
    copy.children = this.children;
    return copy;
  }

  /** Records something worth telling about the model. */
  note(sentence: string): void {
    if (!this.notes.includes(sentence)) this.notes.push(sentence);
  }

  /** Records a value that the file does not name. */
  fill(key: string, value: unknown, from: string): void {
    if (this.filled.some((entry) => entry.key === this.prefix + key)) return;
    this.filled.push({ key: this.prefix + key, value, from });
  }

  /** Marks keys as understood although nothing depends on them. */
  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.used.add(key);
  }

  /** Marks all keys of this object as understood. */
  ignoreRest(): void {
    this.ignore(...Object.keys(this.values));
  }

  /** Sentences about keys that are not there, or null, and were taken as none although they could decide costs. */
  takenAsNone(): string[] {
    const left = [...this.absent].filter((key) => !isQuiet(key)).sort();
    const nulls = [...this.nulls].filter(([key]) => !isQuiet(key));
    return [
      ...(left.length === 0
        ? []
        : [`not in the file or null there, so none or worked out from other keys: ${left.join(", ")}`]),
      ...nulls.map(([key, value]) => `${key} is null and taken as none, where the class has ${JSON.stringify(value)}`),
    ];
  }

  /** Keys that no reader asked for and that are not known to leave costs alone; what is off or empty is left out. */
  unread(): string[] {
    const own = Object.keys(this.values)
      .filter((key) => !this.used.has(key) && !isKnownHarmless(key) && !isOff(this.values[key]))
      .map((key) => this.prefix + key);
    return [...own, ...this.children.flatMap((child) => child.unread())];
  }

  /** The error for a value that cannot be right. */
  bad(key: Key, found: unknown, expected: string): Error {
    return badInput("bad-config", {
      where: this.where,
      key: this.prefix + nameOf(key),
      ...(found === undefined ? {} : { found: found === null ? "null" : found }),
      expected,
    });
  }

  private present(key: Key): { readonly name: string; readonly value: JsonValue } | null {
    for (const name of namesOf(key)) {
      const value = Object.hasOwn(this.values, name) ? this.values[name] : undefined;
      if (value !== undefined) {
        for (const alias of namesOf(key)) this.used.add(alias);
        return { name, value };
      }
    }
    return null;
  }

  private defaultOf(key: Key): JsonValue | undefined {
    for (const name of namesOf(key)) {
      if (Object.hasOwn(this.defaults, name)) return this.defaults[name];
    }
    return undefined;
  }

  private checked<T>(name: string, value: JsonValue, check: Check<T>): T {
    const result = check.schema.safeParse(value);
    if (!result.success) throw this.bad(name, value, check.expected);
    return result.data;
  }
}

function isOff(value: JsonValue | undefined): boolean {
  return (
    value === null ||
    value === false ||
    value === undefined ||
    value === "" ||
    (Array.isArray(value) && value.length === 0)
  );
}

function namesOf(key: Key): readonly string[] {
  return typeof key === "string" ? [key] : key;
}

function nameOf(key: Key): string {
  return typeof key === "string" ? key : key[0];
}
