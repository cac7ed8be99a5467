export { contentDigest } from "./digest.js";
export { type Journal, createJournal, createJournalIn } from "./journal.js";
export { memoryJournal } from "./memory-journal.js";
export { incompatibility, mergeRuns } from "./merge.js";
export { formatRun, parseRun } from "./parse.js";
export { readRun } from "./read.js";
export * from "./schema.js";
export * from "./import/index.js";
