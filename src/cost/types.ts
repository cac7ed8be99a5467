import { Expression } from "../math/expression.js";

/** What an operator costs, as exact functions of n, c, b. It adds; nothing else. */
export interface Cost {
  /** Multiply-adds of matrix products (attention's included), in FLOPs. */
  readonly matmulFlops: Expression;
  /** The share of `matmulFlops` that is attention's scores and mixture. */
  readonly attentionFlops: Expression;
  /** Softmax, norms, rotary, activations, sums: elementary operations beside matrix products, in FLOPs. */
  readonly vectorFlops: Expression;
  readonly readBytes: Expression;
  readonly writtenBytes: Expression;
  /** The share of `readBytes` that is parameters: read once per pass whatever the batch. */
  readonly weightBytes: Expression;
  /** Kernels started. */
  readonly launches: number;
}

const noCost: Cost = {
  matmulFlops: Expression.zero,
  attentionFlops: Expression.zero,
  vectorFlops: Expression.zero,
  readBytes: Expression.zero,
  writtenBytes: Expression.zero,
  weightBytes: Expression.zero,
  launches: 0,
};

export function cost(parts: Partial<Cost>): Cost {
  return { ...noCost, ...parts };
}

/** The sum of costs, each taken `times` times. */
export function sumCosts(items: readonly { readonly cost: Cost; readonly times: number }[]): Cost {
  const total = (field: Exclude<keyof Cost, "launches">): Expression =>
    Expression.sum(items.map((item) => item.cost[field].times(item.times)));
  return {
    matmulFlops: total("matmulFlops"),
    attentionFlops: total("attentionFlops"),
    vectorFlops: total("vectorFlops"),
    readBytes: total("readBytes"),
    writtenBytes: total("writtenBytes"),
    weightBytes: total("weightBytes"),
    launches: items.reduce((sum, item) => sum + item.cost.launches * item.times, 0),
  };
}
