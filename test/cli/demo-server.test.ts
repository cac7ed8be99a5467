import { expect, test } from "vitest";
import { command } from "./harness.js";

test("nsquared demo-server refuses what it does not know, naming what there is", async () => {
  const quirk = await command(["demo-server", "--quirk", "odd"]);
  expect([quirk.code, quirk.err]).toEqual([2, expect.stringContaining("role-first")]);
  const disease = await command(["demo-server", "--disease", "flu=2"]);
  expect([disease.code, disease.err]).toEqual([2, expect.stringContaining("memory-pressure")]);
  const strength = await command(["demo-server", "--disease", "unfused=x"]);
  expect([strength.code, strength.err]).toEqual([2, expect.stringContaining("0 or more")]);
});
