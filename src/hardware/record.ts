import { z } from "zod";
import { badInput } from "../base/errors.js";
import { dtypes } from "../base/units.js";
import { calibrationSchema } from "./calibration.js";
import { fittedSchema } from "./fitted.js";
import { nearestNames } from "../base/names.js";

const deviceSchemaName = "nsquared/device@1";

const text = z.string().min(1).max(500);

/** A number with where it comes from. An uncertain one (recalled, derived, not checked twice) widens intervals. */
const sourcedSchema = z.strictObject({
  value: z.number().positive("a number above 0").max(1e30),
  source: text,
  uncertain: z.boolean().default(false),
});
export type Sourced = z.infer<typeof sourcedSchema>;

/** Devices of one class share efficiencies where nothing closer is known. */
export const deviceClasses = [
  "datacenter-gpu",
  "workstation-gpu",
  "consumer-gpu",
  "apple-gpu",
  "accelerator",
  "cpu",
] as const;
export type DeviceClass = (typeof deviceClasses)[number];

/** What a device can do at most, from its data sheet, and what it was measured to do. SI units. */
export const deviceRecordSchema = z.strictObject({
  schema: z.literal(deviceSchemaName),
  name: text,
  aliases: z.array(text).max(50).default([]),
  vendor: text,
  class: z.enum(deviceClasses),
  /** Dense peaks of matrix products in FLOP/s, accumulating as inference does (float32 for 16 bits). */
  peaks: z.partialRecord(z.enum(dtypes), sourcedSchema),
  /** Memory bandwidth in bytes/s. */
  bandwidth: sourcedSchema,
  /** Memory in bytes. */
  memory: sourcedSchema,
  /** Seconds from one kernel's end to the next one's start. */
  launch: sourcedSchema,
  /** What joins devices of this kind: bytes/s that each sends in one direction. */
  interconnect: z.strictObject({ name: text, bandwidth: sourcedSchema }).nullish(),
  /** Power that it is designed to draw, in watts. */
  tdp: sourcedSchema.nullish(),
  /** Caches between the cores and memory, in bytes. */
  caches: z
    .array(z.strictObject({ level: z.number().int().min(1).max(4), bytes: sourcedSchema }))
    .max(4)
    .default([]),
  /** What this very machine was measured to do; null for a data sheet. */
  calibration: calibrationSchema.nullable().default(null),
  /** What timings from elsewhere say of this device; null for a data sheet. */
  fitted: fittedSchema.nullish(),
});
export type DeviceRecord = z.infer<typeof deviceRecordSchema>;

/**
 * A device record from outside, validated.
 *
 * @param where the file it came from, for the message
 * @throws NsquaredError `device-invalid`
 */
export function parseDeviceRecord(value: unknown, where: string): DeviceRecord {
  const schema: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "schema") : undefined;
  if (schema !== deviceSchemaName) {
    throw badInput("device-invalid", {
      where,
      key: "schema",
      ...(schema === undefined ? {} : { found: schema }),
      expected: `a device record of schema ${deviceSchemaName}`,
    });
  }
  const parsed = deviceRecordSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = [...(issue?.path ?? []), ...(issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [])];
    throw badInput("device-invalid", {
      where,
      key: path.join(".") || "record",
      found: path.reduce<unknown>((part, key) => Reflect.get(Object(part), key), value),
      expected: issue?.code === "unrecognized_keys" ? otherKeys(path) : (issue?.message ?? "a device record"),
    });
  }
  if (Object.keys(parsed.data.peaks).length === 0) {
    throw badInput("device-invalid", { where, key: "peaks", found: {}, expected: "the peak of at least one dtype" });
  }
  return parsed.data;
}

/** What may stand in the place of a key that is not known. */
function otherKeys(path: readonly PropertyKey[]): string {
  const [first, key] = path.map(String);
  if (first === "peaks") return `no number format: one of ${dtypes.join(", ")}`;
  if (key !== undefined) return "no key of this part of a device record";
  const near = nearestNames(first ?? "", Object.keys(deviceRecordSchema.shape), 1);
  return `no key of a device record${near.length === 0 ? "" : `: perhaps ${near.join()}?`}`;
}
