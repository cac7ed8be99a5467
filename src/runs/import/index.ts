export { type ColumnChoice, type ColumnRole, columnRoles } from "./columns.js";
export { type ImportOptions, readSamples, samplesOfRun } from "./read.js";
export type { Axis, SampleSet, Series, SeriesPhase, SeriesPoint } from "./types.js";
export { parsePoint } from "./units.js";
