import type { ModuleBuilder } from "../module.js";

/** Each token beside the one before it, projected to `narrow` and, again beside the one before, back; then a norm. */
export function addFilter(module: ModuleBuilder, input: string, width: number, narrow: number): void {
  module.keep("filter.tokens", width, 1);
  module.keep("filter.narrow", narrow, 1);
  const down = module.linear("filter_down", input, 2 * width, narrow, { bias: true });
  const up = module.linear("filter_up", down, 2 * narrow, width, { bias: true });
  module.normalise("filter_norm", up, { ...module.around.norm, kind: "rms", bias: false, plain: false }, width);
}
