/** Prefixes that wrappers put before the names of a language model's modules. */
const roots = /^(?:(?:model|language_model|transformer|backbone|text_model|decoder|thinker|llm|gpt_neox)\.)+/;
/** Other words for the list of layers. */
const lists = /^(?:h|blocks|block)\.(?=\d|\*)/;
/** What stands before `layers.0` in full names, for regular expressions. */
const fullRoots = ["", "model.", "model.language_model.", "language_model.model."] as const;
/** Modules that no weight of a language model lies in. */
const elsewhere = /^(?:visual|vision|mm_projector|multi_modal|embed_vision|audio)/;

/** How names of towers, and of what leads from them, are known. */
const aside = {
  vision: /visual|vision|image|img|\bvit\b/,
  audio: /audio|sound|speech|whisper/,
  projector: /projector|connector|merger|aligner|embed_vision|embed_audio|\bmlp1\b/,
} as const;

/** Expressions run on names of a hundred letters: longest, most unbounded repetitions in one, most of them. */
const longestExpression = 300;
const mostRepetitions = 4;
const mostExpressions = 200;

/**
 * Names of modules as toolkits list them. Plain names match where their parts stand in a row anywhere in a module's
 * name, so that a parent stands for its children; `*` is any text; `re:` begins a regular expression.
 */
class ModulePatterns {
  private readonly anywhere = new Set<string>();
  /** What follows `layers.3.` in names of one layer. */
  private readonly inLayer = new Map<number, Set<string>>();
  /** Numbers that whole layers' begin with: `layers.1*` is layer 1 and 10 to 19, as toolkits match it. */
  private readonly wholeLayers: string[] = [];
  /** Names under `mtp`, where some checkpoints have their layers for prediction. */
  private readonly predicting: string[] = [];
  private readonly expressions: RegExp[] = [];
  /** Some expression tells layers apart. */
  private numbered = false;
  /** What was matched before in layers, and beside them: the same names are asked for in every block of every graph. */
  private readonly inside = new Map<string, boolean>();
  private readonly beside = new Map<string, boolean>();
  /** Patterns that are too long or repeat too much to be run on every name: not understood. */
  readonly refused: string[] = [];

