import { badInput } from "../../base/errors.js";
import type { GgufHeader } from "./header.js";

/** Beyond any real depth nothing is built: the config's reader refuses the number of layers. */
const mostLayers = 10_001;

/** The entries of a header for one architecture: `block_count` stands for `llama.block_count`. */
export class GgufMetadata {
  readonly architecture: string;
  private readonly names: ReadonlySet<string>;
  private readonly lacking = new Set<string>();

  /** @throws bad input when `general.architecture` is missing or no plain name */
  constructor(
    readonly header: GgufHeader,
    readonly where: string,
  ) {
    const architecture = this.value("general.architecture");
    if (typeof architecture !== "string" || !/^[a-z0-9][a-z0-9._-]{0,60}$/i.test(architecture)) {
      throw this.bad("general.architecture", architecture, "expected the name of an architecture");
    }
    this.architecture = architecture;
    this.names = new Set(header.tensors.map(({ name }) => name));
  }

  fullKey(key: string): string {
    return `${this.architecture}.${key}`;
  }

  /** A number, or one per layer that are all the same; null where the header lacks it. */
  number(key: string): number | null {
    const value = this.value(this.fullKey(key));
    if (value === undefined) return null;
    const items = Array.isArray(value) ? [...new Set<unknown>(value)] : [value];
    if (items.length !== 1) {
      throw this.bad(this.fullKey(key), value, `layers that differ here are not understood for ${this.architecture}`);
    }
    return this.plainNumber(key, items[0]);
  }

  /** @throws bad input when the header lacks it */
  required(key: string): number {
    const value = this.number(key);
    if (value === null) throw this.bad(this.fullKey(key), undefined, "expected a number");
    return value;
  }

  /**
   * How many layers the header says there are.
   *
   * @throws bad input when the header lacks it
   */
  layers(): number {
    return Math.min(Math.max(0, Math.floor(this.required("block_count"))), mostLayers);
  }

  /** Whether it is a list: one value per layer. */
  isList(key: string): boolean {
    return Array.isArray(this.value(this.fullKey(key)));
  }

  /** True or false per layer; null where the header has no list. */
  flags(key: string): boolean[] | null {
    const value = this.value(this.fullKey(key));
    if (!Array.isArray(value)) return null;
    return value.map((item: unknown) => item === true || item === 1);
  }

  /**
   * One number per layer; a single number stands for every layer.
   *
   * @throws bad input when the header lacks it, or lists too few
   */
  list(key: string): number[] {
    const value = this.value(this.fullKey(key));
    const layers = this.layers();
    if (!Array.isArray(value)) return new Array<number>(layers).fill(this.required(key));
    if (value.length < layers) {
      throw this.bad(this.fullKey(key), `a list of ${value.length}`, `expected ${layers} numbers, one per layer`);
    }
    return value.slice(0, layers).map((item: unknown) => this.plainNumber(key, item));
  }

  /** Whether a key is true. */
  flag(key: string): boolean {
    return this.value(this.fullKey(key)) === true;
  }

  has(tensor: string): boolean {
    return this.names.has(tensor);
  }

  /** Keys of the architecture that the header has. */
  keys(): string[] {
    return Object.keys(this.header.metadata).filter((key) => key.startsWith(`${this.architecture}.`));
  }

  /** Keys that were asked for, decide costs, and are not in the header. */
  missed(): string[] {
    const routed = [...this.names].some((name) => name.includes("_exps"));
    return [...this.lacking]
      .map((key) => key.replace(`${this.architecture}.`, ""))
      .filter((key) => !quiet.test(key) && (routed || !key.startsWith("expert_")));
  }

  bad(key: string, found: unknown, expected: string): Error {
    return badInput("bad-gguf", { where: this.where, key, ...(found === undefined ? {} : { found }), expected });
  }

  private plainNumber(key: string, value: unknown): number {
    const plain = typeof value === "bigint" ? Number(value) : value;
    if (typeof plain !== "number" || !Number.isFinite(plain)) {
      throw this.bad(this.fullKey(key), typeof value === "bigint" ? String(value) : value, "expected a number");
    }
    return plain;
  }

  private value(key: string): unknown {
    const { metadata } = this.header;
    if (Object.hasOwn(metadata, key)) return metadata[key];
    this.lacking.add(key);
    return undefined;
  }
}

/** Keys that decide no cost, and those that most files do without. */
const quiet =
  /^(?:general\.|rope\.|context_length$|nextn_predict_layers$|attention\.(?:layer_norm_(?:rms_)?epsilon|key_length|value_length)$)/;
