import { parse as parseYaml } from "yaml";
import { badInput } from "../../base/errors.js";
import { checkNesting } from "../hf/json.js";
import type { Ffn, Filled, Layer, Mixer, ModelDescription, Norm, NormPlacement, Stack } from "../types.js";
import { mixerOf } from "./mixers.js";
import { type PatternLayer, parsePattern } from "./pattern.js";
import { SpecProblem } from "./problem.js";
import { type FfnSpec, type SectionSpec, type Spec, specSchema } from "./schema.js";

/**
 * The value that a YAML text stands for.
 *
 * @throws bad input when the text is not YAML
 */
export function parseSpecText(text: string, where: string): unknown {
  try {
    const value: unknown = parseYaml(text, { logLevel: "error" });
    return value;
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : "unreadable";
    throw badInput("not-yaml", { where, expected: `expected YAML: ${reason.slice(0, 160)}` });
  }
}

/**
 * The description of a hand-written spec (docs/spec.md), already parsed.
 *
 * @throws bad input naming the key when something is missing, unknown or cannot be right
 */
export function readSpec(value: unknown, where: string, name: string): ModelDescription {
  checkNesting(value, where);
  const spec = checked(value, where);
  const filled: Filled[] = [];
  const or = <T>(key: string, given: T | undefined, otherwise: T): T => {
    if (given === undefined) filled.push({ key, value: otherwise, from: "default of the spec" });
    return given ?? otherwise;
  };
  const norm: Norm = {
    kind: spec.norm?.kind ?? or("norm", undefined, "rms"),
    bias: spec.norm?.bias ?? spec.norm?.kind === "layer",
    epsilon: spec.norm?.epsilon ?? 1e-5,
    offset: false,
  };
  const stacks: Stack[] = [];
  const reader = new SectionReader(spec, where, norm);
  if (spec.encoder !== undefined) {
    stacks.push(...encoderStacks(reader.runs("encoder", spec.encoder, false), spec, norm));
  }
  if (spec.layers !== undefined) {
    const layers = reader.runs("layers", spec.layers, true).flatMap((run) => run.layers);
    stacks.push({ kind: "decoder", layers, finalNorm: norm });
  }
  if (stacks.length === 0) throw badInput("bad-spec", { where, key: "layers", expected: "expected layers or encoder" });
  reader.checkUnused();
  const dtype = or("dtype", spec.dtype, "bfloat16");
  const plain = dtype === "float32" || dtype === "float16" ? dtype : "bfloat16";
  const { hidden_size: hiddenSize, vocabulary: vocabularySize } = spec;
  return {
    name: spec.name ?? name,
    modelType: "spec",
    source: where,
    hiddenSize,
    vocabularySize,
    contextLength: spec.context_length ?? longestOf(stacks),
    embedding: {
      rows: vocabularySize,
      width: hiddenSize,
      scale: null,
      ...(spec.positions === undefined
        ? {}
        : { tables: [{ name: "positions", rows: spec.positions, width: hiddenSize }] }),
    },
    head: { kind: spec.head ?? "lm", tied: or("tied", spec.tied, false), bias: false, softcap: null },
    stacks,
    dtypes: { weights: dtype, kv: spec.cache_dtype ?? plain, activations: plain },
    filled,
    notes: [],
  };
}

/** The longest sequence that learned matrices over positions allow, or null where there are none. */
function longestOf(stacks: readonly Stack[]): number | null {
  const mixers = stacks.flatMap(({ layers }) => layers.flatMap((layer) => layer.mixers));
  const positions = mixers.flatMap((mixer) => (mixer.kind === "linformer" ? [mixer.positions] : []));
  return positions.length === 0 ? null : Math.min(...positions);
}

/** Layers in a row on a sequence that is `shorter` times shorter than the input. */
interface Run {
  readonly shorter: number;
  readonly layers: readonly Layer[];
}

