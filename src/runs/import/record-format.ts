import { z } from "zod";
import { badInput } from "../../base/errors.js";
import type { Collector } from "./collect.js";

/** Readers of other tools' results: one record is one JSON object of theirs. */
export interface RecordFormat {
  readonly name: string;
  /** Whether the object looks like this tool's. */
  readonly recognises: (record: Readonly<Record<string, unknown>>) => boolean;
  /** @throws NsquaredError where the object is not what the tool writes */
  readonly read: (record: unknown, collector: Collector, where: string) => void;
}

export const count = z.coerce
  .number()
  .int()
  .min(0)
  .max(2 ** 40);
export const positive = z.coerce.number().positive();
export const label = z.coerce.string().max(2000);

export function parsed<T>(schema: z.ZodType<T>, record: unknown, tool: string, where: string): T {
  const result = schema.safeParse(record);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badInput("record-invalid", {
    where,
    key: issue?.path.join(".") ?? "content",
    found: issue?.message ?? "something else",
    expected: `expected a result of ${tool}`,
  });
}
