import { badInput } from "../base/errors.js";
import { longestLength } from "../base/lengths.js";
import { type Conventions, defaultConventions } from "../cost/conventions.js";
import { type Amounts, addAmounts, generationCost } from "../cost/generation.js";
import { type CostLaw, type CostPhase, type EncoderLength, costLaw, crossover, halfOf, lawOf } from "../cost/law.js";
import { type OperatorCost, priceGraph } from "../cost/table.js";
import { buildGraph, defaultGraphOptions } from "../graph/build.js";
import type { GraphOptions } from "../graph/types.js";
import type { Expression } from "../math/expression.js";
import { firstNonNegative } from "../math/roots.js";
import type { ModelDescription } from "../model/types.js";
import { lawDocument } from "./law-document.js";
import type { CostComparisonDocument, CostDocument } from "./documents/cost.js";

export interface CostOptions extends Partial<Conventions>, Partial<GraphOptions> {
  readonly phase?: CostPhase;
  readonly batch?: number;
  /** Lengths to evaluate at: n of a prefill, context c of a decode step. */
  readonly lengths?: readonly number[];
  /** Tokens of an encoder's input. Where absent it is as long as the law's variable, or as a request's prompt. */
  readonly encoderLength?: number;
  /** A whole generation to price beside: tokens of the prompt, decode steps after it. */
  readonly request?: { readonly input: number; readonly output: number };
}

const defaultLengths = [128, 512, 2048, 8192, 32_768, 131_072];

/** A model priced under one set of conventions. */
interface Priced {
  readonly conventions: CostDocument["conventions"];
  readonly rows: readonly OperatorCost[];
  readonly law: CostLaw;
  readonly encoderLength: EncoderLength;
}

/** How another tool counts, as the options that reproduce it. */
export const presets = {
  /** PyTorch's FLOP counter on the eager code of Hugging Face transformers: full n × n scores, all positions. */
  transformers: { causal: "full", head: "all", attention: "naive", kernels: "reference", mac: 2 },
  /** The same multiply-adds counted once, as fvcore, ptflops and thop report matrix products. */
  macs: { causal: "full", head: "all", attention: "naive", kernels: "reference", mac: 1 },
  /** Model FLOPs for utilisation: 2N + 4·L·H·Q·T per token with the full square (PaLM, arXiv:2204.02311, appendix B). */
  palm: { causal: "full", head: "all", attention: "fused", kernels: "efficient", mac: 2 },
  /** 24·b·s·l·h² + 4·b·s²·l·h + 2·b·s·h·V of a forward pass (Megatron-LM, arXiv:2104.04473, appendix): as PaLM counts. */
  megatron: { causal: "full", head: "all", attention: "fused", kernels: "efficient", mac: 2 },
} as const satisfies Record<string, CostOptions>;

function conventionsOf(options: CostOptions): CostDocument["conventions"] {
  return {
    causal: options.causal ?? defaultConventions.causal,
    mac: options.mac ?? defaultConventions.mac,
    attention: options.attention ?? defaultGraphOptions.attention,
    head: options.head ?? defaultGraphOptions.head,
    kernels: options.kernels ?? defaultGraphOptions.kernels,
  };
}

/** Whether the length of an encoder's input is a number of its own (Whisper's is fixed, BERT's is n). */
export function hasEncoderLength(model: ModelDescription): boolean {
  return model.stacks.some(({ length }) => length?.kind === "encoder");
}

function price(model: ModelDescription, options: CostOptions): Priced {
  const phase = options.phase ?? "prefill";
  const conventions = conventionsOf(options);
  const rows = priceGraph(buildGraph(model, { ...conventions, phase }), conventions);
  const encoderLength = hasEncoderLength(model) ? (options.encoderLength ?? "same") : 0;
  return { conventions, rows, law: costLaw(rows, phase, options.batch ?? 1, encoderLength), encoderLength };
}

