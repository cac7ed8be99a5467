import { describe, expect, test } from "vitest";
import { manualClock, systemClock } from "./clock.js";

describe("the manual clock", () => {
  test("moves only when it is told to, or sleeps", async () => {
    const clock = manualClock(10);
    expect(clock.now()).toBe(10);
    clock.advance(2);
    await clock.sleep(0.5);
    expect(clock.now()).toBe(12.5);
    clock.advance(-5);
    await clock.sleep(3, AbortSignal.abort());
    expect(clock.now()).toBe(12.5);
  });
});

describe("the system's clock", () => {
  test("counts seconds that never run backwards", async () => {
    const before = systemClock.now();
    const wall = performance.now() / 1000;
    await systemClock.sleep(0.01);
    const after = systemClock.now();
    expect(before).toBeLessThanOrEqual(wall);
    expect(after).toBeGreaterThan(before);
    expect(after).toBeLessThanOrEqual(performance.now() / 1000);
  });

  test("stops sleeping when the signal aborts, and does not sleep at all afterwards", async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(1e6, stop.signal);
    stop.abort();
    await sleeping;
    await systemClock.sleep(1e6, stop.signal);
    await systemClock.sleep(0);
    await systemClock.sleep(-1);
  });
});
