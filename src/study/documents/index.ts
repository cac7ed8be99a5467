import { z } from "zod";
import { deviceRecordSchema } from "../../hardware/record.js";
import { specSchema } from "../../model/spec/schema.js";
import { runSchema } from "../../runs/schema.js";
import { calibrateDocument } from "./calibrate.js";
import { checkDocument } from "./check.js";
import { demoServerDocument } from "./demo-server.js";
import { compareDocument } from "./compare.js";
import { costComparisonDocument, costDocument } from "./cost.js";
import { describeDocument } from "./describe.js";
import { explainDocument } from "./explain.js";
import { fitDocument, scenariosDocument } from "./fit.js";
import { generateDocument } from "./generate.js";
import { measureDocument } from "./measure.js";
import { predictDocument, predictTableDocument } from "./predict.js";
import { profileDocument } from "./profile.js";
import { reportDocument } from "./report.js";

/** Everything that is printed with `--json` or kept in a file, by the name in its `schema` field. */
export const documents = {
  "nsquared/describe@1": describeDocument,
  "nsquared/cost@1": costDocument,
  "nsquared/cost-comparison@1": costComparisonDocument,
  "nsquared/predict@1": predictDocument,
  "nsquared/predict-table@1": predictTableDocument,
  "nsquared/calibrate@1": calibrateDocument,
  "nsquared/measure@1": measureDocument,
  "nsquared/compare@1": compareDocument,
  "nsquared/fit@1": fitDocument,
  "nsquared/explain@1": explainDocument,
  "nsquared/generate@1": generateDocument,
  "nsquared/scenarios@1": scenariosDocument,
  "nsquared/check@1": checkDocument,
  "nsquared/report@1": reportDocument,
  "nsquared/profile@1": profileDocument,
  "nsquared/demo-server@1": demoServerDocument,
  "nsquared/run@1": runSchema,
  "nsquared/device@1": deviceRecordSchema,
  "nsquared/spec@1": specSchema,
} as const;

/** `nsquared/cost@1` → `cost.schema.json`. */
export function schemaFile(name: keyof typeof documents): string {
  return `${name.replace(/^nsquared\//, "").replace(/@\d+$/, "")}.schema.json`;
}

/** The JSON Schema (draft 2020-12) of a document, as the package publishes it. */
export function jsonSchema(name: keyof typeof documents): string {
  const schema = z.toJSONSchema(documents[name], { io: "output" });
  return `${JSON.stringify({ title: name, ...schema }, null, 2)}\n`;
}
