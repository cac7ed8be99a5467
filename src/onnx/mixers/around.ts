import type { Norm } from "../../model/types.js";

/** What a module's lowering knows beside its description. */
export interface Around {
  /** Epsilon and offset of norms inside the module. */
  readonly norm: Norm;
  /** All scores at once instead of a fused kernel or blocks. */
  readonly naive: boolean;
}