  constructor(private readonly patterns: readonly string[]) {
    for (const pattern of patterns) {
      if (isOtherExpert(pattern) || elsewhere.test(pattern)) continue;
      if (pattern.startsWith("re:")) {
        // Anything but literal letters and "any text" may tell one number of a layer from another.
        this.numbered ||= /[\d.\\[]/.test(pattern.replaceAll(/\.\*|\\\./g, ""));
        this.addExpression(pattern, `^(?:${pattern.slice(3)})`);
      } else
        this.addName(
          pattern,
          pattern
            .replace(/\.(?:weight|bias)$/, "")
            .replace(roots, "")
            .replace(lists, "layers."),
        );
    }
  }

  private addName(pattern: string, name: string): void {
    if (elsewhere.test(name)) return;
    if (/^mtp\b/.test(name)) {
      this.predicting.push(name.replace(/\.\*$/, ""));
      return;
    }
    const [, begun] = /^layers\.(\d+)\*$/.exec(name) ?? [];
    if (begun !== undefined) {
      this.wholeLayers.push(begun);
      return;
    }
    const [, layer, rest = ""] = /^layers\.(\d+)(?:\.(.+))?$/.exec(name) ?? [];
    const inner = rest.replace(/\.\*$/, "");
    if (layer !== undefined && !inner.slice(0, -1).includes("*")) {
      const names = this.inLayer.get(Number(layer)) ?? new Set<string>();
      this.inLayer.set(Number(layer), names.add(inner));
      return;
    }
    const everyLayer = name.replace(/^layers\.\*\.(?=[^*]+$)/, "");
    if (!everyLayer.includes("*")) this.anywhere.add(everyLayer);
    else {
      const literal = (part: string): string => part.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
      this.numbered ||= /\d/.test(pattern);
      this.addExpression(pattern, `^(?:.*\\.)?${everyLayer.split(/\*+/).map(literal).join(".*")}(?:$|\\.)`);
    }
  }

  private addExpression(pattern: string, source: string): void {
    const expression = this.expressions.length < mostExpressions ? expressionOf(source) : null;
    if (expression === null) this.refused.push(pattern.slice(0, 80));
    else this.expressions.push(expression);
  }

  /** Whether a tower, or what leads from one, is named, or some of its modules: lists that name some name all of them. */
  readonly namesAside = (part: keyof typeof aside): boolean => {
    const known = this.asides.get(part) ?? this.patterns.some((pattern) => aside[part].test(pattern));
    this.asides.set(part, known);
    return known;
  };
  private readonly asides = new Map<keyof typeof aside, boolean>();

  /** Equal for layers in which the same names match. */
  sameIn(layer: number): string {
    const names = [...(this.inLayer.get(layer) ?? [])].join(" ");
    return `${names} ${this.isWhole(layer)} ${this.numbered ? layer : ""}`;
  }

  private isWhole(layer: number): boolean {
    return this.wholeLayers.some((begun) => String(layer).startsWith(begun));
  }

  /** Whether a module of a layer for prediction is named as part of `mtp`. */
  matchPrediction(index: number, name: string): boolean {
    return this.predicting.some((pattern) =>
      [`mtp.layers.${index}.${name}`, `mtp.${index}.${name}`].some((full) => begins(full, pattern)),
    );
  }

  /** Whether the module with this name in a layer, or beside the layers (null), is named. */
  match(layer: number | null, name: string): boolean {
    if (layer !== null && this.isWhole(layer)) return true;
    const own = layer === null ? undefined : this.inLayer.get(layer);
    if (own !== undefined && [...own].some((pattern) => begins(name, pattern))) return true;
    if (this.anywhere.size === 0 && this.expressions.length === 0) return false;
    const memory = layer === null ? this.beside : this.inside;
    const key = layer === null || !this.numbered ? name : `${layer}.${name}`;
    const known = memory.get(key) ?? this.matchAnywhere(layer, name);
    memory.set(key, known);
    return known;
  }

  private matchAnywhere(layer: number | null, name: string): boolean {
    if (hasRun(this.anywhere, name)) return true;
    const whole = layer === null ? name : `layers.${layer}.${name}`;
    return this.expressions.some((expression) => fullRoots.some((root) => expression.test(root + whole)));
  }
}

/** Whether a name is, or lies in, the module that is named; a star at the end stands for the rest of a word. */
function begins(name: string, pattern: string): boolean {
  if (pattern === "" || name === pattern) return true;
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name.startsWith(`${pattern}.`);
}

/** Whether parts of the name that stand in a row are one of the names. */
function hasRun(names: ReadonlySet<string>, name: string): boolean {
  const parts = name.split(".");
  return parts.some((_, from) =>
    parts.slice(from).some((_part, more) => names.has(parts.slice(from, from + more + 1).join("."))),
  );
}

/** Null where it is none, or may take forever: too long, many repetitions, a repeated group. */
function expressionOf(source: string): RegExp | null {
  const bare = source.replaceAll(/\\.|\[[^\]]*\]/g, "a");
  const repetitions = bare.match(/[*+{]/g) ?? [];
  if (source.length > longestExpression || repetitions.length > mostRepetitions || /\)[*+{]/.test(bare)) return null;
  try {
    return new RegExp(source);
  } catch {
    return null;
  }
}

const compiled = new WeakMap<readonly string[], ModulePatterns>();

/** Compiled once per list: lists have thousands of names, and several graphs are built of one model. */
export function patternsOf(modules: readonly string[]): ModulePatterns {
  const known = compiled.get(modules) ?? new ModulePatterns(modules);
  compiled.set(modules, known);
  return known;
}

/**
 * Whether it names an expert other than the first, which speaks for all: `…experts.17.w1`. Most names in long lists do,
 * so it is asked of tens of thousands of them.
 */
export function isOtherExpert(pattern: string): boolean {
  for (let at = pattern.indexOf(experts); at !== -1; at = pattern.indexOf(experts, at + 1)) {
    const digit = pattern.charCodeAt(at + experts.length);
    if (digit > zero && digit <= zero + 9 && (at === 0 || pattern[at - 1] === ".")) return true;
  }
  return false;
}

const experts = "experts.";
const zero = "0".charCodeAt(0);
