export { type Clock, manualClock, systemClock } from "./clock.js";
export { readMachine } from "./environment.js";
export { type Measurement, type MeasureOptions, measure } from "./loop.js";
export type { ProgressEvent } from "./progress.js";
export { type Recorded, type RecordOptions, recordRun } from "./record.js";
export type { Capabilities, Outcome, RunContext, Runner } from "./runner.js";
export { assess } from "./stability.js";
export { syntheticRunner } from "./synthetic.js";