/** What a model's inference costs, per operator and in total, as exact laws of the length. */
export function costOfModel(model: ModelDescription, options: CostOptions = {}): CostDocument {
  const { conventions, rows, law, encoderLength } = price(model, options);
  const { variable, phase, batch } = law;
  const at = (expression: Expression): ((length: number) => number) => expression.compile(variable);
  const compiled = {
    flops: at(law.flops),
    attention: at(law.attentionFlops),
    matmul: at(law.matmulFlops),
    vector: at(law.vectorFlops),
    read: at(law.readBytes),
    written: at(law.writtenBytes),
  };
  const whereCrosses = crossover(law.flops, variable);
  const whereHalf = halfOf(law.attentionFlops, law.flops, variable);
  return {
    schema: "nsquared/cost@1",
    name: model.name,
    modelType: model.modelType,
    source: model.source,
    phase,
    variable: nameOf(phase),
    batch,
    encoderLength: encoderLength === "same" ? nameOf(phase) : encoderLength === 0 ? null : encoderLength,
    conventions,
    flops: lawDocument(law.flops, variable),
    vectorFlops: lawDocument(law.vectorFlops, variable),
    bytes: { read: lawDocument(law.readBytes, variable), written: lawDocument(law.writtenBytes, variable) },
    launches: law.launches,
    crossover: whereCrosses === null ? null : { n: whereCrosses },
    attentionHalf: whereHalf === null ? null : { n: whereHalf },
    points: (options.lengths ?? defaultLengths).map((length) => {
      const total = compiled.flops(length);
      const attention = compiled.attention(length);
      return {
        n: length,
        flops: { total, attention, matmul: compiled.matmul(length), vector: compiled.vector(length) },
        bytes: { read: compiled.read(length), written: compiled.written(length) },
        attentionShare: total === 0 ? 0 : attention / total,
      };
    }),
    operators: rows.map((row) => {
      const own = lawOf(row.cost, phase, batch, encoderLength);
      return {
        name: row.operator.name,
        part: row.operator.part,
        block: row.block.name,
        times: row.times,
        flops: own.flops.toString(),
        vectorFlops: own.vectorFlops.toString(),
        bytes: { read: own.readBytes.toString(), written: own.writtenBytes.toString() },
        launches: row.cost.launches,
      };
    }),
    notes: [...model.notes],
    ...(options.request === undefined ? {} : { request: requestDocument(model, options, options.request) }),
  };
}

const nameOf = (phase: CostPhase): "n" | "c" => (phase === "prefill" ? "n" : "c");

function requestDocument(
  model: ModelDescription,
  options: CostOptions,
  request: NonNullable<CostOptions["request"]>,
): NonNullable<CostDocument["request"]> {
  if (model.stacks.at(-1)?.kind !== "decoder" || model.head.kind !== "lm") {
    throw badInput("request-without-decoder", {
      where: model.source,
      key: "--request",
      found: model.modelType,
      expected: "a model that generates tokens; this one has no decoder with a head",
    });
  }
  const conventions = conventionsOf(options);
  const rows = (phase: CostPhase): readonly OperatorCost[] =>
    priceGraph(buildGraph(model, { ...conventions, phase }), conventions);
  const encoderLength = hasEncoderLength(model) ? (options.encoderLength ?? request.input) : 0;
  const parts = generationCost(rows("prefill"), rows("decode"), {
    ...request,
    batch: options.batch ?? 1,
    encoderLength,
  });
  const prefill = addAmounts(parts.map((part) => part.prefill));
  const decode = addAmounts(parts.map((part) => part.decode));
  return {
    ...request,
    encoderLength: encoderLength === 0 ? null : encoderLength,
    prefill: amountsDocument(prefill),
    decode: amountsDocument(decode),
    total: amountsDocument(addAmounts([prefill, decode])),
    parts: parts.map((part) => ({
      part: part.part,
      prefill: amountsDocument(part.prefill),
      decode: amountsDocument(part.decode),
    })),
  };
}

function amountsDocument(amounts: Amounts): NonNullable<CostDocument["request"]>["total"] {
  return {
    flops: { total: amounts.flops, attention: amounts.attentionFlops, vector: amounts.vectorFlops },
    bytes: { read: amounts.readBytes, written: amounts.writtenBytes },
    launches: amounts.launches,
  };
}

/**
 * Several models side by side, with the lengths from which one is cheaper in FLOPs than another that was cheaper before.
 */
export function compareCosts(models: readonly ModelDescription[], options: CostOptions = {}): CostComparisonDocument {
  const priced = models.map((model) => ({ model, ...price(model, options) }));
  const overtakes = priced.flatMap((winner) =>
    priced.flatMap((loser) => {
      if (winner === loser) return [];
      const { variable } = winner.law;
      const ahead = loser.law.flops.minus(winner.law.flops).compile(variable);
      // Ahead from the start is no overtaking.
      if (ahead(1) >= 0) return [];
      const n = firstNonNegative(ahead, 1, longestLength);
      return n === null ? [] : [{ cheaper: winner.model.name, dearer: loser.model.name, n }];
    }),
  );
  return {
    schema: "nsquared/cost-comparison@1",
    phase: options.phase ?? "prefill",
    batch: options.batch ?? 1,
    models: models.map((model) => costOfModel(model, options)),
    overtakes,
  };
}
