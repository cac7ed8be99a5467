import { NsquaredError } from "../base/errors.js";
import type { Provider } from "./provider.js";

/**
 * Refuses what hands ONNX Runtime's WebGPU provider empty values in the middle of a pass: a softmax over none is an error there, and
 * more than that ends the process.
 */
export function assertTakesEmpty(operator: string, empty: string, provider: Provider): void {
  if (provider === "cpu") return;
  throw unsupported(
    operator,
    `ONNX Runtime's WebGPU provider fails on empty values, as ${empty} are at first; take cpu`,
  );
}

/** An operator that cannot be run: which one, and what is missing. */
export function unsupported(operator: string, missing: string): NsquaredError {
  return new NsquaredError("unsupported-operator", `${operator}: ${missing}`, { where: operator });
}
