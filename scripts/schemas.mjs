// Writes schemas/*.schema.json from the documents' own definitions; run it after a build when one of them changes.
import { mkdirSync, writeFileSync } from "node:fs";
import { documents, jsonSchema, schemaFile } from "../dist/study/documents/index.js";

mkdirSync(new URL("../schemas/", import.meta.url), { recursive: true });
for (const name of /** @type {(keyof typeof documents)[]} */ (Object.keys(documents))) {
  writeFileSync(new URL(`../schemas/${schemaFile(name)}`, import.meta.url), jsonSchema(name));
}