/** One stack for each length that the encoder works on; only the last one is normed. */
function encoderStacks(runs: readonly Run[], spec: Spec, norm: Norm): Stack[] {
  const decoded = spec.layers !== undefined;
  return runs.map(({ shorter, layers }, index): Stack => {
    const finalNorm = index === runs.length - 1 ? norm : null;
    if (decoded) return { kind: "encoder", layers, finalNorm, length: { kind: "encoder" } };
    if (runs.length === 1 && shorter === 1) return { kind: "encoder", layers, finalNorm };
    const length = shorter === 1 ? ({ kind: "new" } as const) : ({ kind: "pooled", by: shorter } as const);
    return { kind: "encoder", name: `encoder${index}`, layers, finalNorm, length };
  });
}

function checked(value: unknown, where: string): Spec {
  const parsed = specSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = (issue?.path ?? []).map(String).join(".");
  throw badInput("bad-spec", {
    where,
    expected: `${path === "" ? "the spec" : path}: ${(issue?.message ?? "cannot be read").replaceAll(/\s+/g, " ").slice(0, 200)}`,
  });
}

/** Turns the sections of one spec into layers; equal layers are one object. */
class SectionReader {
  private readonly used = new Set<string>();
  private readonly known = new Map<string, Layer>();

  constructor(
    private readonly spec: Spec,
    private readonly where: string,
    private readonly norm: Norm,
  ) {}

  /** The layers section by section; sections of one length that follow each other are one run. */
  runs(key: "layers" | "encoder", given: NonNullable<Spec["layers"]>, causal: boolean): Run[] {
    const all: Layer[] = [];
    const runs: { shorter: number; layers: Layer[] }[] = [];
    const sections = Array.isArray(given) ? given : [given];
    for (const [index, section] of sections.entries()) {
      const place = Array.isArray(given) ? `${key}.${index}` : key;
      const pattern = this.at(place, () => parsePattern(section.pattern));
      const count = section.count ?? pattern.length;
      if (all.length + count > 10_000) throw this.bad(`${place}.count`, count, "expected at most 10000 layers in all");
      const { shorter = 1 } = section;
      if (shorter !== 1 && (key === "layers" || this.spec.layers !== undefined)) {
        throw this.bad(`${place}.shorter`, shorter, "expected 1: only an encoder alone can shorten its sequence");
      }
      const before = runs.at(-1);
      const pools = before !== undefined && shorter === 2 * before.shorter;
      const run = before?.shorter === shorter ? before : { shorter, layers: [] };
      if (run !== before) runs.push(run);
      const firstOf = new Map<PatternLayer, number>();
      const start = all.length;
      for (let layer = 0; layer < count; layer += 1) {
        const item = pattern[layer % pattern.length];
        if (item === undefined) throw this.bad(`${place}.pattern`, section.pattern, "expected one layer or more");
        const first = section.weights === "shared" ? start : (firstOf.get(item) ?? start + layer);
        firstOf.set(item, first);
        const shares = section.weights !== undefined && section.weights !== "own";
        const position: Position = { first: all.length === 0, pools: pools && run.layers.length === 0 };
        const read = this.layer(item, section, place, causal, shares ? `layers.${first}` : null, position);
        all.push(read);
        run.layers.push(read);
      }
      if (section.weights === "shared" && new Set(pattern).size > 1) {
        throw this.bad(`${place}.weights`, "shared", "expected a pattern of one kind of layer, or shared-by-kind");
      }
    }
    return runs;
  }

  /** Mixers and FFNs that no layer uses are mistakes. */
  checkUnused(): void {
    const defined = [
      ...Object.keys(this.spec.mixers).map((name) => `mixers.${name}`),
      ...Object.keys(this.spec.ffns ?? {}).map((name) => `ffns.${name}`),
    ];
    const unused = defined.find((name) => !this.used.has(name));
    if (unused !== undefined) throw this.bad(unused, "unused", "expected a layer that uses it");
  }

