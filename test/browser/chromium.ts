import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const places = [
  process.env["NSQUARED_CHROMIUM"] ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Where a Chromium is installed, or null. */
const chromiumPath = places.find((path) => path !== "" && existsSync(path)) ?? null;

/** Where Chromium must be there, as in continuous integration, its absence fails a test instead of skipping it. */
const chromiumRequired = process.env["NSQUARED_REQUIRE_CHROMIUM"] === "1";

/** Browser tests are skipped without a Chromium, and named so that the skip explains itself. */
export const skipWithoutChromium = chromiumPath === null && !chromiumRequired;
export const skipReason = skipWithoutChromium
  ? " (skipped: no Chromium is installed; set NSQUARED_CHROMIUM to its path)"
  : "";

/** A headless Chromium that starts nothing of its own on the network. */
export async function launchChromium(): Promise<Browser> {
  if (chromiumPath === null) throw new Error(`no Chromium at ${places.filter((path) => path !== "").join(", ")}`);
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
