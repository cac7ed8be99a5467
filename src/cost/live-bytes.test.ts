import { describe, expect, test } from "vitest";
import { BlockBuilder } from "../graph/block-builder.js";
import { Expression, n } from "../math/expression.js";
import { liveBytes } from "./live-bytes.js";

/** x → norm → up → activation → down → x + down, widths 10 and 40, float32. */
function feedForward() {
  const block = new BlockBuilder("layer");
  const shape = (width: number) => [n, Expression.constant(width)];
  const common = { part: "ffn" } as const;
  const x = block.value("x", shape(10), "float32");
  const linear = (name: string, input: string, from: number, to: number) =>
    block.add({
      ...common,
      kind: "linear",
      name,
      input,
      weight: block.weight(`${name}.weight`, [to, from], "float32", "matrix"),
      bias: null,
      output: block.value(`${name}.out`, shape(to), "float32"),
    });
  const elementwise = (name: string, inputs: string[], width: number) =>
    block.add({
      ...common,
      kind: "elementwise",
      name,
      function: inputs.length === 1 ? "silu" : "add",
      inputs,
      parameter: null,
      output: block.value(`${name}.out`, shape(width), "float32"),
    });
  const up = linear("up", x, 10, 40);
  const activated = elementwise("activation", [up], 40);
  const down = linear("down", activated, 40, 10);
  return block.build([x], elementwise("residual", [x, down], 10));
}

describe("liveBytes", () => {
  test("counts what an operator reads, writes and what waits, and lets elementwise operators write in place", () => {
    const [up, activation, down, residual] = liveBytes(feedForward()).map((bytes) => bytes.at({ n: 3 }));
    expect(up).toBe(3 * 4 * (10 + 40));
    expect(activation).toBe(3 * 4 * (10 + 40));
    expect(down).toBe(3 * 4 * (10 + 40 + 10));
    expect(residual).toBe(3 * 4 * (10 + 10));
  });
});
