import type { MatrixFormat, QuantisedStorage } from "../../model/storage.js";
import type { ModelDescription } from "../../model/types.js";
import type { Block, BlockInstance, Weight } from "../types.js";
import type { StoredAs } from "./bits-of.js";
import { patternsOf } from "../../model/module-pattern.js";
import { namesBeside, namesByWeight } from "./module-names.js";

/** What a weight is to a toolkit that quantises linear maps. */
type Role = "linear" | "router" | "head" | "embedding" | "other";

/**
 * How a `quantization_config` stores each weight. Linear maps of layers and what is beside them are what its rest
 * format reaches; routers, indexers' weights and latents around experts only where a rule names them, as all toolkits
 * but MLX leave them. Towers for images and sound are reached as a whole or not at all, by the method and its lists.
 */
export function asQuantised(
  storage: QuantisedStorage,
  model: ModelDescription,
): (instance: BlockInstance) => readonly StoredAs[] {
  const rules = rulesOf(storage);
  const towers = model.stacks.flatMap(({ kind, name }) =>
    kind === "vision" || kind === "audio" ? [{ kind, scope: `${name ?? kind}.` }] : [],
  );
  const known = new Map<Block, Map<string, readonly StoredAs[]>>();
  const namesOf = namesByWeight(model.modelType);
  const found = new Map<string, Map<readonly string[], Rule | null>>();
  return ({ block, scope }) => {
    const tower = towers.find((one) => scope.startsWith(one.scope));
    if (tower !== undefined) return inTower(block, tower.kind, rules, storage);
    const layer = layerOf(scope, storage);
    const same = layer === null ? scope : rules.map(({ patterns }) => patterns.sameIn(layer)).join("|");
    const byPlace = inner(known, block);
    const stored = byPlace.get(same) ?? [...block.weights].map(([name, weight]) => storedAs(name, weight));
    byPlace.set(same, stored);
    return stored;

    function storedAs(name: string, weight: Weight): StoredAs {
      const role = roleOf(scope, name, weight);
      if (role === "other") return null;
      const names = layer === null ? (namesBeside[`${scope}.${name}`] ?? []) : namesOf(name, block);
      // Blocks of one kind ask for the same lists of names.
      const byNames = inner(found, same);
      const rule = byNames.get(names) ?? ruleFor(rules, layer, names, storage);
      byNames.set(names, rule);
      return inFormat(rule === null ? reached(storage, role) : rule.format, weight, fusedIn(name, block));
    }
  };
}

function inner<Key, InnerKey, Value>(maps: Map<Key, Map<InnerKey, Value>>, key: Key): Map<InnerKey, Value> {
  const known = maps.get(key) ?? new Map<InnerKey, Value>();
  maps.set(key, known);
  return known;
}

/** The first rule that one of the names is named in. */
function ruleFor(
  rules: readonly Rule[],
  layer: number | null,
  names: readonly string[],
  storage: QuantisedStorage,
): Rule | null {
  return rules.find(({ patterns }) => names.some((name) => named(patterns, layer, name, storage))) ?? null;
}

/** Linear maps of a tower, and of what leads from it to the language model, which is a part of some towers. */
function inTower(
  block: Block,
  kind: "vision" | "audio",
  rules: readonly Rule[],
  { others, reaches }: QuantisedStorage,
): StoredAs[] {
  return [...block.weights].map(([name, weight]) => {
    if (weight.shape.length !== 2 || !name.endsWith(".weight") || /norm/.test(name)) return null;
    const parts = leadsOn.test(name) ? (["projector", kind] as const) : ([kind] as const);
    const rule = rules.find(({ patterns }) => parts.some((part) => patterns.namesAside(part)));
    const format = rule === undefined ? (reaches.towers ? others : null) : rule.format;
    return inFormat(format, weight, 1);
  });
}

const leadsOn = /^extra\.(?:project|merge|adapter|deep)/;

function inFormat(format: MatrixFormat | null, weight: Weight, fused: number): StoredAs {
  return format === null
    ? null
    : {
        format: format.name,
        bits: bitsPerElement(format, weight, fused),
        ...(format.operands === null ? {} : { operands: format.operands }),
      };
}

interface Rule {
  readonly patterns: ReturnType<typeof patternsOf>;
  readonly format: MatrixFormat | null;
}

function rulesOf({ rules }: QuantisedStorage): readonly Rule[] {
  return rules.map(({ modules, format }) => ({ patterns: patternsOf(modules), format }));
}

function named(patterns: Rule["patterns"], layer: number | null, name: string, storage: QuantisedStorage): boolean {
  if (patterns.match(layer, name)) return true;
  if (storage.layersBefore === undefined || layer === null) return false;
  return patterns.matchPrediction(layer - storage.layersBefore, name);
}

function reached({ others, reaches }: QuantisedStorage, role: Role): MatrixFormat | null {
  if (role === "head" || role === "embedding") return reaches[role] ? others : null;
  return role === "router" && !reaches.routers ? null : others;
}

/** Number of the layer, counted on through those for prediction; null for what is no layer of the language model. */
function layerOf(scope: string, { layersBefore = 0 }: QuantisedStorage): number | null {
  const [, index] = /^(?:encoder\.|prediction\.)?layers\.(\d+)$/.exec(scope) ?? [];
  return index === undefined ? null : Number(index) + layersBefore;
}

const routing = /^(?:ffn\d*\.(?:router|shared_gate|latent_)|mixer\d*\.(?:indexer\.weights|decay|strength)|extra\.)/;

function roleOf(scope: string, name: string, { shape }: Weight): Role {
  if (scope === "head" && name === "weight") return "head";
  // A head that is tied to it does not make a table a linear map.
  if (scope === "embedding" && name === "table") return "embedding";
  if (shape.length < 2 || !name.endsWith(".weight") || /convolution|features/.test(name)) return "other";
  return routing.test(name) || !/layers\.\d+$/.test(scope) ? "router" : "linear";
}

/** Gate and up projections of experts are two matrices in files, and one here. */
function fusedIn(name: string, block: Block): number {
  if (!name.endsWith("experts.up.weight")) return 1;
  const [, up = 1] = block.weights.get(name)?.shape ?? [];
  const width = block.weights.get(name.replace("up.weight", "down.weight"))?.shape.at(-1) ?? up;
  return up === 2 * width ? 2 : 1;
}

/** Bits of one element with its share of what stands beside. Matrices are [outputs, inputs], several behind each other. */
function bitsPerElement({ bits, beside }: MatrixFormat, { shape }: Weight, fused: number): number {
  const columns = shape.at(-1) ?? 1;
  const rows = (shape.at(-2) ?? 1) / fused;
  const extra = beside.reduce((sum, one) => {
    if ("elements" in one) return sum + Math.ceil((rows * columns) / one.elements) * one.bits;
    const down = one.rows === null ? 1 : Math.ceil(rows / one.rows);
    const across = one.columns === null ? 1 : Math.ceil(columns / one.columns);
    return sum + down * across * one.bits;
  }, 0);
  return bits + extra / (rows * columns);
}
