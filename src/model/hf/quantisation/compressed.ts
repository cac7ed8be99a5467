import type { Dtype } from "../../../base/units.js";
import type { MatrixFormat } from "../../storage.js";
import { fp8Blocks, fp8PerChannel, fp8PerTensor, int8PerChannel, integers, microscaled, nvfp4 } from "./formats.js";
import type { Section } from "./section.js";

/**
 * One scheme of compressed-tensors, and of modelopt in its words: `weights` and `input_activations` with `num_bits`, `type`,
 * `strategy`, `group_size`, `symmetric`. Null for what is not known.
 */
export function schemeFormat(group: Section, fallbackFormat: string | null): MatrixFormat | null {
  const weights = group.child("weights");
  if (weights === null) return null;
  const bits = weights.whole("num_bits", 8, 16);
  const floating = weights.word("type") === "float";
  const inputs = weights.whole("group_size", null);
  const strategy = weights.word("strategy") ?? (inputs === null ? "tensor" : "group");
  const operands = operandsOf(group.child("input_activations"));
  const file = group.word("format") ?? fallbackFormat ?? "";
  if (floating && bits === 4) {
    return file.startsWith("mxfp4") || inputs === 32 ? microscaled(4, operands) : nvfp4(inputs ?? 16, operands);
  }
  if (floating && bits === 8) {
    if (file.startsWith("mxfp8") || (strategy === "group" && inputs === 32)) return microscaled(8, operands);
    if (strategy === "block") {
      const [rows, columns] = weights.pair("block_structure") ?? [128, 128];
      return fp8Blocks(rows, columns, 16, operands);
    }
    if (strategy === "group")
      return { ...integers({ bits: 8, group: inputs, scaleBits: 16, operands }), name: `FP8 in groups of ${inputs}` };
    return strategy === "tensor" ? fp8PerTensor(operands) : fp8PerChannel(16, operands);
  }
  if (floating || bits > 8) return null;
  if (bits === 8 && strategy !== "group") return int8PerChannel(16, operands);
  return integers({
    bits,
    group: strategy === "group" ? (inputs ?? 128) : null,
    scaleBits: 16,
    zeroBits: weights.flag("symmetric", true) ? 0 : bits,
    indexed: weights.word("actorder") === "group",
    operands,
  });
}

/** What activations are cast to; null where they stay as they are. */
function operandsOf(activations: Section | null): Dtype | null {
  if (activations === null) return null;
  const floating = activations.word("type") === "float";
  const bits = activations.whole("num_bits", 8, 16);
  if (bits > 8) return null;
  if (bits > 4) return floating ? "float8" : "int8";
  return floating ? "float4" : "int4";
}
