import { describe, expect, test, vi } from "vitest";
import type { Quirk } from "../../src/demo/quirks.js";
import { file, listening, measure, measureWithKey, quick, serve } from "./endpoint.js";
import { command } from "./harness.js";

vi.setConfig({ testTimeout: 120_000 });

describe("bad input about servers", () => {
  test.each<[string, readonly string[], string]>([
    ["an unknown model", ["--model-name", "gpt-9"], "a model it serves: demo"],
    ["no model name", [], "--model-name is missing"],
  ])("%s", async (_, flags, message) => {
    const { code, err } = await command(["measure", await serve(), "--yes", ...flags]);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test.each<[string, Quirk, string]>([
    ["a web page", "html", "expected that of an OpenAI-compatible API; its address often ends in /v1"],
    ["a missing key", "unauthorised", "HTTP 401"],
  ])("%s", async (_, quirk, message) => {
    const { code, err } = await measure(await serve({}, quirk), file("r.json"));
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test.each<[string, readonly string[], string]>([
    ["a batch", ["--batch", "4"], "--concurrency"],
    ["threads", ["--threads", "2"], "a server's threads are its own"],
  ])("%s of its own", async (_, flags, message) => {
    const { code, err } = await measure(await serve(), file("r.json"), ...flags);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test("flags of servers for a model", async () => {
    const { code, err } = await command(["measure", "SmolLM2-135M", "--concurrency", "1,4"]);
    expect([code, err]).toEqual([2, expect.stringContaining("--batch, or the address of a server")]);
  });

  test("another protocol on that port", async () => {
    const { port, close } = await listening((socket) => {
      socket.on("error", () => undefined);
      socket.end("SSH-2.0-OpenSSH_9.2\r\n");
    });
    const { code, err } = await measure(`http://127.0.0.1:${port}/v1`, file("r.json"));
    close();
    expect([code, err]).toEqual([2, expect.stringContaining("does not speak HTTP")]);
  });

  test("Ctrl-C before the first sample measures nothing", async () => {
    const stop = new AbortController();
    const running = command(["measure", await serve({}, "hangs"), ...quick], stop.signal);
    setTimeout(() => {
      stop.abort();
    }, 50);
    const { code, err } = await running;
    expect([code, err]).toEqual([130, expect.stringContaining("nothing was measured")]);
  });

  test("a key with odd characters, without showing it", async () => {
    const { code, err } = await measureWithKey("http://127.0.0.1:9/v1", "ODD_KEY", "se cret");
    expect([code, err]).toEqual([2, expect.stringContaining("ODD_KEY: API key is")]);
    expect(err).not.toContain("cret");
  });

  test("no server, TLS where there is none, a password in the address", async () => {
    const { port, close } = await listening(() => undefined);
    close();
    const gone = await measure(`http://127.0.0.1:${port}/v1`, file("r.json"));
    expect([gone.code, gone.err]).toEqual([2, expect.stringContaining("nothing listens there")]);
    const tls = await measure((await serve()).replace("http:", "https:"), file("r.json"));
    expect([tls.code, tls.err]).toEqual([2, expect.stringContaining("TLS")]);
  });

  test.each([
    ["a password", "http://me:secret@127.0.0.1/v1", "no name or password in it"],
    ["a key", "http://127.0.0.1/v1?api_key=secret", "nothing behind the path"],
    ["a key behind a mark", "http://127.0.0.1/v1#secret", "nothing behind the path"],
  ])("%s in the address, without showing it", async (_, address, message) => {
    for (const more of [[], ["--batch", "2"], ["--threads", "3"]]) {
      const { code, err } = await measure(address, file("r.json"), "--debug", ...more);
      expect([code, err]).toEqual([2, expect.stringContaining(message)]);
      expect(err).not.toContain("secret");
    }
    const unnamed = await command(["measure", address, "--yes"]);
    expect([unnamed.code, unnamed.err]).toEqual([2, expect.stringContaining(message)]);
    expect(unnamed.err).not.toContain("secret");
  });
});
