import type { ModelBuilder } from "./builder.js";
import type { AttributeValue, OnnxValue } from "./proto.js";
import { type EncoderOutput, inputNames } from "./scope.js";

const hidden = "encoder.hidden";

/**
 * The encoder of an encoder–decoder, which runs in the first pass of a sequence: with nothing cached. Later passes
 * skip it, so that one session, with one copy of the weights, does prefill and decode.
 *
 * @param size width of the encoder's output, and its tokens where their number is fixed
 * @param make adds the encoder's nodes and gives the name of its output, [b, m, width]
 */
export function addEncoder(
  builder: ModelBuilder,
  { width, tokens }: { readonly width: number; readonly tokens: number | null },
  make: () => string,
): EncoderOutput {
  const depth = builder.input(inputNames.depth, "int64", [1]);
  const first = builder.node("encoder.first", "Equal", [depth, builder.integers([0])]);
  const branch = (which: string, output: () => string): AttributeValue => ({
    kind: "graph",
    value: builder.body(`encoder.${which}`, [], () => {
      const result: OnnxValue = { name: output(), type: "float32", shape: ["b", `${which}.tokens`, width] };
      return [result];
    }),
  });
  builder.node(hidden, "If", [first], {
    attributes: {
      then_branch: branch("run", make),
      else_branch: branch("skip", () =>
        builder.node("encoder.nothing", "ConstantOfShape", [builder.integers([0, 0, width])]),
      ),
    },
  });
  return { hidden, tokens, first };
}
