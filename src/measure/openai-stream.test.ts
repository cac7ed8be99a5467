import { describe, expect, test } from "vitest";
import { type StreamFacts, StreamReader, errorText, tokenSeconds } from "./openai-stream.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const text = (word: string, finish: string | null = null): string =>
  data({ choices: [{ index: 0, text: word, finish_reason: finish }] });
const delta = (fields: Record<string, unknown>): string => data({ choices: [{ index: 0, delta: fields }] });

/** Each piece arrives a second after the one before. */
function read(...pieces: (string | Uint8Array)[]): StreamFacts {
  const reader = new StreamReader();
  pieces.forEach((piece, index) => {
    reader.push(typeof piece === "string" ? bytes(piece) : piece, index + 1);
  });
  return reader.end();
}

describe("a stream of server-sent events", () => {
  test("counts chunks with content, and stamps the first and the last", () => {
    const facts = read(text("a"), text("b"), text("c", "length"), "data: [DONE]\n\n");
    expect(facts).toMatchObject({
      firstAt: 1,
      lastAt: 3,
      contentChunks: 3,
      finish: "length",
      done: true,
      longestGap: 1,
    });
  });

  test("a role, an empty delta and usage alone are no tokens", () => {
    const usage = data({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 1 } });
    const facts = read(delta({ role: "assistant", content: "" }), delta({}), delta({ content: "x" }), usage);
    expect(facts).toMatchObject({ firstAt: 3, lastAt: 3, contentChunks: 1, promptTokens: 7, outputTokens: 1 });
  });

  test.each(["reasoning_content", "reasoning"])("%s is content too", (field) => {
    expect(read(delta({ [field]: "hm" }), delta({ content: "x" }))).toMatchObject({ firstAt: 1, contentChunks: 2 });
  });

  test("comments, CRLF, data over several lines and several events at once are read alike", () => {
    const event = JSON.stringify({ choices: [{ text: "a" }] }, null, 1);
    const lines = event.split("\n").map((line) => `data: ${line}\r\n`);
    expect(read(`: ping\r\n\r\n${lines.join("")}\r\n`)).toMatchObject({ contentChunks: 1, problem: null });
    expect(read(text("a") + text("b"))).toMatchObject({ contentChunks: 2, firstAt: 1, lastAt: 1 });
  });

  test("an event that arrives in two pieces counts when it is whole, wherever it is cut", () => {
    const whole = bytes(text("naïve 🙂"));
    for (let cut = 1; cut < whole.length; cut += 1) {
      const facts = read(whole.subarray(0, cut), whole.subarray(cut));
      expect(facts).toMatchObject({ contentChunks: 1, problem: null });
    }
  });

  test("usage on every chunk keeps the last counts, and cached tokens", () => {
    const chunk = (completion: number): string =>
      data({
        choices: [{ text: "a" }],
        usage: { prompt_tokens: 5, completion_tokens: completion, prompt_tokens_details: { cached_tokens: 4 } },
      });
    expect(read(chunk(1), chunk(2))).toMatchObject({ promptTokens: 5, outputTokens: 2, cachedTokens: 4 });
  });

  test("llama.cpp's timings are kept in seconds", () => {
    const timings = { cache_n: 3, prompt_n: 10, prompt_ms: 500, predicted_n: 5, predicted_ms: 200 };
    expect(read(data({ choices: [{ text: "", finish_reason: "stop" }], timings }))).toMatchObject({
      serverPrefill: 0.5,
      serverToken: 0.05,
      cachedTokens: 3,
    });
  });

  test("an error inside, and what is no JSON, are problems", () => {
    expect(read(text("a"), data({ error: { message: "out of memory" } })).problem).toBe("out of memory");
    expect(read("data: {oops\n\n").problem).toContain("no JSON");
  });

  test("an answer whose tokens have no text ends when its end arrives", () => {
    const facts = read(delta({ role: "assistant", content: "" }), text("", "length"), "data: [DONE]\n\n");
    expect(facts).toMatchObject({ firstAt: null, finishAt: 2, finish: "length" });
  });

  test("content may be a list of parts, and thinking inside of one (Mistral)", () => {
    const thinking = (said: string) =>
      delta({ content: [{ type: "thinking", thinking: [{ type: "text", text: said }] }] });
    const facts = read(
      delta({ content: [] }),
      thinking(""),
      thinking("hm"),
      delta({ content: [{ type: "text", text: "a" }] }),
    );
    expect(facts).toMatchObject({ firstAt: 3, contentChunks: 2 });
  });

  test("an event that does not end is a problem, and the rest of the stream is not read", () => {
    const facts = read(text("a"), `data: ${"x".repeat(5 << 20)}`, text("b"), "data: [DONE]\n\n");
    expect(facts).toMatchObject({
      contentChunks: 1,
      done: false,
      problem: expect.stringContaining("unreadable stream"),
    });
  });

  test("counts from outside are bounded", () => {
    const facts = read(data({ choices: [{ text: "a" }], usage: { prompt_tokens: 1e300, completion_tokens: -1 } }));
    expect(facts).toMatchObject({ promptTokens: null, outputTokens: null });
  });
});

describe("time per further token", () => {
  const facts = (chunks: number, tokens: number | null): StreamFacts => ({
    ...read(text("a")),
    firstAt: 1,
    lastAt: 4,
    contentChunks: chunks,
    outputTokens: tokens,
  });

  test("is the time behind the first chunk over the tokens behind it", () => {
    expect(tokenSeconds(facts(4, 4))).toBe(1);
    expect(tokenSeconds(facts(4, null))).toBe(1);
    expect(tokenSeconds(facts(4, 12))).toBeCloseTo(1 / 3, 12);
  });

  test("is not there where the answer came in one piece", () => {
    expect(tokenSeconds(facts(1, 4))).toBeNull();
  });
});

test("servers word their errors in several ways", () => {
  expect(errorText({ error: { message: "a  b" } })).toBe("a  b");
  expect(errorText({ error: "plain" })).toBe("plain");
  expect(errorText({ detail: "d" })).toBe("d");
  expect(errorText({})).toBeNull();
});

describe("what servers do differently", () => {
  test("ignores fields and retries that nobody knows, and takes the errors of old servers", () => {
    const facts = read('retry: soon\nx-note: hello\ndata: {"choices":[{"text":"a"}]}\n\n');
    expect(facts).toMatchObject({ problem: null, contentChunks: 1 });
    expect(read('data: {"object":"error","message":"engine is dead","code":500}\n\n').problem).toBe("engine is dead");
    expect(read("error: it fell over\n\n").problem).toBe("it fell over");
  });

  test.each([
    { prompt_tokens_details: { cached_tokens: 5 }, prompt_cache_hit_tokens: 7 },
    { prompt_tokens_details: null, prompt_cache_hit_tokens: 5 },
    { cached_tokens: 5 },
  ])("finds the cached tokens in %j", (usage) => {
    expect(read(`data: ${JSON.stringify({ choices: [], usage })}\n\n`).cachedTokens).toBe(5);
  });
});
