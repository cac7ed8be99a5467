import { NsquaredError, badInput } from "../base/errors.js";
import { parseLength } from "../base/lengths.js";
import type { ModelDescription } from "../model/types.js";
import * as attention from "./attention.js";
import { hybrid } from "./hybrid.js";
import { type LayerChange, changeLayers, inapplicable, isSelfAttention, mixerKinds } from "./layers.js";
import * as recurrent from "./recurrent.js";
import { shareKv, shareLayers } from "./sharing.js";

/** Number formats that a variant may store its weights in. */
export const weightFormats = ["f32", "f16", "q8", "q4"] as const;
export type VariantWeights = (typeof weightFormats)[number];

/** What a variant changes about running a model rather than about the model. */
export interface VariantRun {
  /** Holds n × n scores in memory. */
  readonly attention?: "naive";
  readonly weights?: VariantWeights;
  /** Every new token runs the whole sequence again. */
  readonly uncached?: true;
}

/** A model → model function with a name, and how to run the result. */
export interface Variant {
  /** As it was written: `window:1024+q8`. */
  readonly name: string;
  /** In words: `sliding window of 1,024 tokens`. */
  readonly summary: string;
  readonly run: VariantRun;
  /** @throws NsquaredError `variant-inapplicable` */
  readonly apply: (model: ModelDescription) => ModelDescription;
}

/** One word of the grammar with its arguments filled in. */
interface Part {
  readonly summary: string;
  readonly change?: LayerChange;
  readonly whole?: (model: ModelDescription) => ModelDescription;
  readonly run?: VariantRun;
}

interface Word {
  /** As help shows it: `window:W`. */
  readonly usage: string;
  readonly summary: string;
  /** Numbers behind the colons: how many there must and may be. */
  readonly least: number;
  readonly most: number;
  readonly make: (values: readonly number[], text: string) => Part;
}

const layerWord = (usage: string, summary: string, change: LayerChange): Word => ({
  usage,
  summary,
  least: 0,
  most: 0,
  make: () => ({ summary, change }),
});
const runWord = (usage: string, summary: string, run: VariantRun): Word => ({
  usage,
  summary,
  least: 0,
  most: 0,
  make: () => ({ summary, run }),
});
const sizeWord = (
  usage: string,
  summary: (value: number | string) => string,
  standard: number | null,
  make: (value: number, text: string) => LayerChange,
): Word => ({
  usage,
  summary: summary(/[A-Z]+/.exec(usage)?.[0] ?? "k"),
  least: standard === null ? 1 : 0,
  most: 1,
  make: ([value = standard ?? 1], text) => ({ summary: summary(value), change: make(value, text) }),
});

