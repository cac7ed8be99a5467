/**
 * The report's style sheet. Colours are those of Okabe and Ito (2008), told apart with every kind of colour vision;
 * blue and orange are lightened on dark pages. No fonts, pictures or sheets from elsewhere.
 */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --page: #fcfcfa; --raised: #f3f3ee; --ink: #1b1d1f; --quiet: #5c6166; --faint: #e3e3dc; --rule: #cfcfc6;
  --measured: #1b1d1f; --predicted: #0072b2; --law: #a85200; --mark: #b0004e; --good: #00704f;
  --part-1: #d55e00; --part-2: #56b4e9; --part-3: #009e73; --part-4: #cc79a7; --part-5: #a9adb0; --part-6: #e6ac00; --on-part: #111;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --raised: #1f2226; --ink: #eceae4; --quiet: #a3a8ad; --faint: #2c3035; --rule: #41464c;
    --measured: #f4f2ec; --predicted: #56b4e9; --law: #e69f00; --mark: #ff7fb0; --good: #3ecf9e;
    --part-1: #c65a06; --part-2: #2f7fae; --part-3: #0b7d5d; --part-4: #a75f86; --part-5: #5f656a; --part-6: #8a6a00; --on-part: #fff;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 17px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 57rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
p, dd, li { max-width: 42rem; }
.kicker { margin: 0; color: var(--quiet); font-size: .82rem; letter-spacing: .06em; text-transform: uppercase; }
h1 { margin: .25rem 0 .4rem; font-size: clamp(1.9rem, 6vw, 3rem); line-height: 1.08; letter-spacing: -.022em; overflow-wrap: anywhere; }
.subtitle { margin: 0; color: var(--quiet); overflow-wrap: anywhere; }
h2 { margin: 3.5rem 0 .75rem; padding-top: .9rem; border-top: 1px solid var(--rule); font-size: 1.5rem; line-height: 1.2; letter-spacing: -.012em; }
h3 { margin: 2.25rem 0 .35rem; font-size: 1.08rem; line-height: 1.3; }
.answer { margin: 2.25rem 0 0; padding: 0; list-style: none; display: grid; gap: 1.35rem; }
.answer li { max-width: 46rem; padding-left: 1rem; border-left: 3px solid var(--mark); font-size: 1.18rem; line-height: 1.45; }
.answer b { display: block; margin-bottom: .1rem; font-size: .82rem; font-weight: 650; letter-spacing: .02em; color: var(--quiet); }
.warnings { margin: 2rem 0 0; padding: .8rem 1rem; background: var(--raised); border-radius: 6px; }
.warnings p { margin: .2rem 0; max-width: none; }
.plain p { margin: 0 0 .9rem; }
figure { margin: 1.4rem 0 2.2rem; }
figcaption { margin-bottom: .5rem; max-width: 42rem; }
figcaption h3 { margin-top: 0; }
figcaption p { margin: 0; color: var(--quiet); font-size: .92rem; }
.picture { display: block; width: 100%; height: auto; overflow: visible; font-family: inherit; }
.picture text { white-space: pre; paint-order: stroke; }
.narrow { display: none; }
.scroll { overflow-x: auto; margin: .6rem 0 1.4rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .35rem; }
th, td { padding: .28rem .75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child { padding-left: 0; }
thead th { font-weight: 600; border-bottom: 1px solid var(--rule); vertical-align: bottom; }
thead span { display: block; font-weight: 400; color: var(--quiet); }
tbody th { font-weight: 600; }
.dim { color: var(--quiet); }
.inside { color: var(--good); }
.outside { color: var(--mark); font-weight: 650; }
details { margin: .3rem 0 1rem; }
summary { cursor: pointer; color: var(--quiet); font-size: .92rem; }
.facts { columns: 2 22rem; column-gap: 2.5rem; }
.facts > div { break-inside: avoid; padding-bottom: 1.5rem; }
.facts h3 { margin-top: 0; }
dl { margin: 0; display: grid; grid-template-columns: minmax(6rem, 9.5rem) minmax(0, 1fr); gap: .3rem 1rem; font-size: .92rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; margin: .5rem 0; padding: .8rem 1rem; background: var(--raised); border-radius: 6px; font: .88rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
footer { margin-top: 3rem; color: var(--quiet); font-size: .85rem; }
:focus-visible { outline: 2px solid var(--predicted); outline-offset: 2px; }
@media (max-width: 640px) {
  body { font-size: 16px; }
  main { padding-top: 1.75rem; }
  .wide { display: none; }
  .narrow { display: block; max-width: 30rem; }
  .answer li { font-size: 1.06rem; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: .55rem; }
}
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --raised: #f5f5f5; --ink: #000; --quiet: #444; --faint: #ddd; --rule: #999;
    --measured: #000; --predicted: #0072b2; --law: #a85200; --mark: #b0004e; --good: #00704f;
    --part-1: #d55e00; --part-2: #56b4e9; --part-3: #009e73; --part-4: #cc79a7; --part-5: #a9adb0; --part-6: #e6ac00; --on-part: #111;
  }
  html, body { font-size: 13px; }
  p, dd, li, .answer li { max-width: none; }
  main { max-width: none; padding: 0; }
  h2 { margin-top: 2rem; }
  h2, h3, figcaption { break-after: avoid; }
  figure, table, .answer li { break-inside: avoid; }
  .wide { display: block; }
  .narrow { display: none; }
  .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
`;
