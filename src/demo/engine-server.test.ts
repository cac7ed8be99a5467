import { afterEach, describe, expect, test } from "vitest";
import { type ServedEngine, startEngineServer } from "./engine-server.js";

const end = 0;

/** An engine whose tokens are bytes: the next one is the sum of the cache, plus one. Each pass takes so many seconds. */
class Adder implements ServedEngine {
  readonly build = "adder 1";
  readonly contextLength = 64;
  readonly batchTokens = 4;
  readonly vocabulary = 256;
  readonly cache: number[] = [];
  readonly passes: number[] = [];
  busy = false;
  readonly sequence: ServedEngine["sequence"];

  constructor(private readonly seconds = 0) {
    const { cache } = this;
    this.sequence = {
      get length() {
        return cache.length;
      },
      append: async (tokens, wantsNext) => {
        if (this.busy) throw new Error("two requests at once");
        this.busy = true;
        await new Promise((resolve) => {
          setTimeout(resolve, 1000 * this.seconds);
        });
        this.busy = false;
        this.passes.push(tokens.length);
        cache.push(...tokens);
        return wantsNext ? this.next() : null;
      },
      truncate: (length) => {
        cache.splice(length);
        return Promise.resolve();
      },
    };
  }

  private next(): number {
    return (this.cache.reduce((sum, token) => sum + token, 0) + 1) % this.vocabulary;
  }

  prompt(text: string): number[] {
    return [...Buffer.from(text)];
  }
  chat(messages: readonly { readonly content: string }[]): number[] {
    return [1, 1, ...messages.flatMap(({ content }) => this.prompt(content))];
  }
  detokenize(tokens: readonly number[]): string {
    return Buffer.from(tokens).toString("utf8");
  }
  endsAnswer(token: number): boolean {
    return token === end;
  }
}

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function serve(engine: ServedEngine): Promise<string> {
  const server = await startEngineServer(engine, { model: "adder" });
  open.push(server);
  return server.url;
}

interface Answer {
  readonly choices: { readonly text?: string; readonly token_ids?: number[]; readonly finish_reason: string | null }[];
  readonly usage?: Record<string, unknown>;
  readonly timings?: Record<string, number>;
  readonly error?: { readonly message: string };
}

async function ask(url: string, body: Record<string, unknown>, path = "completions"): Promise<Answer> {
  const answer = await fetch(`${url}/${path}`, { method: "POST", body: JSON.stringify(body) });
  return (await answer.json()) as Answer;
}

/** The sums of the prompt and of what came before, as an adder answers. */
function expected(prompt: readonly number[], count: number): number[] {
  const cache = [...prompt];
  return Array.from({ length: count }, () => {
    const next = (cache.reduce((sum, token) => sum + token, 0) + 1) % 256;
    cache.push(next);
    return next;
  });
}

