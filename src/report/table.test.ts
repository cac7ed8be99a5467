import { expect, test } from "vitest";
import { table } from "./table.js";

test("a table aligns numbers right and words left, with units under the titles", () => {
  const text = table(
    [{ title: "length", unit: "tokens" }, { title: "time", unit: "ms" }, "verdict"],
    [
      ["128", "84.0", "outside"],
      ["8k", "15,000", "in"],
    ],
  );
  expect(text.split("\n")).toEqual([
    "length    time  verdict",
    "tokens      ms",
    "   128    84.0  outside",
    "    8k  15,000  in",
  ]);
});

test("letters outside ASCII count as one column, and marks that combine as none", () => {
  const text = table(
    ["µ", "x"],
    [
      ["e\u0301é", "1"],
      ["–", "2"],
    ],
  );
  expect(text.split("\n")).toEqual(["µ   x", "e\u0301é  1", "–   2"]);
});

test("missing cells are empty and no line ends in blanks", () => {
  const text = table(["a", "b", "c"], [["x"], ["x", "", "z"]]);
  expect(text.split("\n")).toEqual(["a  b  c", "x", "x     z"]);
});

test("cells are set off after they are aligned, so that colours do not shift columns", () => {
  const marked = table(
    [{ title: "n", align: "right" }],
    [[{ text: "7", style: "green" }], ["1,000"]],
    (format, cell) => `<${format}>${cell}</>`,
  );
  expect(marked.split("\n")).toEqual(["<bold>    n</>", "<green>    7</>", "1,000"]);
});

test("a table without rows is its titles", () => {
  expect(table(["a", "b"], [])).toBe("a  b");
});
