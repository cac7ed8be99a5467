import { readFileSync } from "node:fs";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { expect, test, vi } from "vitest";
import { readRun } from "../../src/runs/read.js";
import { file, measureWithKey } from "./endpoint.js";

vi.setConfig({ testTimeout: 60_000 });

/** What a server answers to the n-th completion, from 0. */
type Answer = (response: ServerResponse, request: IncomingMessage, count: number) => void;

const models = JSON.stringify({ object: "list", data: [{ id: "demo", object: "model", max_model_len: 4096 }] });

function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/** A whole and proper answer. */
const proper: Answer = (response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(`${event({ choices: [{ text: "a", finish_reason: "length" }] })}data: [DONE]\n\n`);
};

/** Measures a server that lists its model and answers completions as it likes; `key` is sent. */
async function against(answer: Answer, key: string, list = models) {
  let count = 0;
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      if (request.url === "/v1/models") response.end(list);
      else if (request.url === "/v1/completions") answer(response, request, count++);
      else response.writeHead(404).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const out = file("run.json");
  const flags = ["--out", out, "--lengths", "64,128", "--repeat", "2", "--debug"];
  try {
    return { ...(await measureWithKey(`http://127.0.0.1:${port}/v1`, "THE_KEY", key, ...flags)), run: out };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const key = "sk-a-long-and-secret-key-0123456789";

test("a server that repeats the key does not get it printed or stored", async () => {
  const refusing: Answer = (response, request) => {
    response.writeHead(401).end(JSON.stringify({ error: `no such key: ${request.headers.authorization}` }));
  };
  const refused = await against(refusing, key);
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("Bearer …")]);
  const failing: Answer = (response, request, count) => {
    if (count < 4) proper(response, request, count);
    else if (count % 2 === 0) response.writeHead(418).end(`no ${request.headers.authorization}`);
    else {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(event({ error: { message: `${"y".repeat(290)} ${request.headers.authorization}` } }));
    }
  };
  const failed = await against(failing, key);
  expect([failed.code, failed.err]).toEqual([3, expect.any(String)]);
  const kept = readFileSync(failed.run, "utf8");
  expect(kept).toContain("HTTP 418: no Bearer …");
  for (const text of [refused.err, refused.out, failed.err, failed.out, kept]) expect(text).not.toContain("sk-a-long");
});

test("what a server says cannot steer a terminal", async () => {
  const escape = "\u001b[2J\u0007";
  const named = JSON.stringify({ data: [{ id: `a${escape}b` }] });
  const unknown = await against(proper, key, named);
  expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining("a model it serves: a [2J b")]);
  const failing: Answer = (response, request, count) => {
    if (count < 4) proper(response, request, count);
    else response.writeHead(400).end(JSON.stringify({ error: { message: `line\n${escape}other` } }));
  };
  const failed = await against(failing, key);
  expect(failed.out).toContain("HTTP 400: line [2J other");
  for (const text of [unknown.err, failed.err, failed.out]) expect(text).not.toMatch(/[^\P{Cc}\n]/u);
});

test("deep, endless and odd answers end as samples without a time, in a run that can be read", async () => {
  const odd: readonly Answer[] = [
    (response) => response.writeHead(200).end(`data: ${"[".repeat(100_000)}\n\n`),
    (response) => response.writeHead(200).end(`data: {"choices":[{"delta":{"content":${nested(50_000)}}}]}\n\n`),
    (response) => response.writeHead(200).end(`data: ${"x".repeat(5 << 20)}`),
    (response) => response.writeHead(204).end(),
    (response) => response.writeHead(302, { location: `http://elsewhere/${"l".repeat(9000)}` }).end(),
    (response) => response.writeHead(200).end("null"),
    (response) => response.writeHead(200).end(event(null) + event([]) + event("text") + event({ choices: {} })),
  ];
  for (const answer of odd) {
    const { code, run } = await against((response, request, count) => {
      if (count < 4) proper(response, request, count);
      else answer(response, request, count);
    }, key);
    expect(code).toBe(3);
    const { samples } = await readRun(run);
    expect(samples.length).toBeGreaterThan(0);
    for (const sample of samples) expect([sample.seconds, sample.rejected]).toEqual([null, expect.stringMatching(/./)]);
  }
});

test("a server that knows nothing of streams is measured by whole answers", async () => {
  const whole: Answer = (response) => {
    const usage = { prompt_tokens: 80, completion_tokens: 1 };
    response.end(JSON.stringify({ choices: [{ text: "a", finish_reason: "length" }], usage }));
  };
  const { err } = await against(whole, key);
  expect(err).toContain("not streaming: prefill only");
});

test("an error that came with status 200 is told", async () => {
  const { code, err } = await against((response) => response.end('{"error":{"message":"model is loading"}}'), key);
  expect([code, err]).toEqual([2, expect.stringContaining("model is loading")]);
});

/** Lists of parts within lists of parts, with a text at the bottom. */
function nested(depth: number): string {
  return `${'[{"text":'.repeat(depth)}"text"${"}]".repeat(depth)}`;
}
