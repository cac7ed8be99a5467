import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { header, prefill, sample } from "../../test/support/runs.js";
import { createJournal, createJournalIn, journalPathOf } from "./journal.js";
import { parseRun } from "./parse.js";
import { largestRunBytes, readRun } from "./read.js";
import type { RunEnd } from "./schema.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nsquared-runs-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const end: RunEnd = { status: "complete", seconds: 3, warnings: [{ code: "spread", message: "they scatter" }] };

describe("a journal", () => {
  test("is readable while measuring goes on, as an incomplete run", async () => {
    const path = join(folder, "a.json");
    const journal = await createJournal(path, header());
    expect((await readRun(path)).samples).toEqual([]);
    await journal.sample(sample({ at: 1 }));
    await journal.warning({ code: "x", message: "first" });
    await journal.sample(sample({ at: 2, seconds: null, rejected: "timed out" }));
    const left = await readRun(path);
    expect(left).toMatchObject({ ...header(), status: "incomplete", seconds: 2 });
    expect(left.samples).toEqual([sample({ at: 1 }), sample({ at: 2, seconds: null, rejected: "timed out" })]);
    expect(left.warnings.map(({ code }) => code)).toEqual(["x", "not-sealed"]);
    expect(await readRun(journalPathOf(path))).toEqual(left);
    await journal.close();
    await expect(journal.sample(sample())).rejects.toThrow("closed");
  });

  test("cut at any byte gives every sample whose newline was written", async () => {
    const path = join(folder, "a.json");
    const journal = await createJournal(path, header({ model: { name: "模型", source: "ü", digest: "d" } }));
    const samples = Array.from({ length: 6 }, (_, index) =>
      sample({ ...prefill(2 ** index), at: index, rejected: index % 2 === 0 ? null : "länger als „sonst“ 🙂" }),
    );
    for (const one of samples) await journal.sample(one);
    await journal.close();
    const bytes = await readFile(journal.journalPath);
    const newlines = [...bytes.entries()].filter(([, byte]) => byte === 10).map(([offset]) => offset);
    const firstLine = newlines[0] ?? 0;
    for (let cut = firstLine + 1; cut <= bytes.length; cut += 1) {
      const whole = newlines.filter((offset) => offset < cut).length - 1;
      expect(parseRun(bytes.subarray(0, cut).toString("utf8"), "cut").samples).toEqual(samples.slice(0, whole));
    }
    for (let cut = 0; cut <= firstLine; cut += 1) {
      expect(() => parseRun(bytes.subarray(0, cut).toString("utf8"), "cut")).toThrow(/^cut: /);
    }
  });

  test("keeps any samples whatever they hold, at any cut", async () => {
    const reason = fc.option(fc.string({ unit: "binary", maxLength: 40 }));
    await fc.assert(
      fc.asyncProperty(fc.array(reason, { maxLength: 8 }), fc.nat(), async (reasons, where) => {
        const path = join(await mkdtemp(join(folder, "p-")), "a.json");
        const journal = await createJournal(path, header());
        const start = (await stat(journal.journalPath)).size;
        const samples = reasons.map((rejected) => sample({ rejected }));
        for (const one of samples) await journal.sample(one);
        await journal.close();
        const bytes = await readFile(journal.journalPath);
        const cut = start + (where % (bytes.length - start + 1));
        await writeFile(journal.journalPath, bytes.subarray(0, cut));
        const whole = bytes.subarray(0, cut).filter((byte) => byte === 10).length - 1;
        const wellFormed = samples.slice(0, whole).map((one) => JSON.parse(JSON.stringify(one)));
        expect((await readRun(path)).samples).toEqual(wellFormed);
      }),
      { seed: 3, numRuns: 40 },
    );
  });
});

