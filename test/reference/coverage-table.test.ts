import { expect, test } from "vitest";
import { coverageTable } from "./coverage-table.js";

test("docs/coverage.md is current (npm run coverage-table), and nothing in it goes unexplained", async () => {
  const table = coverageTable();
  expect(table).not.toContain("NOT EXPLAINED");
  await expect(table).toMatchFileSnapshot("../../docs/coverage.md");
});
