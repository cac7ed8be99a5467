import { expect, test } from "vitest";
import { cacheEvictor } from "./cold.js";

test("evicting takes an eighth of a small machine's memory, once", () => {
  const before = process.memoryUsage().arrayBuffers;
  const evict = cacheEvictor(2 ** 27);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  evict();
  evict();
  expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThanOrEqual(2 ** 24);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 25);
});
