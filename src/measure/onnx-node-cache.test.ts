import { describe, expect, test } from "vitest";
import type { CacheBinding } from "../onnx/scope.js";
import { cacheFiller } from "./onnx-node-cache.js";

const binding: CacheBinding = {
  kept: { kind: "all" },
  hands: "all",
  past: { key: "past.0.key", value: "past.0.value" },
  present: { key: "present.0.key", value: "present.0.value" },
  kvHeads: 2,
  keyDim: 8,
  valueDim: 4,
};

describe("a cache filler", () => {
  test("gives each cache memory of its own and of its own size", () => {
    const [first, second] = cacheFiller()([binding, binding], 3, 5);
    expect(first?.key).toHaveLength(3 * 2 * 5 * 8);
    expect(first?.value).toHaveLength(3 * 2 * 5 * 4);
    expect(first?.key.buffer).not.toBe(second?.key.buffer);
    expect(first?.key.buffer).not.toBe(first?.value.buffer);
  });

  test("keeps its memory for shorter caches and takes more for longer ones", () => {
    const fill = cacheFiller();
    const [long] = fill([binding], 1, 100);
    const [short] = fill([binding], 1, 10);
    expect(short?.key.buffer).toBe(long?.key.buffer);
    expect(short?.key).toHaveLength(2 * 10 * 8);
    const [longer] = fill([binding], 1, 200);
    expect(longer?.key.buffer).not.toBe(long?.key.buffer);
  });

  test("fills long caches to the end with different numbers", () => {
    const [cache] = cacheFiller()([binding], 1, 100_000);
    const end = cache?.key.subarray(-1000) ?? new Float32Array();
    expect(new Set(end).size).toBeGreaterThan(900);
    expect(cache?.key.every((value) => Math.abs(value) <= 1)).toBe(true);
  });

  test("gives an encoder's keys as many tokens as are stated, or as came before, and none in the first pass", () => {
    const encoder: CacheBinding = { ...binding, kept: { kind: "encoder", tokens: null } };
    const keys = (depth: number, tokens?: number) => cacheFiller()([encoder], 1, depth, tokens)[0]?.key.length;
    expect([keys(5), keys(5, 7), keys(0, 7)]).toEqual([5 * 2 * 8, 7 * 2 * 8, 0]);
  });

  test("gives empty caches where nothing is cached", () => {
    const [cache] = cacheFiller()([binding], 2, 0);
    expect(cache).toEqual({ key: new Float32Array(0), value: new Float32Array(0) });
  });
});
