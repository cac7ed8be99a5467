import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Access, Fetch } from "./access.js";
import { webAccess } from "./access.js";
import { memorySource, readText } from "./byte-source.js";
import { isHubId } from "./hub.js";
import { locate, nameOf } from "./locate.js";
import { nodeFileSystem } from "./node.js";
import { urlSource } from "./url-source.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nsquared-files-"));
  await mkdir(join(folder, "model"));
  await mkdir(join(folder, "empty"));
  await writeFile(join(folder, "model", "config.json"), '{"a":1}');
  await writeFile(join(folder, "tiny.json"), "{}");
});
afterAll(() => rm(folder, { recursive: true }));

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const noNetwork: Fetch = () => Promise.reject(new TypeError("fetch failed"));
const offline: Access = { fileSystem: nodeFileSystem, fetch: noNetwork, timeoutMilliseconds: 1000 };

function server(answer: (address: string, range: string | undefined) => Response): { access: Access; asked: string[] } {
  const asked: string[] = [];
  const fetch: Fetch = (address, options) => {
    asked.push(address);
    return Promise.resolve(answer(address, options.headers?.["Range"]));
  };
  return { access: webAccess(fetch, 1000), asked };
}

describe("a model's file is found", () => {
  test("by path", async () => {
    const found = await locate(join(folder, "tiny.json"), offline);
    expect(found.name).toBe("tiny");
    expect(await readText(found.source, 100)).toBe("{}");
  });

  test("in a folder", async () => {
    const found = await locate(`${join(folder, "model")}/`, offline);
    expect(found.name).toBe("model");
    expect(await readText(found.source, 100)).toBe('{"a":1}');
  });

  test("on the hub", async () => {
    const { access, asked } = server(() => new Response("{}"));
    const found = await locate("org/name", access);
    expect(found.name).toBe("org/name");
    expect(await readText(found.source, 100)).toBe("{}");
    expect(asked).toEqual(["https://huggingface.co/org/name/resolve/main/config.json"]);
  });

  test("a folder without a config.json is refused", async () => {
    await expect(locate(join(folder, "empty"), offline)).rejects.toThrow(
      `${join(folder, "empty")}: config.json is missing; a model folder holds one`,
    );
  });

  test("nothing there is said with the alternatives", async () => {
    await expect(locate("./nowhere", offline, "a built-in model (x)")).rejects.toThrow(
      "./nowhere: no such file or folder, nor a built-in model (x)",
    );
  });

  test("names come from the folder, the file or the address", () => {
    expect(nameOf("/m/SmolLM2/config.json")).toBe("SmolLM2");
    expect(nameOf("config.json")).toBe("config");
    expect(nameOf("a/b.gguf")).toBe("b");
    expect(nameOf("https://h.co/o/n/config.json?download=true")).toBe("n");
  });

  test.each([
    ["org/name", true],
    ["org/name/more", false],
    ["name", false],
    ["./name", false],
    ["../name", false],
    ["folder/file.json", false],
  ])("%s has the form of a hub model: %s", (id, expected) => {
    expect(isHubId(id)).toBe(expected);
  });
});

describe("addresses", () => {
  test("are read by ranges", async () => {
    const bytes = new TextEncoder().encode("0123456789");
    const { access } = server((_, range) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
      return new Response(bytes.slice(Number(from), Number(to) + 1), { status: 206 });
    });
    expect(text(await urlSource("https://h/x", access).read(2, 5))).toBe("234");
  });

  test("a server that ignores ranges is read only as far as needed", async () => {
    let sent = 0;
    const endless = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent += 10;
            controller.enqueue(new TextEncoder().encode("0123456789"));
          },
        }),
      );
    const { access } = server(endless);
    expect(text(await urlSource("https://h/x", access).read(12, 15))).toBe("234");
    expect(sent).toBeLessThan(100);
    await expect(readText(urlSource("https://h/x", access), 1000)).rejects.toThrow("at most 1000 bytes are read");
  });

  test.each([
    [404, "there is no such file"],
    [401, "the file is not public"],
    [500, "expected 200 or 206"],
  ])("HTTP status %d is told as such", async (status, message) => {
    const { access } = server(() => new Response("", { status }));
    await expect(urlSource("https://h/x", access).read(0, 1)).rejects.toThrow(message);
  });

  test("without a network the error says so, and what works instead", async () => {
    const { source } = await locate("org/name", offline);
    await expect(source.read(0, 1)).rejects.toThrow(/cannot be reached; is there a network\?.*built-in name/);
  });

  test("an answer that does not come is given up", async () => {
    const hanging: Fetch = (_, options) =>
      new Promise((_resolve, reject) => {
        options.signal?.addEventListener("abort", () => reject(options.signal?.reason));
      });
    await expect(urlSource("https://h/x", webAccess(hanging, 20)).read(0, 1)).rejects.toThrow(
      "no answer within 0.02 s",
    );
  });
});

describe("text", () => {
  test("longer than allowed is refused before it is read", async () => {
    await expect(readText(memorySource("a", new Uint8Array(11)), 10)).rejects.toThrow(
      "a: size in bytes is 11; at most 10",
    );
  });

  test("that is not UTF-8 is refused", async () => {
    await expect(readText(memorySource("a", new Uint8Array([0xff, 0xfe])), 10)).rejects.toThrow("UTF-8");
  });
});
