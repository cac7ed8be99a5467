export { cacheBytes } from "./cache.js";
export { type Conventions, defaultConventions } from "./conventions.js";
export { type Amounts, type PartOfGeneration, type Request, addAmounts, generationCost } from "./generation.js";
export { type CostLaw, type CostPhase, costLaw, crossover, halfOf, lawOf } from "./law.js";
export { type UnrunCount, countParameters, countUnrun, distinctWeights, weightBytes } from "./parameters.js";
export { type QuantisedWeights, quantisedWeights } from "./quantised.js";
export { type OperatorCost, costByPart, priceGraph, totalCost } from "./table.js";
export type { Cost } from "./types.js";
export { Expression } from "../math/expression.js";
