import { describe, expect, test } from "vitest";
import type { Micro } from "../onnx/micro.js";
import { manualClock, systemClock } from "./clock.js";
import { openMicro } from "./onnx-node-micro.js";

/** Each kind twice: the model opened at the first size must serve the second. */
const sizes: [Micro, Micro][] = [
  [
    { kind: "matmul", m: 1, k: 32, n: 48, length: 4 },
    { kind: "matmul", m: 7, k: 32, n: 48, length: 4 },
  ],
  [
    { kind: "product", batch: 2, rows: 8, inner: 16, columns: 8 },
    { kind: "product", batch: 3, rows: 5, inner: 4, columns: 9 },
  ],
  [
    { kind: "attention", heads: 4, kvHeads: 2, headDim: 16, n: 8, depth: 0, batch: 1 },
    { kind: "attention", heads: 4, kvHeads: 2, headDim: 16, n: 1, depth: 1023, batch: 2 },
  ],
  [
    { kind: "elementwise", function: "scale", elements: 1, length: 3 },
    { kind: "elementwise", function: "scale", elements: 1000, length: 3 },
  ],
  [
    { kind: "elementwise", function: "add", elements: 1, length: 3 },
    { kind: "elementwise", function: "add", elements: 1000, length: 3 },
  ],
  [
    { kind: "elementwise", function: "silu", elements: 1, length: 3 },
    { kind: "elementwise", function: "silu", elements: 1000, length: 3 },
  ],
  [
    { kind: "norm", rows: 1, width: 64, length: 2 },
    { kind: "norm", rows: 9, width: 64, length: 2 },
  ],
  [
    { kind: "softmax", rows: 1, width: 64, length: 2 },
    { kind: "softmax", rows: 9, width: 64, length: 2 },
  ],
];

describe("a micro-model in ONNX Runtime", () => {
  test.each(sizes)("%o runs at two sizes, and gives as many times as runs", async (first, second) => {
    const session = await openMicro(first, 1);
    try {
      await session.run();
      for (const micro of [first, second]) {
        const times = await session.time(micro, { clock: systemClock, repeats: 3 });
        expect(times).toHaveLength(3);
        for (const seconds of times) expect(seconds).toBeGreaterThan(0);
      }
    } finally {
      await session.close();
      await session.close();
    }
  });

  test("waits until the threads of another that ran just before have stopped spinning, and not for its own", async () => {
    const micro: Micro = { kind: "matmul", m: 64, k: 32, n: 48 };
    const [one, other] = await Promise.all([openMicro(micro, 2), openMicro(micro, 2)]);
    const atOnce = (session: typeof one): Promise<boolean> =>
      Promise.race([
        session.settle().then(() => true),
        new Promise<boolean>((resolve) => setImmediate(resolve, false)),
      ]);
    try {
      await one.run();
      expect(await atOnce(one)).toBe(true);
      expect(await atOnce(other)).toBe(false);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });

  test("is not timed while what comes before each run is done", async () => {
    const clock = manualClock();
    const micro: Micro = { kind: "elementwise", function: "scale", elements: 10, length: 1 };
    const session = await openMicro(micro, 1);
    let calls = 0;
    const before = (): void => {
      calls += 1;
      clock.advance(5);
    };
    try {
      expect(await session.time(micro, { clock, repeats: 3, warmUps: 2, limit: 1, before })).toEqual([0, 0, 0]);
    } finally {
      await session.close();
    }
    expect(calls).toBe(5);
  });

  test("runs on a GPU, or says that none is reached", async () => {
    const micro: Micro = { kind: "elementwise", function: "scale", elements: 10, length: 1 };
    const opened = await openMicro(micro, 1, "webgpu").catch((error: unknown) => error);
    if (opened instanceof Error) {
      expect(opened).toMatchObject({ code: "provider-missing", exitCode: 2 });
      expect(opened.message).toContain("timings made elsewhere");
      return;
    }
    const session = opened as Awaited<ReturnType<typeof openMicro>>;
    expect(await session.time(micro, { clock: systemClock, repeats: 3 })).toHaveLength(3);
    await session.close();
  });

  test("stops at its limit with at least one time, and at once when it is told to", async () => {
    const micro: Micro = { kind: "elementwise", function: "scale", elements: 10, length: 1 };
    const session = await openMicro(micro, 1);
    try {
      expect(await session.time(micro, { clock: systemClock, repeats: 1e6, limit: 0 })).toHaveLength(1);
      const signal = AbortSignal.abort();
      await expect(session.time(micro, { clock: systemClock, repeats: 3, signal })).rejects.toThrow(/abort/);
    } finally {
      await session.close();
    }
  });
});
