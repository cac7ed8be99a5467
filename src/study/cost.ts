import { type Conventions, defaultConventions } from "../cost/conventions.js";
import { type CostPhase, costLaw, crossover, halfOf, lawOf } from "../cost/law.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph, defaultGraphOptions } from "../graph/build.js";
import type { GraphOptions } from "../graph/types.js";
import type { Variable } from "../math/affine.js";
import type { Expression } from "../math/expression.js";
import type { ModelDescription } from "../model/types.js";
import type { CostDocument } from "./documents/cost.js";

export interface CostOptions extends Partial<Conventions>, Partial<GraphOptions> {
  readonly phase?: CostPhase;
  readonly batch?: number;
  /** Lengths to evaluate at: n of a prefill, context c of a decode step. */
  readonly lengths?: readonly number[];
}

const defaultLengths = [128, 512, 2048, 8192, 32_768, 131_072];

/** What a model's inference costs, per operator and in total, as exact laws of the length. */
export function costOfModel(model: ModelDescription, options: CostOptions = {}): CostDocument {
  const phase = options.phase ?? "prefill";
  const batch = options.batch ?? 1;
  const conventions: Conventions = {
    causal: options.causal ?? defaultConventions.causal,
    mac: options.mac ?? defaultConventions.mac,
  };
  const graphOptions: GraphOptions = {
    attention: options.attention ?? defaultGraphOptions.attention,
    head: options.head ?? defaultGraphOptions.head,
    kernels: options.kernels ?? defaultGraphOptions.kernels,
    phase,
  };
  const rows = priceGraph(buildGraph(model, graphOptions), conventions);
  const law = costLaw(rows, phase, batch);
  const { variable } = law;
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
    variable: phase === "prefill" ? "n" : "c",
    batch,
    conventions: {
      ...conventions,
      attention: graphOptions.attention,
      head: graphOptions.head,
      kernels: graphOptions.kernels,
    },
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
      const own = lawOf(row.cost, phase, batch);
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
  };
}

function lawDocument(expression: Expression, variable: Variable): CostDocument["flops"] {
  const degree = expression.degree(variable);
  return {
    expression: expression.toString(),
    degree: degree.power,
    growth: growthOf(degree, variable),
    pieces: expression.pieces(variable).map((piece) => ({
      from: piece.from,
      to: Number.isFinite(piece.to) ? piece.to : null,
      expression: piece.expression.toString(),
      ...(piece.coefficients === null ? {} : { coefficients: [...piece.coefficients] }),
    })),
  };
}

function growthOf(degree: { readonly power: number; readonly logPower: number }, variable: Variable): string {
  const power =
    degree.power === 0 ? "" : degree.power === 1 ? variable : `${variable}${"⁰¹²³⁴⁵⁶⁷⁸⁹"[degree.power] ?? ""}`;
  const logarithm = degree.logPower === 0 ? "" : `log ${variable}`;
  return [power, logarithm].filter((part) => part !== "").join("·") || "1";
}