describe("a served engine", () => {
  test("answers with its tokens, and goes on from what it has cached", async () => {
    const engine = new Adder();
    const url = await serve(engine);
    const prompt = [9, 8, 7, 6, 5, 4];
    const wanted = { prompt, max_tokens: 3, ignore_eos: true, return_token_ids: true };
    const first = await ask(url, wanted);
    expect(first.choices[0]).toMatchObject({ token_ids: expected(prompt, 3), finish_reason: "length" });
    expect(first.usage).toMatchObject({ prompt_tokens: 6, prompt_tokens_details: { cached_tokens: 0 } });
    expect(engine.passes).toEqual([4, 2, 1, 1]);
    const again = await ask(url, wanted);
    expect(again.choices).toEqual(first.choices);
    expect(again.timings).toMatchObject({ cache_n: 5, prompt_n: 1, predicted_n: 3 });
    const anew = await ask(url, { ...wanted, cache_prompt: false });
    expect([anew.choices, anew.timings?.["cache_n"]]).toEqual([first.choices, 0]);
    const other = await ask(url, { ...wanted, prompt: [9, 8, 1] });
    expect(other.choices[0]?.token_ids).toEqual(expected([9, 8, 1], 3));
    expect(other.timings?.["cache_n"]).toBe(2);
  });

  test("ends where the model does, but not before the fewest tokens, and not where the end is ignored", async () => {
    const url = await serve(new Adder());
    // 127 + 128 + 1 = 256: the first token is the end.
    const prompt = [127, 128];
    const count = async (more: object): Promise<unknown> => {
      const { usage, choices } = await ask(url, { prompt, max_tokens: 4, ...more });
      return [usage?.["completion_tokens"], choices[0]?.finish_reason];
    };
    expect(await count({})).toEqual([1, "stop"]);
    expect(await count({ min_tokens: 2 })).toEqual([2, "stop"]);
    expect(await count({ ignore_eos: true })).toEqual([4, "length"]);
  });

  test("streams whole characters, its progress and, at the end, counts and times", async () => {
    const url = await serve(new Adder());
    // The sums are 0xc3 and, as one byte, 0x86: the two halves of "Æ".
    const body = {
      prompt: [0x61, 0x61, 0, 0, 0],
      max_tokens: 2,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
      return_progress: true,
    };
    const answer = await fetch(`${url}/completions`, { method: "POST", body: JSON.stringify(body) });
    const events = (await answer.text())
      .split("\n\n")
      .flatMap((event) => (event.startsWith("data: {") ? [JSON.parse(event.slice(6)) as Answer] : []));
    const [early, whole] = events.map((event) => Reflect.get(event, "prompt_progress") as unknown);
    expect([early, whole]).toEqual([
      { total: 5, cache: 0, processed: 4, time_ms: expect.any(Number) },
      { total: 5, cache: 0, processed: 5, time_ms: expect.any(Number) },
    ]);
    const texts = events.flatMap(({ choices }) => choices[0]?.text ?? []).filter((text) => text !== "");
    expect(texts).toEqual(["Æ"]);
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 2 }, timings: { predicted_n: 2 } });
  });

  test("wraps chats in the model's template", async () => {
    const url = await serve(new Adder());
    const body = { messages: [{ role: "user", content: "ab" }], max_tokens: 1 };
    expect((await ask(url, body, "chat/completions")).usage).toMatchObject({ prompt_tokens: 4 });
  });

  test("computes one request at a time, and none whose client has gone", async () => {
    const engine = new Adder(0.02);
    const url = await serve(engine);
    const request = { prompt: [1, 2], max_tokens: 3, ignore_eos: true, cache_prompt: false };
    const stop = new AbortController();
    const all = [ask(url, request), ask(url, request)];
    const gone = fetch(`${url}/completions`, {
      method: "POST",
      body: JSON.stringify({ ...request, max_tokens: 50 }),
      signal: stop.signal,
    }).catch(() => null);
    setTimeout(() => {
      stop.abort();
    }, 40);
    const last = ask(url, request);
    expect(await gone).toBeNull();
    for (const answer of [...(await Promise.all(all)), await last]) {
      expect(answer.usage).toMatchObject({ completion_tokens: 3 });
    }
    // Three passes for each of three; of the fourth at most what was begun when it went away.
    expect(engine.passes.length).toBeLessThan(9 + 10);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ["an unknown token", { prompt: [1, 256] }, /token ids below 256/],
    ["a fraction of a token", { prompt: [1.5] }, /token ids below 256/],
    ["no prompt", {}, /a text or a list of token ids/],
    ["more than the context", { prompt: [1], max_tokens: 64 }, /1 tokens of prompt and 64 of answer, 64 in all/],
    ["several answers", { prompt: [1], n: 2 }, /n is not known here/],
    ["another model", { prompt: [1], model: "other" }, /does not exist/],
  ])("refuses %s in words", async (_, body, message) => {
    const { error } = await ask(await serve(new Adder()), body);
    expect(error?.message).toMatch(message);
  });
});