describe("sealing", () => {
  test("leaves one read-only run and no journal", async () => {
    const path = join(folder, "deep", "er", "a.json");
    const journal = await createJournal(path, header());
    await journal.sample(sample());
    const run = await journal.seal(end);
    expect(await readdir(join(folder, "deep", "er"))).toEqual(["a.json"]);
    expect((await stat(path)).mode & 0o777).toBe(0o444);
    expect(await readRun(path)).toEqual(run);
    expect(run).toMatchObject({ ...header(), ...end, samples: [sample()] });
  });

  test("never overwrites: the journal stays beside what is in the way", async () => {
    const path = join(folder, "a.json");
    const journal = await createJournal(path, header());
    await journal.sample(sample());
    await writeFile(path, "mine");
    await expect(journal.seal(end)).rejects.toThrow(`${path}: already exists; runs are never overwritten`);
    expect(await readFile(path, "utf8")).toBe("mine");
    expect((await readRun(journal.journalPath)).samples).toEqual([sample()]);
    expect((await readdir(folder)).sort()).toEqual(["a.journal.jsonl", "a.json"]);
  });
});

describe("where a run goes", () => {
  test("is refused where a run or a journal already is", async () => {
    const path = join(folder, "a.json");
    await (await createJournal(path, header())).close();
    await expect(createJournal(path, header())).rejects.toMatchObject({ code: "run-exists", exitCode: 2 });
    await rm(journalPathOf(path));
    await writeFile(path, "{}");
    await expect(createJournal(path, header())).rejects.toMatchObject({ code: "run-exists" });
  });

  test("in a folder is a fresh name each time, sealed or not", async () => {
    const names: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      const journal = await createJournalIn(join(folder, "runs"), header());
      names.push(journal.path);
      await (count % 2 === 0 ? journal.seal(end) : journal.close());
    }
    const base = join(folder, "runs", "tiny-20261123-120000");
    expect(names).toEqual([`${base}.json`, `${base}-2.json`, `${base}-3.json`, `${base}-4.json`]);
  });

  test("below a file is an error that says so, before anything is measured", async () => {
    await writeFile(join(folder, "file"), "");
    for (const path of [join(folder, "file", "a.json"), join(folder, "file", "deeper", "a.json")]) {
      const error = await createJournal(path, header()).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: "output-unwritable", exitCode: 2 });
      expect(String(error)).toMatch(/cannot be written: .*file/);
    }
  });

  test.skipIf(!existsSync("/proc/self"))(
    "in a file system that takes no folders is an error and not an endless loop (skipped where there is no /proc)",
    async () => {
      const error = await createJournalIn("/proc/no/such/folder", header()).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: "output-unwritable", exitCode: 2 });
      expect(String(error)).toContain("/proc/no: cannot be written");
    },
  );

  test.skipIf(process.getuid?.() === 0 || process.platform === "win32")(
    "in a folder without permission is an error that says so (skipped for root, who may write anywhere)",
    async () => {
      const locked = join(folder, "locked");
      await mkdir(locked);
      await chmod(locked, 0o500);
      await expect(createJournalIn(locked, header())).rejects.toThrow("no permission");
    },
  );
});

describe("reading", () => {
  test("what is no run file is refused in one line", async () => {
    await expect(readRun(join(folder, "none.json"))).rejects.toThrow("no such file");
    await expect(readRun(folder)).rejects.toThrow("not a regular file");
    await symlink("loop.json", join(folder, "loop.json"));
    await expect(readRun(join(folder, "loop.json"))).rejects.toThrow("cannot be read");
    await writeFile(join(folder, "file"), "x");
    await expect(readRun(join(folder, "file", "a.json"))).rejects.toThrow("cannot be read");
  });

  test("what is larger than a run can be is refused unread", async () => {
    const path = join(folder, "large.json");
    await writeFile(path, "");
    const { truncate } = await import("node:fs/promises");
    await truncate(path, largestRunBytes + 1);
    await expect(readRun(path)).rejects.toMatchObject({ code: "run-too-large" });
  });
});
