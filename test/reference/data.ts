import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseJsonObject } from "../../src/model/hf/json.js";

/** Where the reference data lies; test/data/models/README.md says what is what. */
const dataFolder = fileURLToPath(new URL("../data/models/", import.meta.url));

export type ConfigFolder = "configs" | "configs-trimmed" | "class-defaults" | "counted";

export function readConfigFile(folder: ConfigFolder, name: string): Record<string, unknown> {
  return { ...parseJsonObject(readFileSync(`${dataFolder}${folder}/${name}`, "utf8"), name) };
}

/** Names of the configs in a folder, sorted. */
export function configFiles(folder: ConfigFolder): string[] {
  return readdirSync(dataFolder + folder)
    .filter((name) => name.endsWith(".json"))
    .sort();
}

/** Rows of a CSV file by column name; quoted fields may hold commas and doubled quotes. */
export function readTable(name: string): Record<string, string>[] {
  const [header = [], ...rows] = readFileSync(dataFolder + name, "utf8")
    .split(/\r?\n/)
    .filter((line) => line !== "")
    .map(fields);
  return rows.map((row) => Object.fromEntries(header.map((column, index) => [column, row[index] ?? ""])));
}

function fields(line: string): string[] {
  return [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)]
    .map((match) => match[1] ?? "")
    .slice(0, -1)
    .map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field));
}
