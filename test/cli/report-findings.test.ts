import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { effects, lengths } from "../../bench/diagnosis-plan.mjs";
import { ailments } from "../../src/base/ailments.js";
import { type Cause, causeNames } from "../../src/compare/diagnose-advice.js";
import { demoTimes, healthyLaw } from "../../src/demo/law.js";
import { run, sample } from "../support/runs.js";
import { plainRequest } from "../support/plain-request.js";
import { command, temporaryFolder } from "./harness.js";

const folder = temporaryFolder();
afterAll(folder.remove);

/** A server's run, with the times that a law gives. */
function runOf(disease: Cause | null): string {
  const strength = disease === null ? null : effects[disease]?.[1];
  const window = disease === "idle-window" ? strength : null;
  const diseases = disease === null ? {} : { [disease]: strength };
  const times = demoTimes({ ...healthyLaw, window: window ?? null, diseases }, 7);
  const samples = [0, 1, 2, 3, 4].flatMap((block) =>
    lengths.map((n, index) => {
      const { seconds, serverSeconds, cached } = times.prefill(n, 0);
      const told = { ...plainRequest, cachedTokens: cached, serverPrefillSeconds: serverSeconds };
      return sample({ n, block, at: block * 100 + index, seconds, request: told });
    }),
  );
  const path = join(folder.path, `${disease ?? "healthy"}.json`);
  const plain = run({ samples });
  const source = "http://127.0.0.1:8000/v1";
  const ofServer = {
    ...plain,
    model: { ...plain.model, name: "demo", source },
    runtime: { ...plain.runtime, runner: "openai", name: "vllm" },
  };
  writeFileSync(path, JSON.stringify(ofServer));
  return path;
}

async function pageOf(path: string, ...more: string[]): Promise<{ page: string; findings: unknown }> {
  const { out, code, err } = await command(["report", path, "--json", ...more]);
  expect([code, err]).toEqual([0, expect.any(String)]);
  const document = JSON.parse(out) as { html: string; findings: unknown };
  return { page: readFileSync(document.html, "utf8"), findings: document.findings };
}

/** Seen in the samples alone. */
const alone = ailments.filter((cause) => cause !== "unfused" && cause !== "idle-window");

describe("the page of a server's run", () => {
  test.each(alone)("shows %s with its evidence, drawn, and what to try", async (cause) => {
    const path = runOf(cause);
    const { page, findings } = await pageOf(path);
    expect(findings).toMatchObject([{ cause, alike: [] }]);
    const section = page.slice(page.indexOf("What ails the prefills"));
    expect(section).toContain(`<h3>${causeNames[cause]}</h3>`);
    expect(section.slice(0, section.indexOf("To try:"))).toMatch(/<svg[^>]* role="img"[^]*<circle/);
    const explained = JSON.parse((await command(["explain", path, "--json"])).out) as {
      findings: { advice: string }[];
    };
    expect(section).toContain(explained.findings[0]?.advice.split(/[("&<>]/)[0] ?? "?");
  });

  test("beside its model shows attention that is not fused", async () => {
    const { page, findings } = await pageOf(runOf("unfused"), "--model", "Llama-3.1-8B", "--on", "h100");
    expect(findings).toMatchObject([{ cause: "unfused" }]);
    expect(page).toContain("Attention is not fused");
  });

  test("says when it looks like physics", async () => {
    const { page, findings } = await pageOf(runOf(null));
    expect(findings).toEqual([]);
    expect(page).toContain("<h2>The prefills grow like physics</h2>");
  });
});
