import { InvalidArgumentError, Option } from "commander";
import { type ColumnChoice, columnRoles } from "../runs/import/index.js";

/** A share as `3%` or `0.03`, from `least` (itself allowed only where it is 0) to below 1. */
export function shareFrom(least: number): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim());
    const value = Number(match?.[1] ?? Number.NaN) / (match?.[2] === "%" ? 100 : 1);
    if (!(value >= least && value < 1)) {
      throw new InvalidArgumentError("expected a share such as 3% or 0.03, below 1.");
    }
    return value;
  };
}

const leastNoise = 1e-6;
const leastLevel = 0.51;

/** `length=prompt,time=latency:ms`. */
function columnChoice(text: string): ColumnChoice {
  const choice: Record<string, string> = {};
  for (const part of text.split(",")) {
    const at = part.indexOf("=");
    const role = columnRoles.find((one) => one === part.slice(0, at).trim());
    const name = part.slice(at + 1).trim();
    if (role === undefined || name === "") {
      throw new InvalidArgumentError(
        `expected ${columnRoles.join(", ")} with the column's name, as length=prompt,time=latency:ms.`,
      );
    }
    choice[role] = name;
  }
  return choice;
}

export const columnsOption = (): Option =>
  new Option("--columns <map>", "which column is what, as length=prompt,time=latency:ms").argParser(columnChoice);
export const levelOption = (standard: string): Option =>
  new Option("--level <share>", `level of all intervals (default: ${standard})`).argParser(shareFrom(leastLevel));
export const noiseOption = (): Option =>
  new Option("--noise <share>", "noise assumed where there are no repeats, as 3%").argParser(shareFrom(leastNoise));
