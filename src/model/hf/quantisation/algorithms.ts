import type { MatrixFormat } from "../../storage.js";
import { fp8Blocks, fp8PerChannel, fp8PerTensor, integers, microscaled, nvfp4 } from "./formats.js";

/** Formats of modelopt by its `quant_algo`; null for what is not known. */
export function algorithmFormat(algorithm: string, group: number | null): MatrixFormat | null {
  switch (algorithm.toLowerCase()) {
    case "fp8":
      return fp8PerTensor("float8");
    case "fp8_per_channel_per_token":
      return fp8PerChannel(32, "float8");
    case "fp8_pb_wo":
      return fp8Blocks(128, 128, 32, null);
    case "nvfp4":
    case "nvfp4_awq":
    case "nvfp4_svdquant":
      return nvfp4(group ?? 16, "float4");
    case "w4a16_nvfp4":
      return nvfp4(group ?? 16, null);
    case "w4a8_nvfp4_fp8":
      return nvfp4(group ?? 16, "float8");
    case "mxfp8":
      return microscaled(8, "float8");
    case "mxfp4":
    case "w4a16_mxfp4":
      return microscaled(4, null);
    case "w4a8_mxfp4_fp8":
      return microscaled(4, "float8");
    case "int4_awq":
    case "w4a16_awq":
      return integers({ bits: 4, group: group ?? 128, scaleBits: 16 });
    case "w4a8_awq":
      return integers({ bits: 4, group: group ?? 128, scaleBits: 16, operands: "float8" });
    case "w8a16":
      return integers({ bits: 8, group: null, scaleBits: 16 });
    case "int8_sq":
    case "w8a8_sq_per_channel":
      return integers({ bits: 8, group: null, scaleBits: 32, operands: "int8" });
    default:
      return null;
  }
}
