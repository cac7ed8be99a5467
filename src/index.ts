/**
 * What the command line does, for scripts: load a model, describe it, price it, predict it, measure it, fit the law,
 * report. Each function gives the document that the command prints with `--json`. Folders have entries of their own:
 * `nsquared/model`, `nsquared/cost`, `nsquared/predict`, `nsquared/fit` and so on.
 */
export { NsquaredError } from "./base/errors.js";
export { parseLengths } from "./base/lengths.js";
export { version } from "./base/version.js";
export { nodeAccess } from "./files/node.js";
export { findDevice } from "./hardware/catalog/devices.js";
export type { DeviceRecord } from "./hardware/record.js";
export { loadModel } from "./model/load.js";
export type { ModelDescription } from "./model/types.js";
export { htmlReport } from "./report/html.js";
export { terminalReport } from "./report/terminal.js";
export { readSamples, samplesOfRun } from "./runs/import/index.js";
export { readRun } from "./runs/read.js";
export type { Run, Sample } from "./runs/schema.js";
export { type CheckOptions, checkSamples, type LatencyLimit } from "./study/check.js";
export { type CostOptions, costOfModel } from "./study/cost.js";
export { describeModel } from "./study/describe.js";
export { loadDevice, localDevicePath } from "./study/devices.js";
export type { CalibrateDocument } from "./study/documents/calibrate.js";
export type { CheckDocument } from "./study/documents/check.js";
export type { CostDocument } from "./study/documents/cost.js";
export type { DescribeDocument } from "./study/documents/describe.js";
export type { FitDocument, ScenariosDocument } from "./study/documents/fit.js";
export type { MeasureDocument } from "./study/documents/measure.js";
export type { PredictDocument } from "./study/documents/predict.js";
export type { ProfileDocument } from "./study/documents/profile.js";
export type { ReportDocument } from "./study/documents/report.js";
export { fitDocumentOf, fitRun, measuredPhases } from "./study/fit.js";
export { chooseSeries, fitSeries, samplesDocument, scenariosDocumentOf } from "./study/fit-samples.js";
export { measureMachine } from "./study/local-device.js";
export { type MeasureOptions, defaultMeasureOptions, measureModel } from "./study/measure.js";
export { physicalCurve } from "./study/physical.js";
export { predictModel } from "./study/predict.js";
export { type ReportOptions, reportData } from "./study/report-data.js";
export { reportDocumentOf } from "./study/report.js";
