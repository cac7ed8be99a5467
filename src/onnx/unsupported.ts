import { NsquaredError } from "../base/errors.js";

/** An operator that cannot be run: which one, and what is missing. */
export function unsupported(operator: string, missing: string): NsquaredError {
  return new NsquaredError("unsupported-operator", `${operator}: ${missing}`, { where: operator });
}
