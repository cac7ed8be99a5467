import type { Block, Graph, Operator, Part } from "../graph/types.js";
import { type Conventions, defaultConventions } from "./conventions.js";
import { count } from "./count.js";
import { type Cost, sumCosts } from "./types.js";

/** One operator of the model with everything it costs, over all layers that execute it. */
export interface OperatorCost {
  readonly operator: Operator;
  readonly block: Block;
  /** How many layers execute it. */
  readonly times: number;
  /** The cost of one execution. */
  readonly cost: Cost;
}

/** The graph, priced. Operators of equal layers are one row. */
export function priceGraph(graph: Graph, conventions: Partial<Conventions> = {}): OperatorCost[] {
  const chosen = { ...defaultConventions, ...conventions };
  const times = new Map<Block, number>();
  for (const { block } of graph.instances) times.set(block, (times.get(block) ?? 0) + 1);
  return [...times].flatMap(([block, executions]) =>
    block.operators.map((operator) => ({
      operator,
      block,
      times: executions,
      cost: count(operator, block, chosen),
    })),
  );
}

/** The whole model's cost: the sum of its operators. */
export function totalCost(rows: readonly OperatorCost[]): Cost {
  return sumCosts(rows);
}

/** Costs by the part of the model they belong to; parts the model lacks are absent. */
export function costByPart(rows: readonly OperatorCost[]): Map<Part, Cost> {
  const groups = new Map<Part, OperatorCost[]>();
  for (const row of rows) {
    const group = groups.get(row.operator.part);
    if (group === undefined) groups.set(row.operator.part, [row]);
    else group.push(row);
  }
  return new Map([...groups].map(([part, group]) => [part, sumCosts(group)]));
}
