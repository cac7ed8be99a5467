import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "./clock.js";
import { openOpenAiRunner } from "./openai.js";

/**
 * A server in a thread of its own. Of an answer of many tokens it sends all at once, far faster than anything can be read;
 * of a shorter one a token every 10 ms.
 */
const server = `
const { createServer } = require("node:http");
const { parentPort } = require("node:worker_threads");
const event = (data) => "data: " + JSON.stringify(data) + "\\n\\n";
const token = event({ id: "x", object: "text_completion", created: 0, model: "demo", choices: [{ index: 0, text: " of", finish_reason: null }] });
createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(404, { "content-type": "application/json" }).end("{}");
    return;
  }
  let text = "";
  request.on("data", (bytes) => { text += bytes; });
  request.on("end", () => {
    const { prompt, max_tokens: answer } = JSON.parse(text);
    const usage = { prompt_tokens: Array.isArray(prompt) ? prompt.length : String(prompt).split(" ").length, completion_tokens: answer };
    const end = event({ choices: [], usage }) + "data: [DONE]\\n\\n";
    response.writeHead(200, { "content-type": "text/event-stream" });
    if (answer > 1000) {
      response.end(token.repeat(answer) + end);
      return;
    }
    let left = answer;
    const step = () => {
      response.write(token);
      left -= 1;
      if (left > 0) setTimeout(step, 10);
      else response.end(end);
    };
    step();
  });
}).listen(0, "127.0.0.1", function () { parentPort.postMessage(this.address().port); });
`;

const context = { clock: systemClock, signal: new AbortController().signal };
const worker = new Worker(server, { eval: true });
let port = 0;
beforeAll(async () => {
  port = await new Promise<number>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
});
afterAll(() => worker.terminate());

async function warned(decodeSteps: number, streams: number): Promise<string[]> {
  const runner = await openOpenAiRunner(
    {
      address: new URL(`http://127.0.0.1:${port}/v1`),
      model: "demo",
      api: "completions",
      key: null,
      seed: 1,
      nonce: 1,
      timeoutSeconds: 20,
      decodeSteps,
    },
    context,
  );
  const outcome = await runner.run({ phase: "decode", n: 1, depth: 16_384, batch: streams }, context);
  expect(outcome.status).toBe("ok");
  const codes = runner.warnings().map(({ code }) => code);
  await runner.close();
  return codes;
}

test("a server that sends faster than this process reads is noticed", async () => {
  expect(await warned(8000, 8)).toContain("client-saturated");
});

test("many slow streams at once are no reason to warn", async () => {
  expect(await warned(30, 64)).not.toContain("client-saturated");
});
