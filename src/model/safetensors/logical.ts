import type { QuantisedStorage, StoredTensor } from "../storage.js";
import type { StoredWeights } from "../stored.js";

/** What stands beside quantised matrices in files of the toolkits: scales, zero points, indices, shapes, tables. */
const companion =
  /(?:\.(?:weight_scale(?:_inv|_2)?|(?:input|weight|output)_(?:global_)?scale|(?:input|weight)_zero_point|weight_shape|weight_g_idx|scales|qzeros|g_idx|SCB|weight_format|absmax|quant_map|nested_absmax|nested_quant_map)|\.quant_state\.bitsandbytes__\w+|_shape)$/;
/** Bits of the integers that toolkits pack weights into. */
const packedIn: Readonly<Record<string, number>> = { U8: 8, I32: 32, U32: 32 };

/** Parameters of a quantised checkpoint as the model has them, and what was counted otherwise, in words. */
export interface LogicalCount {
  readonly stored: StoredWeights;
  readonly note: string;
}

/**
 * Counts packed integers as the weights they hold, and what stands beside them as none. Null bits, where matrices are
 * packed at several widths, leave packed integers counted as they are stored.
 */
export function logicalWeights(stored: StoredWeights, storage: QuantisedStorage): LogicalCount {
  const bits = packedBits(storage);
  const names = new Set(stored.tensors.map(({ name }) => name));
  let parameters = 0;
  let beside = 0;
  let packed = 0;
  for (const tensor of stored.tensors) {
    if (isCompanion(tensor, names)) {
      beside += tensor.elements;
      continue;
    }
    const width = packedIn[tensor.type];
    if (width !== undefined) packed += 1;
    parameters += tensor.elements * (width === undefined || bits === null ? 1 : width / bits);
  }
  const held = bits === null ? "as they are stored: they have several widths" : `as the ${bits}-bit weights they hold`;
  const packing = packed === 0 ? "" : `; ${packed} packed tensors are counted ${held}`;
  return {
    stored: { ...stored, parameters },
    note: `${beside} scales, zero points and indices in the weights' files are no parameters${packing}`,
  };
}

/** MLX calls zero points `biases`; blocks of MXFP4 have their scales in a tensor of that name's ending. */
function isCompanion({ name }: StoredTensor, names: ReadonlySet<string>): boolean {
  if (companion.test(name)) return true;
  if (name.endsWith(".biases")) return names.has(name.replace(/biases$/, "scales"));
  return name.endsWith("_scales") && names.has(name.replace(/scales$/, "blocks"));
}

/** The one width below 8 bits, else 8; null where there are several. */
function packedBits({ rules, others }: QuantisedStorage): number | null {
  const formats = [...rules.map(({ format }) => format), others];
  const found = new Set(formats.flatMap((format) => (format === null ? [] : [format.bits])));
  const narrow = [...found].filter((bits) => bits < 8);
  if (narrow.length > 1 || narrow[0] === 0) return null;
  return narrow[0] ?? 8;
}
