import { InvalidArgumentError, Option } from "commander";
import { type ColumnChoice, columnRoles } from "../runs/import/index.js";
import { shareFrom } from "./options.js";

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
