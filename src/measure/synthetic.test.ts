import { describe, expect, test } from "vitest";
import { runnerContract } from "../../test/contract/runner-contract.js";
import type { Cell } from "../runs/schema.js";
import { manualClock, systemClock } from "./clock.js";
import { lawSeconds, syntheticRunner } from "./synthetic.js";

const prefill = (n: number): Cell => ({ phase: "prefill", n, depth: 0, batch: 1 });
const decode = (depth: number): Cell => ({ phase: "decode", n: 1, depth, batch: 1 });
const reference: Cell = { phase: "reference", n: 64, depth: 0, batch: 1 };

const laws = {
  prefill: { constant: 0.002, linear: 1e-5, quadratic: 1e-8 },
  decode: { constant: 0.001, linear: 1e-6, quadratic: 0 },
  reference: { constant: 0.001, linear: 0, quadratic: 0 },
};
const cells = {
  prefill: [prefill(16), prefill(128)],
  decode: [decode(16), decode(128)],
  reference: [reference, reference],
} as const;

runnerContract("the synthetic runner on a manual clock", () => ({
  runner: syntheticRunner({ laws, noise: 0.05 }),
  cells,
  clock: manualClock(1000),
}));

runnerContract("the synthetic runner on the system's clock", () => ({
  runner: syntheticRunner({ laws, noise: 0.05 }),
  cells,
  clock: systemClock,
}));

describe("a synthetic runner", () => {
  const context = () => ({ clock: manualClock(), signal: new AbortController().signal });

  test("takes exactly what its law says where there is no noise", async () => {
    const runner = syntheticRunner({ laws });
    const { signal, clock } = context();
    for (const cell of [prefill(100), prefill(1000), decode(0), decode(500)]) {
      const law = cell.phase === "decode" ? laws.decode : laws.prefill;
      const outcome = await runner.run(cell, { clock, signal });
      expect(outcome).toMatchObject({ status: "ok", steps: 1 });
      expect(outcome.status === "ok" && outcome.seconds).toBeCloseTo(lawSeconds(law, cell), 12);
    }
    expect(lawSeconds(laws.prefill, prefill(1000))).toBeCloseTo(0.002 + 0.01 + 0.01, 12);
    expect(lawSeconds(laws.decode, decode(500))).toBeCloseTo(0.0015, 12);
  });

  test("repeats itself with the same seed and differs with another", async () => {
    const times = async (seed: number): Promise<unknown[]> => {
      const runner = syntheticRunner({ laws, noise: 0.1, seed });
      const { clock, signal } = context();
      return [await runner.run(prefill(64), { clock, signal }), await runner.run(prefill(64), { clock, signal })];
    };
    expect(await times(3)).toEqual(await times(3));
    expect(await times(3)).not.toEqual(await times(4));
  });

  test("fails with the reason it was told to fail with", async () => {
    const runner = syntheticRunner({ laws, fail: ({ n }) => (n > 100 ? "out of memory" : null) });
    const { clock, signal } = context();
    expect(await runner.run(prefill(200), { clock, signal })).toEqual({ status: "failed", reason: "out of memory" });
    expect(await runner.run(prefill(50), { clock, signal })).toMatchObject({ status: "ok" });
    expect(clock.now()).toBeCloseTo(lawSeconds(laws.prefill, prefill(50)), 12);
  });
});
