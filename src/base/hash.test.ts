import { expect, test } from "vitest";
import { fnv1a } from "./hash.js";

test.each([
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["foobar", 0xbf9cf968],
])("FNV-1a of %j is as its authors give it", (text, hash) => {
  expect(fnv1a(text)).toBe(hash);
  expect(fnv1a(text, 1)).not.toBe(hash);
});
