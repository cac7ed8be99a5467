#!/usr/bin/env node
import { run } from "./run.js";

const interrupt = new AbortController();
let interrupts = 0;
process.on("SIGINT", () => {
  interrupts += 1;
  // The first Ctrl-C stops politely and keeps what was measured; the second one means it.
  if (interrupts > 1) process.exit(130);
  interrupt.abort();
});
process.on("SIGTERM", () => {
  interrupt.abort();
});
// A reader that went away (`| head`) ends the output, not the world; one of progress alone ends nothing.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 70);
});
process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") process.exit(70);
});

async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import("node:readline/promises");
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question(`${question} [y/N] `, { signal: interrupt.signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    return false;
  } finally {
    reader.close();
  }
}

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => {
    process.stdout.write(text);
  },
  err: (text) => {
    process.stderr.write(text);
  },
  outIsTerminal: process.stdout.isTTY === true,
  errIsTerminal: process.stderr.isTTY === true,
  columns: process.stdout.columns ?? 100,
  environment: process.env,
  directory: process.cwd(),
  signal: interrupt.signal,
  ...(process.stdin.isTTY && process.stderr.isTTY ? { confirm } : {}),
});
