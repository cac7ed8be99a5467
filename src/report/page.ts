import { html, type Markup, serialise, trusted } from "./markup.js";
import { pageStyle } from "./page-style.js";

/** A document around a page's content that needs nothing else: no scripts, no requests, one style sheet. */
export async function pageOf(title: string, version: string, created: string, content: Markup): Promise<string> {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${await digest(pageStyle)}'; base-uri 'none'; form-action 'none'">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="nsquared ${version}">
<title>${title}</title>
<style>${trusted(pageStyle)}</style>
</head>
<body>
<main>
${content}
<footer><p>Made by nsquared ${version} on ${created}.</p></footer>
</main>
</body>
</html>
`;
  return serialise(page);
}

/** The style sheet's digest as a content security policy names it: no other style applies, even if one slipped in. */
async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(hash)))}`;
}
