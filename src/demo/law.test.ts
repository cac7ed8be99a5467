import { describe, expect, test } from "vitest";
import { type DemoLaw, type Disease, demoTimes, healthyLaw } from "./law.js";

const exact: DemoLaw = { ...healthyLaw, jitter: 0, window: null };
const timesOf = (law: Partial<DemoLaw> = {}) => demoTimes({ ...exact, ...law }, 1);
const ill = (disease: Disease, strength: number) => timesOf({ diseases: { [disease]: strength } });
const { constant, linear, quadratic } = healthyLaw;
const healthy = (n: number): number => constant + linear * n + quadratic * n * n;

describe("the demo server's law", () => {
  test("is constant + linear·n + quadratic·n², and a cached prefix costs only what looks back at it", () => {
    expect(timesOf().prefill(1000, 0).seconds).toBeCloseTo(healthy(1000), 12);
    const whole = healthy(3000) - constant;
    const parts = timesOf().prefill(1000, 0).seconds + timesOf().prefill(3000, 1000).seconds - 2 * constant;
    expect(parts).toBeCloseTo(whole, 12);
  });

  test("grows only linearly beyond a window, but for the window that saves nothing", () => {
    const windowed = timesOf({ window: 512 });
    const slope = (n: number): number => windowed.prefill(2 * n, 0).seconds - windowed.prefill(n, 0).seconds;
    expect(slope(4096) / slope(2048)).toBeCloseTo(2, 10);
    const idle = demoTimes({ ...exact, window: 512, diseases: { "idle-window": 1 } }, 1);
    expect(idle.prefill(4096, 0).seconds).toBeCloseTo(healthy(4096), 12);
  });

  test.each<[Disease, number, (n: number) => number]>([
    ["prefix-cache", 0.5, (n) => constant + (linear * n) / 2 + quadratic * (n ** 2 / 4 + n ** 2 / 2)],
    ["fixed-overhead", 5, () => constant + 5],
    ["padding", 1, (n) => healthy(2 ** Math.ceil(Math.log2(n)))],
    ["padding", 512, (n) => healthy(512 * Math.ceil(n / 512))],
    ["outside-time", 1e-4, (n) => healthy(n) + 1e-4 * n],
    ["unfused", 6, (n) => constant + linear * n + 6 * quadratic * n * n],
    ["regather", 1e-5, (n) => healthy(n) + 1e-5 * 2048 * (Math.ceil(n / 2048) > 1 ? 1 : 0)],
    ["memory-pressure", 3, healthy],
  ])("%s of %d", (disease, strength, expected) => {
    for (const n of [700, 3000]) expect(ill(disease, strength).prefill(n, 0).seconds).toBeCloseTo(expected(n), 12);
  });

  test("memory pressure bends upwards near the limit, throttling over the requests, queueing in some of them", () => {
    const limit = healthyLaw.contextLimit;
    expect(ill("memory-pressure", 3).prefill(limit, 0).seconds / healthy(limit)).toBeCloseTo(4, 10);
    const throttled = ill("throttling", 0.5);
    const first = throttled.prefill(1000, 0).seconds;
    for (let request = 0; request < 50; request += 1) throttled.prefill(1000, 0);
    expect(throttled.prefill(1000, 0).seconds / first).toBeCloseTo(1.5, 10);
    const queued = ill("queueing", 1);
    const times = Array.from({ length: 400 }, () => queued.prefill(1000, 0).seconds / healthy(1000));
    const late = times.filter((time) => time > 1.5).length;
    expect(late).toBeGreaterThan(80);
    expect(late).toBeLessThan(160);
    expect(times.filter((time) => Math.abs(time - 1) < 1e-9)).toHaveLength(400 - late);
  });

  test("time outside of the model is not on the server's clock", () => {
    const { seconds, serverSeconds } = ill("outside-time", 1e-4).prefill(2000, 0);
    expect(seconds - serverSeconds).toBeCloseTo(0.2, 12);
  });

  test("the same seed gives the same times", () => {
    const series = (seed: number): number[] => {
      const times = demoTimes(healthyLaw, seed);
      return [100, 200, 300].map((n) => times.prefill(n, 0).seconds);
    };
    expect(series(7)).toEqual(series(7));
    expect(series(7)).not.toEqual(series(8));
  });
});
