import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { costDocument } from "../../src/study/documents/cost.js";
import { describeDocument } from "../../src/study/documents/describe.js";
import { readConfigFile } from "../reference/data.js";
import { command, temporaryFolder, writeConfig } from "./harness.js";

const folder = temporaryFolder();
afterAll(() => folder.remove());

async function json(words: readonly string[]): Promise<unknown> {
  const { code, out, err } = await command([...words, "--json"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out);
}

const tiny = writeConfig(folder.path);

describe("nsquared cost --request", () => {
  test("prices prefill and every decode step, in total and by part", async () => {
    const { request } = costDocument.parse(await json(["cost", tiny, "--request", "16:3", "--batch", "2"]));
    const prefill = costDocument.parse(await json(["cost", tiny, "--lengths", "16", "--batch", "2"])).points;
    const steps = costDocument.parse(
      await json(["cost", tiny, "--phase", "decode", "--lengths", "16,17,18", "--batch", "2"]),
    ).points;
    expect(request?.prefill.flops.total).toBe(prefill[0]?.flops.total);
    expect(request?.decode.flops.total).toBe(steps.reduce((sum, { flops }) => sum + flops.total, 0));
    expect(request?.decode.bytes.read).toBe(steps.reduce((sum, { bytes }) => sum + bytes.read, 0));
    expect(request?.parts.reduce((sum, part) => sum + part.decode.bytes.written, 0)).toBe(
      request?.decode.bytes.written,
    );
    expect(request?.total.launches).toBe((request?.prefill.launches ?? 0) + (request?.decode.launches ?? 0));
    expect((await command(["cost", tiny, tiny, "--request", "16:3"])).out).toContain("a whole generation (16:3) takes");
    const { out } = await command(["cost", tiny, "--request", "16:3"]);
    expect(out).toContain("prompt of 16, then 3 decode steps at contexts 16 … 18");
  });

  test("is refused where nothing is generated or the two lengths are not there", async () => {
    const bert = join(folder.path, "bert.json");
    writeFileSync(bert, JSON.stringify({ model_type: "bert" }));
    expect((await command(["cost", bert, "--request", "16:3"])).code).toBe(2);
    expect((await command(["cost", tiny, "--request", "16"])).err).toContain("4k:512");
    expect((await command(["cost", tiny, "--request", "16:0"])).code).toBe(2);
  });
});

test("an encoder is as long as the prompt unless --encoder-length says otherwise", async () => {
  const t5 = join(folder.path, "t5.json");
  writeFileSync(t5, JSON.stringify(readConfigFile("class-defaults", "t5.json")));
  const same = costDocument.parse(await json(["cost", t5, "--lengths", "64"]));
  const stated = costDocument.parse(await json(["cost", t5, "--lengths", "64", "--encoder-length", "64"]));
  expect([same.encoderLength, stated.encoderLength]).toEqual(["n", 64]);
  expect(same.points).toEqual(stated.points);
  const longer = costDocument.parse(await json(["cost", t5, "--lengths", "64", "--encoder-length", "128"]));
  expect(longer.points[0]?.flops.total).toBeGreaterThan(stated.points[0]?.flops.total ?? 0);
  expect(costDocument.parse(await json(["cost", tiny, "--encoder-length", "128"])).encoderLength).toBeNull();
});

test("a model that is not understood is priced by its sizes under --allow-partial, with the rest listed", async () => {
  const strange = writeConfig(folder.path, { model_type: "unheard-of", wormhole_width: 7 }, "strange.json");
  const { code, err } = await command(["cost", strange]);
  expect(code).toBe(2);
  expect(err).toContain("wormhole_width");
  const partial = costDocument.parse(await json(["cost", strange, "--allow-partial"]));
  expect(partial.flops).toEqual(costDocument.parse(await json(["cost", tiny])).flops);
  expect(partial.notes.join("\n")).toMatch(/unheard-of is not understood[^]*wormhole_width/);
  const without = writeConfig(folder.path, { model_type: "unheard-of", hidden_size: undefined }, "without.json");
  expect((await command(["describe", without, "--allow-partial"])).err).toContain("hidden_size");
});

test("nsquared describe prices weights and cache in other formats", async () => {
  const own = describeDocument.parse(await json(["describe", tiny]));
  const mixed = describeDocument.parse(await json(["describe", tiny, "--dtype", "q8_0", "--kv-dtype", "fp8"]));
  expect(mixed.quantised?.type).toBe("Q8_0");
  expect(mixed.weightBytes).toBeLessThan(own.weightBytes / 2);
  expect(mixed.cache.bytesPerToken).toBe(own.cache.bytesPerToken / 4);
  expect((await command(["describe", tiny, "--dtype", "Q9_Z"])).code).toBe(2);
});
