// Which folder of src/ may import what. `node scripts/house.mjs` writes the lint rules made of this table to
// .oxlintrc.house.json; a test holds that file against the table.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Room
 * @property {string} folder
 * @property {string} imports the folders it may import beside itself
 * @property {boolean} [pure] no I/O, no clock, no global randomness; runs in a browser as it is
 * @property {string[]} [node] which of its files may import `node:` modules; none unless said
 * @property {boolean} [disk] whether those files may import `node:fs`
 */

/** One row per folder of src/, in the order of docs/architecture.md. @type {Room[]} */
export const house = [
  { folder: "base", pure: true, imports: "" },
  { folder: "math", pure: true, imports: "base" },
  { folder: "files", imports: "base", node: ["node*.ts"], disk: true },
  { folder: "model", pure: true, imports: "base math files" },
  { folder: "variants", pure: true, imports: "base math model" },
  { folder: "graph", pure: true, imports: "base math model" },
  { folder: "cost", pure: true, imports: "base math model graph" },
  { folder: "hardware", pure: true, imports: "base math model graph cost" },
  { folder: "predict", pure: true, imports: "base math model variants graph cost hardware" },
  { folder: "runs", imports: "base", node: ["**"], disk: true },
  { folder: "demo", imports: "base", node: ["*server.ts", "chunks.ts", "http.ts"] },
  { folder: "onnx", imports: "base math files model graph" },
  {
    folder: "measure",
    imports: "base math model graph runs onnx",
    node: ["environment*.ts", "onnx-node*.ts", "openai*.ts"],
    disk: true,
  },
  { folder: "fit", pure: true, imports: "base math model graph cost hardware predict runs" },
  { folder: "compare", pure: true, imports: "base math model variants graph cost hardware predict runs fit" },
  { folder: "report", imports: "base math model variants graph cost hardware predict runs fit compare" },
  {
    folder: "study",
    imports: "base math files model variants graph cost hardware predict runs onnx measure fit compare report",
    node: ["**"],
  },
  {
    folder: "cli",
    imports:
      "base math files model variants graph cost hardware predict runs demo onnx measure fit compare report study",
    node: ["**"],
  },
];

/** The heavy optional packages, and the files of src/ that may load them. */
export const runtimes = {
  "onnxruntime-node": "measure/onnx-node*.ts",
  "onnxruntime-web": "measure/onnx-web*.ts",
  "node-llama-cpp": "measure/llama*.ts",
};

/** What a pure folder takes as an argument instead. */
const ambient =
  "process Buffer globalThis Date performance console fetch crypto setTimeout setInterval setImmediate".split(" ");

const itself = { regex: "^nsquared(/|$)", message: "Inside the package import by relative path." };

/** @param {string | null} allowed */
function otherRuntimes(allowed) {
  const names = [...Object.keys(runtimes), "onnxruntime-common"].filter((name) => name !== allowed);
  return { regex: `^(${names.join("|")})(/|$)`, message: "Each runtime is loaded in one place (scripts/house.mjs)." };
}

/**
 * What files of a room may not import: patterns of `no-restricted-imports`.
 *
 * @param {Room} room
 * @param {boolean} node whether they are among those that may import `node:` modules
 * @param {string | null} runtime the one runtime that they may load
 */
function refusals(room, node, runtime) {
  const { folder } = room;
  const allowed = room.imports.split(" ");
  const strangers = house.map((other) => other.folder).filter((name) => name !== folder && !allowed.includes(name));
  const patterns = [itself, otherRuntimes(runtime)];
  if (strangers.length > 0) {
    patterns.push({
      regex: `^(\\.\\./)+(${strangers.join("|")})(/|$)`,
      message: `src/${folder} may import ${allowed.join(", ") || "no other folder"} (scripts/house.mjs).`,
    });
  }
  if (room.node === undefined && allowed.includes("files")) {
    patterns.push({ regex: "^(\\.\\./)+files/node", message: `src/${folder} takes the access as an argument.` });
  }
  if (!node) {
    patterns.push({ regex: "^node:", message: `src/${folder} runs in a browser: no Node modules here.` });
  } else if (room.disk !== true) {
    patterns.push({ regex: "^node:fs(/|$)", message: "src/files and src/runs read and write files." });
  }
  return patterns;
}

/** @param {string[]} files @param {{regex: string, message: string}[]} patterns */
const override = (files, patterns) => ({ files, rules: { "no-restricted-imports": ["error", { patterns }] } });

/** The lint configuration made of the table. Of two overrides for one file the later one counts. */
export function lintConfiguration() {
  const overrides = [
    override(
      ["src/*.ts"],
      [
        itself,
        otherRuntimes(null),
        { regex: "^node:", message: "The entry point runs in a browser." },
        { regex: "^\\./cli(/|$)", message: "The library does not know the command line." },
      ],
    ),
  ];
  for (const room of house) {
    const inside = `src/${room.folder}`;
    overrides.push(override([`${inside}/**`], refusals(room, false, null)));
    if (room.node !== undefined) {
      overrides.push(
        override(
          room.node.map((glob) => `${inside}/${glob}`),
          refusals(room, true, null),
        ),
      );
    }
  }
  for (const [runtime, place] of Object.entries(runtimes)) {
    const room = house.find(({ folder }) => place.startsWith(`${folder}/`));
    if (room === undefined) throw new Error(`${runtime}: ${place} is in no folder of the table`);
    const node = (room.node ?? []).some((glob) => place === `${room.folder}/${glob}`);
    overrides.push(override([`src/${place}`], refusals(room, node, runtime)));
  }
  const pure = {
    files: house.filter((room) => room.pure).map(({ folder }) => `src/${folder}/**`),
    rules: {
      "no-restricted-globals": [
        "error",
        ...ambient.map((name) => ({ name, message: "This folder is pure: take it as an argument." })),
      ],
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "random", message: "Use seededRandom of src/base/random.ts." },
      ],
    },
  };
  const tests = {
    files: ["src/**/*.test.ts"],
    rules: { "no-restricted-imports": "off", "no-restricted-globals": "off", "no-restricted-properties": "off" },
  };
  return { overrides: [...overrides, pure, tests] };
}

/** Where the rules are written, for oxlint to read. */
export const lintFile = new URL("../.oxlintrc.house.json", import.meta.url);

/** What is written there. */
export function lintText() {
  return `${JSON.stringify(lintConfiguration(), null, 2)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(lintFile, lintText());
