import type { RecurrentCell } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { int } from "../proto.js";

/** Gates in ONNX's order by their places in PyTorch's: input, output, forget, cell; update, reset, hidden. */
const order = { lstm: [0, 3, 1, 2], gru: [1, 0, 2] } as const;

/**
 * LSTM or GRU over the tokens, one after the other, in ONNX Runtime's own kernel. The state is what one token hands to
 * the next: h, and c for an LSTM.
 */
export function addCell(e: Emitter, input: string, { cell, width, bias }: RecurrentCell): string {
  const gates = order[cell].length;
  // Constants when the model is loaded: ONNX Runtime works these nodes out once.
  const ordered = (name: string, axis: number): string => {
    const sizes = e.list(Array<number>(gates).fill(width));
    const parts = e.nodes("Split", [e.weight(name), sizes], gates, { axis: int(0) });
    const joined = e.concat(
      order[cell].map((place) => parts[place] ?? ""),
      0,
    );
    return axis === 0 ? joined : e.node("Unsqueeze", [joined, e.scope.builder.integers([0])]);
  };
  const biases = bias
    ? e.node("Unsqueeze", [
        e.concat([ordered("input.bias", 0), ordered("recurrent.bias", 0)], 0),
        e.scope.builder.integers([0]),
      ])
    : "";
  const kept = cell === "lstm" ? 2 : 1;
  const state = e.scope.state([kept, width]);
  // [b, kept, width] → [1, b, width] each.
  const turned = e.transpose(state.past, [1, 0, 2]);
  const before = cell === "lstm" ? e.nodes("Split", [turned, e.list([1, 1])], 2, { axis: int(0) }) : [turned];
  const inputs = [e.transpose(input, [1, 0, 2]), ordered("input.weight", 1), ordered("recurrent.weight", 1)];
  const [all = "", ...after] = e.nodes(cell.toUpperCase(), [...inputs, biases, "", ...before], 1 + kept, {
    hidden_size: int(width),
    ...(cell === "gru" ? { linear_before_reset: int(1) } : {}),
  });
  const joined = after.length === 1 ? (after[0] ?? "") : e.concat(after, 0);
  e.into(state.present, "Transpose", [joined], { perm: { kind: "ints", value: [1, 0, 2] } });
  // [n, 1, b, width] → [b, n, width]
  const stepped = e.reshape(e.transpose(all, [2, 0, 1, 3]), [0, -1, width]);
  return e.has("output.weight") ? e.linear("output", stepped) : stepped;
}