/** Every word of the grammar. A variant is words with `+` between, or `hybrid:` and a pattern. */
const words: Readonly<Record<string, Word>> = {
  "as-is": {
    usage: "as-is",
    summary: "the model as it is",
    least: 0,
    most: 0,
    make: () => ({ summary: "the model as it is" }),
  },
  full: layerWord("full", "full attention", attention.full),
  naive: {
    usage: "naive",
    summary: "full attention with n × n scores in memory",
    least: 0,
    most: 0,
    make: () => ({
      summary: "full attention with n × n scores in memory",
      change: attention.full,
      run: { attention: "naive" },
    }),
  },
  mha: layerWord("mha", "a KV head per head", attention.kvHeads(null, "mha")),
  mqa: layerWord("mqa", "one KV head for all heads", attention.kvHeads(1, "mqa")),
  gqa: sizeWord(
    "gqa:K",
    (k) => `${k} KV ${k === 1 ? "head" : "heads"}`,
    null,
    (k, text) => attention.kvHeads(k, text),
  ),
  mla: {
    usage: "mla[:RANK]",
    summary: "multi-head latent attention",
    least: 0,
    most: 1,
    make: ([rank], text) => ({ summary: "multi-head latent attention", change: attention.latent(rank ?? null, text) }),
  },
  window: sizeWord(
    "window:W",
    (w) => `sliding window of ${w} tokens`,
    null,
    (size) => attention.span({ kind: "window", size }),
  ),
  chunk: sizeWord(
    "chunk:C",
    (c) => `chunks of ${c} tokens`,
    null,
    (size) => attention.span({ kind: "chunk", size }),
  ),
  "local-global": {
    usage: "local-global:W:K",
    summary: "K layers with a window of W to one with full attention",
    least: 2,
    most: 2,
    make: ([size = 1, locals = 1]) => ({
      summary: `${locals} ${locals === 1 ? "layer" : "layers"} with a window of ${size} tokens to one with full attention`,
      change: attention.localGlobal(size, locals),
    }),
  },
  sinks: {
    usage: "window:W+sinks[:G]",
    summary: "the first G tokens stay visible beside the window",
    least: 0,
    most: 1,
    make: ([first = 4], text) => ({
      summary: `the first ${first} tokens stay visible`,
      change: attention.sinks(first, text),
    }),
  },
  topk: sizeWord(
    "topk:K",
    (k) => `the best ${k} tokens, chosen by an indexer`,
    null,
    (k, text) => attention.topK(k, text),
  ),
  bigbird: sizeWord(
    "bigbird[:SIZE]",
    (size) => `BigBird's blocks of ${size} tokens`,
    64,
    (size, text) => attention.blocks(size, text),
  ),
  longformer: {
    usage: "longformer:W[:G]",
    summary: "a window of W around, and G first tokens that see everything",
    least: 1,
    most: 2,
    make: ([width = 1, first = 1], text) => ({
      summary: `a window of ${width} tokens around, and ${first} that ${first === 1 ? "sees" : "see"} everything`,
      change: attention.globalWindow(width, first, text),
    }),
  },
  linear: layerWord("linear", "linear attention", recurrent.linear),
  retnet: layerWord("retnet", "retention: linear attention with a fixed decay", recurrent.retnet),
  gla: layerWord("gla", "gated linear attention", recurrent.gla),
  performer: sizeWord(
    "performer[:M]",
    (m) => `Performer with ${m} random features`,
    256,
    (m) => recurrent.performer(m),
  ),
  linformer: sizeWord(
    "linformer[:K]",
    (k) => `Linformer with ${k} rows`,
    256,
    (k) => recurrent.linformer(k),
  ),
  lstm: layerWord("lstm", "LSTM, token after token", recurrent.cell("lstm")),
  gru: layerWord("gru", "GRU, token after token", recurrent.cell("gru")),
  "gated-delta": layerWord("gated-delta", "gated delta rule (Gated DeltaNet)", recurrent.gatedDelta),
  mamba: layerWord("mamba", "state space of Mamba", recurrent.mamba1),
  mamba2: layerWord("mamba2", "state space of Mamba 2", recurrent.mamba2),
  nystrom: sizeWord(
    "nystrom[:M]",
    (m) => `Nyström attention with ${m} landmarks`,
    64,
    (m) => recurrent.nystrom(m),
  ),
  fnet: layerWord("fnet", "Fourier transforms", recurrent.fourier),
  "share-layers": {
    usage: "share-layers",
    summary: "one set of weights for all layers",
    least: 0,
    most: 0,
    make: () => ({ summary: "one set of weights for all layers", whole: shareLayers }),
  },
  "share-kv": {
    usage: "share-kv[:G]",
    summary: "one KV cache for every G layers",
    least: 0,
    most: 1,
    make: ([group = 2], text) => ({
      summary: `one KV cache for every ${group} layers`,
      whole: (model) => shareKv(model, group, text),
    }),
  },
  q8: runWord("q8", "weights of 8 bits", { weights: "q8" }),
  q4: runWord("q4", "weights of 4 bits", { weights: "q4" }),
  f16: runWord("f16", "weights of 16 bits, on WebGPU", { weights: "f16" }),
  uncached: runWord("uncached", "no KV cache: each token runs the whole sequence again", { uncached: true }),
};

const hybridPrefix = "hybrid:";
const longestSize = 2 ** 30;

/** The grammar, one line per word: usage and meaning. */
export function variantWords(): { readonly usage: string; readonly summary: string }[] {
  return [
    ...Object.values(words).map(({ usage, summary }) => ({ usage, summary })),
    { usage: "hybrid:3xlinear,1xfull", summary: "layers of several kinds in turn" },
  ];
}

/** Whether a text begins like a variant rather than like a path or the name of a model. */
export function looksLikeVariant(text: string): boolean {
  const written = /^[a-z][a-z0-9-]+:\d/.test(text);
  return written || text.startsWith(hybridPrefix) || Object.hasOwn(words, text.split(/[:+]/, 1)[0] ?? "");
}