  /** What `read` gives; a problem in it becomes an error that names the whole place. */
  private at<T>(place: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      if (!(cause instanceof SpecProblem)) throw cause;
      throw this.bad(`${place}.${cause.key}`, cause.found, cause.expected);
    }
  }

  private layer(
    item: PatternLayer,
    section: SectionSpec,
    place: string,
    causal: boolean,
    weightsOf: string | null,
    position: Position,
  ): Layer {
    const ffns = item.ffns ?? (typeof section.ffn === "string" ? [section.ffn] : (section.ffn ?? []));
    const layer: Layer = {
      mixers: item.mixers.map((name) => placed(this.mixer(name, item, place, causal), position)),
      ffns: ffns.map((name) => this.ffn(name, place)),
      norm: this.norm,
      normPlacement: placements[section.norms ?? "pre"],
      ...(section.arrangement === undefined ? {} : { arrangement: section.arrangement }),
      ...(weightsOf === null ? {} : { weightsOf }),
    };
    const key = JSON.stringify(layer);
    const known = this.known.get(key) ?? layer;
    this.known.set(key, known);
    return known;
  }

  private mixer(name: string, { span }: PatternLayer, place: string, causal: boolean): Layer["mixers"][number] {
    const spec = Object.hasOwn(this.spec.mixers, name) ? this.spec.mixers[name] : undefined;
    if (spec === undefined) throw this.unknown(place, "mixers", name, Object.keys(this.spec.mixers));
    this.used.add(`mixers.${name}`);
    return this.at(`mixers.${name}`, () => {
      const mixer = mixerOf(spec, this.spec.hidden_size, causal);
      if (span === null) return mixer;
      if (mixer.kind !== "attention")
        throw new SpecProblem("kind", mixer.kind, "only attention has a span in brackets");
      return { ...mixer, span };
    });
  }

  private ffn(name: string, place: string): Ffn {
    const ffns = this.spec.ffns ?? {};
    const spec = Object.hasOwn(ffns, name) ? ffns[name] : undefined;
    if (spec === undefined) throw this.unknown(place, "ffns", name, Object.keys(ffns));
    this.used.add(`ffns.${name}`);
    if (spec.kind === "moe" && spec.chosen > spec.experts) {
      throw this.bad(`ffns.${name}.chosen`, spec.chosen, `expected at most the number of experts (${spec.experts})`);
    }
    return ffnOf(spec);
  }

  private unknown(place: string, kind: string, name: string, known: readonly string[]): Error {
    return this.bad(place, name, `expected one of the ${kind}: ${known.join(", ").slice(0, 200)}`);
  }

  private bad(key: string, found: unknown, expected: string): Error {
    return badInput("bad-spec", { where: this.where, key, found, expected });
  }
}

/** Where a layer stands, for mixers that differ there. */
interface Position {
  /** The first of all. */
  readonly first: boolean;
  /** The first on a sequence half as long as before. */
  readonly pools: boolean;
}

function placed(mixer: Mixer, { first, pools }: Position): Mixer {
  if (mixer.kind === "relative" && pools) return { ...mixer, pooling: 2 };
  return mixer.kind === "rwkv" && mixer.version === 7 && first ? { ...mixer, first: true } : mixer;
}

const placements: Readonly<Record<NonNullable<SectionSpec["norms"]>, NormPlacement>> = {
  pre: "pre",
  post: "post-residual",
  "post-branch": "post-branch",
  both: "sandwich",
};

function ffnOf(spec: FfnSpec): Ffn {
  if (spec.kind === "rwkv") {
    return { kind: "rwkv4-ffn", width: spec.width, ...(spec.gated === false ? { ungated: true as const } : {}) };
  }
  const { gated = true, activation = "silu", bias = false, width } = spec;
  if (spec.kind === "dense") return { kind: "dense", width, gated, activation, bias };
  const { experts, chosen, shared } = spec;
  return {
    kind: "moe",
    experts,
    chosen,
    width,
    gated,
    activation,
    bias,
    routerBias: false,
    ...(spec.latent_width === undefined ? {} : { latentWidth: spec.latent_width }),
    ...(shared === undefined
      ? {}
      : {
          shared: {
            width: shared.width,
            gate: shared.gate ?? false,
            ...(shared.count === undefined ? {} : { count: shared.count }),
          },
        }),
  };
}
