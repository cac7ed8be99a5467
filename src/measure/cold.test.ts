import { expect, test } from "vitest";
import { evictedBytes } from "./cold.js";

test("caches are emptied with more than any holds, but no more than an eighth of a small machine's memory", () => {
  expect(evictedBytes(2 ** 36)).toBeGreaterThanOrEqual(512 * 2 ** 20);
  expect(evictedBytes(2 ** 30)).toBe(2 ** 27);
});
