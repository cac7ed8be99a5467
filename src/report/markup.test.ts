import { expect, test } from "vitest";
import { html, serialise, trusted } from "./markup.js";

test("texts are escaped for content and for quoted attributes", () => {
  const hostile = `"><script>alert('x')</script>&`;
  expect(serialise(html`<p title="${hostile}">${hostile}</p>`)).toBe(
    '<p title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;">&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;</p>',
  );
});

test("markup nests without being escaped twice, lists are joined, null is nothing", () => {
  const items = ["a&b", "c"].map((text) => html`<li>${text}</li>`);
  expect(serialise(html`<ul>${items}</ul>${null}${trusted("<hr>")}${7}`)).toBe(
    "<ul><li>a&amp;b</li><li>c</li></ul><hr>7",
  );
});
