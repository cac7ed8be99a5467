import { afterEach, describe, expect, test } from "vitest";
import { monotonicSeconds } from "./http.js";
import { type DemoLaw, healthyLaw } from "./law.js";
import type { Quirk } from "./quirks.js";
import { type DemoServer, startDemoServer } from "./server.js";

const fast: DemoLaw = { ...healthyLaw, constant: 0.001, decode: { constant: 0.0005, linear: 0 } };
const open: DemoServer[] = [];

async function serve(...quirks: Quirk[]): Promise<DemoServer> {
  const server = await startDemoServer({ law: fast, seed: 1, quirks });
  open.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function post(server: DemoServer, path: string, body: unknown): Promise<Response> {
  return fetch(`${server.url}/${path}`, { method: "POST", body: JSON.stringify(body) });
}

const completion = {
  model: "demo",
  prompt: [1, 2, 3, 4],
  max_tokens: 6,
  stream: true,
  stream_options: { include_usage: true },
};

/** JSON of each event, without the end mark. */
function events(text: string): Record<string, unknown>[] {
  return text
    .split(/\r?\n\r?\n/)
    .map((event) =>
      event
        .split(/\r?\n/)
        .flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []))
        .join("\n"),
    )
    .filter((data) => data !== "" && data !== "[DONE]")
    .map((data) => JSON.parse(data) as Record<string, unknown>);
}

describe("the demo server", () => {
  test("streams as many tokens as it is asked for and counts them", async () => {
    const answer = await post(await serve(), "completions", completion);
    const parts = events(await answer.text());
    expect(parts).toHaveLength(6 + 2);
    expect(parts.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 4, completion_tokens: 6 } });
  });

  test("reports what its disease finds in a cache", async () => {
    const law = { ...fast, diseases: { "prefix-cache": 0.75 } };
    const server = await startDemoServer({ law, seed: 1, quirks: ["reports-cached", "llama-timings"] });
    open.push(server);
    const answer: unknown = await (await post(server, "completions", { prompt: [1, 2, 3, 4], max_tokens: 1 })).json();
    expect(answer).toMatchObject({
      usage: { prompt_tokens: 4, prompt_tokens_details: { cached_tokens: 3 } },
      timings: { cache_n: 3, prompt_n: 1 },
    });
  });

  test("wraps chats in a template and finds repeated prompts in its cache", async () => {
    const server = await serve("reports-cached");
    const body = { messages: [{ role: "user", content: "word ".repeat(64) }], max_tokens: 1 };
    const usage = async (): Promise<unknown> => {
      const value: unknown = await (await post(server, "chat/completions", body)).json();
      return Reflect.get(Object(value), "usage");
    };
    expect(await usage()).toMatchObject({ prompt_tokens: 71, prompt_tokens_details: { cached_tokens: 0 } });
    expect(await usage()).toMatchObject({ prompt_tokens: 71, prompt_tokens_details: { cached_tokens: 64 } });
  });

  test.each<[Quirk, number]>([
    ["no-token-ids", 400],
    ["no-stream", 400],
    ["no-completions", 404],
    ["unauthorised", 401],
  ])("with %s it refuses with %i", async (quirk, status) => {
    expect((await post(await serve(quirk), "completions", completion)).status).toBe(status);
  });

  test("refuses an unknown model, a prompt beyond its context and what is no JSON", async () => {
    const server = await serve();
    expect((await post(server, "completions", { ...completion, model: "other" })).status).toBe(404);
    const long = { ...completion, prompt: "x ".repeat(40_000) };
    expect(await (await post(server, "completions", long)).text()).toContain("maximum context length is 32768");
    expect((await fetch(`${server.url}/completions`, { method: "POST", body: "{" })).status).toBe(400);
  });

  test.each<Quirk>(["comments", "crlf", "multi-line-data", "split-utf8", "several-tokens", "usage-every"])(
    "with %s the answer is the same text",
    async (quirk) => {
      const text = async (server: DemoServer): Promise<string> =>
        events(await (await post(server, "completions", completion)).text())
          .flatMap(({ choices }) => choices as { text: string }[])
          .map((choice) => choice.text)
          .join("");
      expect(await text(await serve(quirk))).toBe(await text(await serve()));
    },
  );

  test.each<Quirk[]>([[], ["multi-line-data"], ["split-utf8", "crlf"]])(
    "stamps each chunk with the time it is sent at, with quirks %j %j",
    async (...quirks) => {
      const law = { ...fast, jitter: 0, constant: 0.03, decode: { constant: 0.01, linear: 0 } };
      const server = await startDemoServer({ law, seed: 1, quirks, stamps: true });
      open.push(server);
      const before = monotonicSeconds();
      const parts = events(await (await post(server, "completions", completion)).text());
      const after = monotonicSeconds();
      const sent = parts.map(({ nsquared_sent }) => Number(nsquared_sent));
      expect(sent).toHaveLength(6 + 2);
      // However late the machine is, none is sent before its time.
      for (let token = 0; token < 6; token += 1) expect(sent[token]).toBeGreaterThan(before + 0.03 + 0.0099 * token);
      expect(sent).toEqual([...sent].sort((left, right) => left - right));
      expect(sent.at(-1)).toBeLessThan(after);
      const handed = parts.map(({ nsquared_handed }) => nsquared_handed);
      expect(handed[0]).toBeNull();
      for (let event = 1; event < sent.length; event += 1) {
        expect(handed[event]).toBeGreaterThan(sent[event - 1] ?? Number.NaN);
        expect(handed[event]).toBeLessThan(sent[event] ?? Number.NaN);
      }
    },
  );

  test("cuts, fails inside a stream, answers nothing, refuses every third request", async () => {
    await expect(post(await serve("cut"), "completions", completion).then((answer) => answer.text())).rejects.toThrow(
      "terminated",
    );
    const broken = events(await (await post(await serve("error-in-stream"), "completions", completion)).text());
    expect(broken.at(-1)).toHaveProperty("error");
    const empty = events(await (await post(await serve("empty"), "completions", completion)).text());
    expect(empty.at(-1)).toMatchObject({ usage: { completion_tokens: 0 } });
    const limited = await serve("rate-limited");
    const codes: number[] = [];
    for (let index = 0; index < 3; index += 1) {
      const answer = await post(limited, "completions", completion);
      await answer.text();
      codes.push(answer.status);
    }
    expect(codes).toEqual([200, 200, 429]);
  });
});
