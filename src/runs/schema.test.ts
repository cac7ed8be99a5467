import { expect, test } from "vitest";
import { cellText } from "./schema.js";

test("a cell in words says what is not usual only", () => {
  const cell = { n: 1024, depth: 0, batch: 1 };
  expect(cellText({ ...cell, phase: "prefill" })).toBe("prefill of 1k tokens");
  expect(cellText({ ...cell, phase: "prefill", depth: 8192, batch: 4, variant: "naive" })).toBe(
    "naive: prefill of 1k tokens after 8k cached, batch 4",
  );
  expect(cellText({ phase: "decode", n: 1, depth: 2000, batch: 1 })).toBe("decode after 2,000 cached");
  expect(cellText({ ...cell, phase: "reference" })).toBe("the reference workload");
});
