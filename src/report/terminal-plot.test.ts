import { describe, expect, test } from "vitest";
import { plainStyle } from "./table.js";
import { type TerminalPlot, terminalPlot } from "./terminal-plot.js";

const quadratic = [128, 256, 512, 1024, 2048].map((n) => ({ n, seconds: (n / 128) ** 2 }));
const small: TerminalPlot = {
  lines: [{ label: "predicted", points: quadratic, emphasis: "blue", pattern: "solid" }],
  dots: [{ label: "measured", points: quadratic.slice(0, 3), emphasis: "bold" }],
  width: 40,
  height: 12,
};

describe("the plot of T(n)", () => {
  test("draws a power law as a straight line with dots on it, and names its axes", () => {
    expect(terminalPlot(small, plainStyle).split("\n")).toMatchInlineSnapshot(`
      [
        "      │                             ⢀⡠⠤⠂",
        "      │                         ⣀⡠⠔⠊⠁",
        "1 min ┤                     ⣀⠤⠒⠉",
        "      │                ⢀⡠⠔⠒⠉",
        " 10 s ┤            ⣀⠤⠔⠊●",
        "      │        ●⠤⠒⠉",
        "      │   ⢀⡠⠔⠊⠉",
        "  1 s ┤●⠒⠊⠁",
        "      └┬───────────────┬───────────────┬",
        "       128            512             2k",
        "",
        "● measured   ── predicted",
      ]
    `);
  });

  test("tells series apart without colours: a dotted line has fewer dots than a solid one", () => {
    const dots = (text: string) =>
      [...text].reduce((sum, character) => {
        const bits = (character.codePointAt(0) ?? 0) - 0x2800;
        return sum + (bits > 0 && bits < 256 ? bits.toString(2).replaceAll("0", "").length : 0);
      }, 0);
    const line = { label: "law", points: quadratic, emphasis: "yellow" } as const;
    const solid = terminalPlot({ ...small, dots: [], lines: [{ ...line, pattern: "solid" }] }, plainStyle);
    const dotted = terminalPlot({ ...small, dots: [], lines: [{ ...line, pattern: "dotted" }] }, plainStyle);
    expect(dots(dotted)).toBeLessThan(dots(solid) / 2);
    expect(dots(dotted)).toBeGreaterThan(8);
  });

  test("keeps to its width and height and ends no line in blanks", () => {
    for (const width of [40, 80, 120]) {
      const lines = terminalPlot({ ...small, width, height: 20 }, plainStyle).split("\n");
      expect(lines.length).toBeLessThanOrEqual(20);
      for (const line of lines) {
        expect([...line].length).toBeLessThanOrEqual(width);
        expect(line).toBe(line.trimEnd());
      }
    }
  });

  test("names many lines in as many rows as fit its width", () => {
    const names = ["window:1024+sinks", "hybrid:3xlinear,1xfull", "gated-delta", "full"];
    const lines = names.map((label) => ({ label, points: quadratic, emphasis: "red", pattern: "solid" }) as const);
    const text = terminalPlot({ ...small, dots: [], lines }, plainStyle);
    expect(text.split("\n\n")[1]?.split("\n")).toEqual([
      "── window:1024+sinks",
      "── hybrid:3xlinear,1xfull",
      "── gated-delta   ── full",
    ]);
  });

  test("is empty where there is nothing to draw, or no room", () => {
    expect(terminalPlot({ ...small, lines: [], dots: [] }, plainStyle)).toBe("");
    expect(terminalPlot({ ...small, width: 20 }, plainStyle)).toBe("");
  });

  test("draws a single point, and leaves out what a logarithm does not have", () => {
    const points = [
      { n: 512, seconds: 0.35 },
      { n: 1024, seconds: 0 },
      { n: 2048, seconds: Number.POSITIVE_INFINITY },
    ];
    const text = terminalPlot(
      { ...small, lines: [], dots: [{ label: "measured", points, emphasis: "bold" }] },
      plainStyle,
    );
    expect(text.split("\n").slice(0, -1).join("").split("●")).toHaveLength(2);
  });
});
