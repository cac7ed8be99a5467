import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { htmlReport } from "../../src/report/html.js";
import { reportData } from "../fixtures/report-data.js";
import { launchChromium, skipReason, skipWithoutChromium } from "./chromium.js";

/** Run inside the page as text, since tests are not checked against the types of a browser. */
const overflowing = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
const shownPictures = `[...document.querySelectorAll("figure svg")]
  .filter((svg) => getComputedStyle(svg).display !== "none")
  .map((svg) => svg.getBoundingClientRect())
  .map(({ width, height }) => ({ width, height }))`;
/** Pairs of texts of one picture whose boxes overlap, letters only. */
const overlaps = `[...document.querySelectorAll("figure svg")]
  .filter((svg) => getComputedStyle(svg).display !== "none")
  .flatMap((svg) => {
    const boxes = [...svg.querySelectorAll("text")].map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
    return boxes.flatMap((left, index) => boxes.slice(index + 1)
      .filter((right) =>
        Math.min(left.box.right, right.box.right) - Math.max(left.box.left, right.box.left) > 1 &&
        Math.min(left.box.bottom, right.box.bottom) - Math.max(left.box.top, right.box.top) > 3)
      .map((right) => left.text + " | " + right.text));
  })`;
const clippedTexts = `[...document.querySelectorAll("figure svg")]
  .filter((svg) => getComputedStyle(svg).display !== "none")
  .flatMap((svg) => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")]
      .filter((text) => text.getBoundingClientRect().right > frame.right + 1 || text.getBoundingClientRect().left < frame.left - 1)
      .map((text) => text.textContent);
  })`;

describe.skipIf(skipWithoutChromium)(`a report in Chromium${skipReason}`, () => {
  let browser: Browser | undefined;
  let folder = "";
  let address = "";

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nsquared-report-"));
    const file = join(folder, "report.html");
    writeFileSync(file, await htmlReport(reportData));
    address = pathToFileURL(file).href;
    browser = await launchChromium();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  interface Opened {
    readonly page: Page;
    readonly complaints: readonly string[];
    readonly requests: readonly string[];
  }

  async function open(width: number, colorScheme: "light" | "dark" = "light"): Promise<Opened> {
    if (browser === undefined) throw new Error("Chromium did not start");
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (request.url() !== address) requests.push(request.url());
    });
    await page.goto(address, { waitUntil: "networkidle" });
    return { page, complaints, requests };
  }

  test.each([375, 768, 1280])(
    "fits %d pixels, draws every picture, asks for nothing and complains of nothing",
    async (width) => {
      const { page, complaints, requests } = await open(width);
      try {
        expect(await page.evaluate(overflowing)).toBe(0);
        const pictures = await page.evaluate<{ width: number; height: number }[]>(shownPictures);
        expect(pictures).toHaveLength(6);
        for (const picture of pictures) {
          expect(picture.width).toBeGreaterThan(Math.min(300, width - 80));
          expect(picture.height).toBeGreaterThan(150);
        }
        expect(complaints).toEqual([]);
        expect(requests).toEqual([]);
      } finally {
        await page.close();
      }
    },
  );

  test.each([375, 1280])("writes no label over another or out of its picture at %d pixels", async (width) => {
    const { page } = await open(width);
    try {
      expect(await page.evaluate(overlaps)).toEqual([]);
      expect(await page.evaluate(clippedTexts)).toEqual([]);
    } finally {
      await page.close();
    }
  });

  test("turns dark where dark pages are wanted, and its style sheet passes its own policy", async () => {
    const colour = "getComputedStyle(document.body).backgroundColor";
    const light = await open(1280, "light");
    const dark = await open(1280, "dark");
    try {
      expect(await light.page.evaluate(colour)).toBe("rgb(252, 252, 250)");
      expect(await dark.page.evaluate(colour)).toBe("rgb(21, 23, 26)");
    } finally {
      await light.page.close();
      await dark.page.close();
    }
  });

  test("names its pictures and its tables to those who cannot see them", async () => {
    const { page } = await open(1280);
    try {
      expect(await page.getByRole("img", { name: /^Prefill: seconds over tokens/ }).count()).toBe(1);
      expect(await page.getByRole("table", { name: "Time per length" }).count()).toBe(2);
      expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("SmolLM2-135M");
    } finally {
      await page.close();
    }
  });
});
