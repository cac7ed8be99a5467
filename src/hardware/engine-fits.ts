import type { OperatorClass } from "./efficiency.js";

/** What published runs of an engine show beyond its kernels. */
export interface EngineFit {
  readonly engine: string;
  readonly rows: number;
  readonly factors: Partial<Readonly<Record<OperatorClass, number>>>;
  readonly perStep: number;
  readonly spread: number;
}

export const engineFits: readonly EngineFit[] = [];
