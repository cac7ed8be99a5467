import type { Norm } from "../../model/types.js";

/** What a module's lowering knows beside its description. */
export interface Around {
  /** Epsilon and offset of norms inside the module. */
  readonly norm: Norm;
  /** Width of the module's input. */
  readonly hidden: number;
  /** All scores at once instead of a fused kernel or blocks. */
  readonly naive: boolean;
}
