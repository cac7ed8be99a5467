import { defaultConventions } from "../cost/conventions.js";
import { costLaw } from "../cost/law.js";
import { priceGraph, totalCost } from "../cost/table.js";
import type { PhysicalComponent, PhysicalCurve } from "../fit/index.js";
import { buildGraph } from "../graph/build.js";
import type { ModelDescription } from "../model/types.js";
import type { Expression } from "../math/expression.js";
import type { Series } from "../runs/import/types.js";
import type { Execution } from "./physical.js";

/**
 * How much longer a FLOP of attention takes than one of a matrix product, and a cached byte than one of the weights: of
 * published sweeps the geometric mean and about its spread (bench/unknown-device.mjs). Where scores go through memory,
 * n × n at a time, each pass over them adds to it.
 */
const attentionPerFlop = { fused: { ratio: 1.8, logSpread: 0.5 }, naive: { ratio: 4, logSpread: 0.8 } } as const;
const cachePerByte = { ratio: 5, logSpread: 1.2 } as const;
/** What does not grow takes as long as the matrix products of so many tokens, give or take this much. */
const overhead = { tokens: 100, logSpread: 2 } as const;
/** What a decode step adds to reading the weights. */
const stepOverhead = { share: 0.3, logSpread: 1 } as const;
/** Its factor is the free scale itself. */
const anchored = 1e-3;

/**
 * The physical law of a model on a machine that nobody has measured: how time divides among matrix products, attention
 * and what does not grow, as the model's own graph has it, with wide priors on what each costs. The samples decide the
 * scale.
 *
 * @param sweep which lengths of a prefill vary; new tokens after an empty cache where it is left out
 */
export function curveOnUnknown(
  model: ModelDescription,
  { phase, batch, attention }: Execution,
  sweep?: Pick<Series, "axis" | "fixed">,
): PhysicalCurve {
  const decode = phase === "decode";
  const costs = priceGraph(
    buildGraph(model, { phase: decode ? "decode" : "prefill", attention, head: "last" }),
    defaultConventions,
  );
  const law = costLaw(costs, decode ? "decode" : "prefill", batch, "same");
  if (decode) {
    const bytes = law.readBytes.compile("c");
    const weights = bytes(0);
    return {
      scale: "free",
      components: [
        { name: "weights", seconds: () => weights, logSpread: anchored },
        { name: "cache", seconds: (c) => cachePerByte.ratio * (bytes(c) - weights), logSpread: cachePerByte.logSpread },
        { name: "overhead", seconds: () => stepOverhead.share * weights, logSpread: stepOverhead.logSpread },
      ],
    };
  }
  const total = totalCost(costs);
  const after = sweep ?? { axis: "length", fixed: 0 };
  const over = (own: Expression, any: Expression): ((length: number) => number) => {
    if (after.fixed === 0) return own.compile("n");
    if (after.axis === "length") return any.compile("n", { c: after.fixed, b: batch, m: 0 });
    const ofCached = any.compile("c", { n: after.fixed, b: batch, m: 0 });
    return (context) => ofCached(context - after.fixed);
  };
  const whole = over(law.matmulFlops, total.matmulFlops);
  const ofAttention = over(law.attentionFlops, total.attentionFlops);
  const matrices = (n: number): number => whole(n) - ofAttention(n);
  const { ratio, logSpread } = attentionPerFlop[attention];
  const fixed = law.matmulFlops.compile("n")(overhead.tokens) - law.attentionFlops.compile("n")(overhead.tokens);
  const components: PhysicalComponent[] = [
    { name: "matrix products", seconds: matrices, logSpread: anchored },
    { name: "attention", seconds: (n) => ratio * ofAttention(n), logSpread },
    { name: "overhead", seconds: () => fixed, logSpread: overhead.logSpread },
  ];
  return { scale: "free", components: components.filter(({ seconds }) => seconds(after.fixed + 2) > 0) };
}