/**
 * A variant from its text: words of the grammar with `+` between, as `window:1024+q8`.
 *
 * @throws NsquaredError `variant-unknown`, `variant-invalid`; `apply` too, where one word undoes another
 */
export function parseVariant(text: string): Variant {
  const items = text.split("+").map((item) => item.trim());
  const parts = items.map((item) => partOf(item, text));
  const run = Object.assign({}, ...parts.map((part) => part.run ?? {})) as VariantRun;
  const undone = parts.findIndex((part) => part.run !== undefined && !survives(part.run, run));
  if (undone >= 0) throw undoneWord(items[undone] ?? "", text);
  return {
    name: text,
    summary: parts.map(({ summary }) => summary).join(", "),
    run,
    apply: (model) => {
      const result = applyAll(parts, model, text);
      const idle = parts.findIndex((_part, index) => isUndone(index, parts, model, text));
      if (idle >= 0) throw undoneWord(items[idle] ?? "", text);
      return result;
    },
  };
}

function applyAll(parts: readonly Part[], model: ModelDescription, text: string): ModelDescription {
  return parts.reduce((result, part) => applyPart(part, result, text), model);
}

function survives(run: VariantRun, whole: VariantRun): boolean {
  return Object.entries(run).some(([key, value]) => Reflect.get(whole, key) === value);
}

/** Whether a word that changes the model leaves no trace beside the others, as `window:64` in `window:64+mamba2`. */
function isUndone(index: number, parts: readonly Part[], model: ModelDescription, text: string): boolean {
  const part = parts[index];
  if (parts.length < 2 || part === undefined || part.run !== undefined) return false;
  const layers = (some: readonly Part[]): string | null => {
    try {
      return JSON.stringify(applyAll(some, model, text).stacks);
    } catch (error) {
      // A word that others stand on, or that stands on others, does something.
      if (error instanceof NsquaredError) return null;
      throw error;
    }
  };
  const alone = layers([part]);
  if (alone === null || alone === JSON.stringify(model.stacks)) return false;
  return layers(parts.filter((other) => other !== part)) === layers(parts);
}

function undoneWord(item: string, where: string): NsquaredError {
  const expected = "words that do not undo each other";
  return badInput("variant-invalid", { where, key: "a word without effect", found: item, expected });
}

function partOf(item: string, text: string): Part {
  if (item.startsWith(hybridPrefix)) {
    const change = hybrid(item.slice(hybridPrefix.length), text, (inner) => {
      const part = partOf(inner, text);
      if (part.change === undefined || part.run !== undefined) {
        throw badInput("variant-invalid", {
          where: text,
          key: "layer",
          found: inner,
          expected: "a variant that changes single layers, such as full, window:1024 or mamba2",
        });
      }
      return part.change;
    });
    return { summary: `layers in turn: ${item.slice(hybridPrefix.length)}`, change };
  }
  const [name = "", ...rest] = item.split(":");
  const word = Object.hasOwn(words, name) ? words[name] : undefined;
  if (word === undefined) {
    throw badInput("variant-unknown", {
      where: text,
      key: "variant",
      found: name,
      expected: `one of ${variantWords()
        .map(({ usage }) => usage)
        .join(", ")}`,
    });
  }
  if (rest.length < word.least || rest.length > word.most) {
    throw badInput("variant-invalid", { where: text, key: name, found: item, expected: `as ${word.usage}` });
  }
  return word.make(
    rest.map((value) => sizeOf(value, name, word.usage, text)),
    item,
  );
}

/** A size in tokens or a count, as lengths are written: `1024`, `1.5k`, `1M`. */
function sizeOf(value: string, name: string, usage: string, where: string): number {
  let size = Number.NaN;
  try {
    size = parseLength(value);
  } catch {
    // Refused below, with the variant that it is of.
  }
  if (size <= longestSize) return size;
  throw badInput("variant-invalid", {
    where,
    key: name,
    found: value,
    expected: `a whole number from 1 to 2^30, as ${usage}`,
  });
}

function applyPart({ change, whole }: Part, model: ModelDescription, text: string): ModelDescription {
  if (change === undefined) return whole === undefined ? model : whole(model);
  if (!model.stacks.some(({ layers }) => layers.some(({ mixers }) => mixers.some(isSelfAttention)))) {
    throw inapplicable(
      model,
      text,
      `layers of ${mixerKinds(model).join(", ")}`,
      "expected a model with attention to change",
    );
  }
  return changeLayers(model, change);
}
