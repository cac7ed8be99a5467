import { afterAll } from "vitest";
import { healthyLaw } from "../../src/demo/law.js";
import { type DemoServer, startDemoServer } from "../../src/demo/server.js";
import { systemClock } from "../../src/measure/clock.js";
import { openOpenAiRunner } from "../../src/measure/openai.js";
import { runnerContract } from "./runner-contract.js";

let server: DemoServer | null = null;

runnerContract("openai", async () => {
  const law = { ...healthyLaw, constant: 0.002, linear: 2e-5, decode: { constant: 0.002, linear: 1e-6 }, jitter: 0 };
  server = await startDemoServer({ law, seed: 1 });
  const runner = await openOpenAiRunner(
    {
      address: new URL(server.url),
      model: "demo",
      api: "auto",
      key: null,
      seed: 1,
      nonce: 1,
      timeoutSeconds: 20,
      decodeSteps: 8,
    },
    { clock: systemClock, signal: new AbortController().signal },
  );
  const cell = { depth: 0, batch: 1 } as const;
  return {
    runner,
    cells: {
      prefill: [
        { ...cell, phase: "prefill", n: 64 },
        { ...cell, phase: "prefill", n: 2048 },
      ],
      decode: [
        { ...cell, phase: "decode", n: 1, depth: 32 },
        { ...cell, phase: "decode", n: 1, depth: 8192 },
      ],
      reference: [
        { ...cell, phase: "reference", n: 64 },
        { ...cell, phase: "reference", n: 128 },
      ],
    },
  };
});

afterAll(() => server?.close());
