import type { MatrixFormat } from "../../storage.js";
import { isObject } from "../json.js";
import { fp8PerChannel, int8PerChannel, integers } from "./formats.js";
import type { Section } from "./section.js";

/** torchao's `quant_type`: a name with `quant_type_kwargs`, or objects by module of which `default` counts; null if unknown. */
export function torchaoFormat(config: Section): MatrixFormat | null {
  const type = config.raw("quant_type");
  if (typeof type === "string") {
    return formatOf(type, config.child("quant_type_kwargs")?.whole("group_size", null) ?? null);
  }
  const chosen = config.child("quant_type")?.child("default");
  const name = chosen?.raw("_type");
  const data = chosen?.raw("_data");
  const group = isObject(data) ? data["group_size"] : undefined;
  return typeof name === "string" ? formatOf(name, typeof group === "number" ? group : null) : null;
}

/** `int4_weight_only` and `Int4WeightOnlyConfig` are the same. */
function formatOf(name: string, group: number | null): MatrixFormat | null {
  switch (
    name
      .toLowerCase()
      .replaceAll("_", "")
      .replace(/config$/, "")
  ) {
    case "int4weightonly":
      return integers({ bits: 4, group: group ?? 128, scaleBits: 16, zeroBits: 16 });
    case "int8dynamicactivationint4weight":
      return integers({ bits: 4, group: group ?? 32, scaleBits: 32, operands: "int8" });
    case "int8weightonly":
      return int8PerChannel(16, null);
    case "int8dynamicactivationint8weight":
      return int8PerChannel(16, "int8");
    case "float8weightonly":
      return fp8PerChannel(32, null);
    case "float8dynamicactivationfloat8weight":
    case "float8staticactivationfloat8weight":
      return fp8PerChannel(32, "float8");
    default:
      return null;
  }
}
