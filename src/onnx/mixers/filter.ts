import type { Norm } from "../../model/types.js";
import type { Emitter } from "../emitter.js";

/**
 * Tokens filtered with those before them (Yuan 2, arXiv:2311.15786): twice a projection of each token beside the one before,
 * through a narrower width and back, added to the token and normed. The last token and the last narrow one are kept.
 */
export function addFilter(e: Emitter, input: string, { epsilon, offset }: Norm): string {
  const narrow = e.linear(
    "filter_down",
    besideLast(e, input, e.scope.weight(e.local("filter_norm.weight")).weight.shape[0] ?? 0),
  );
  const width = e.scope.weight(e.local("filter_down.weight")).weight.shape[0] ?? 0;
  const filtered = e.linear("filter_up", besideLast(e, narrow, width));
  return e.rms(e.add(filtered, input), e.weight("filter_norm.weight", offset), epsilon);
}

/** Each token behind the one before it: [b, n, width] → [b, n, 2·width]. */
function besideLast(e: Emitter, x: string, width: number): string {
  const state = e.scope.state([1, width]);
  const all = e.concat([state.past, x], 1);
  e.into(state.present, "Slice", [all, e.list([-1]), e.list([2 ** 53]), e.list([1])]);
  return e.concat([e.slice(all, 1, 0, -1), x], 2);
}
