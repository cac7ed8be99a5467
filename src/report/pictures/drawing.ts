import type * as PlotModule from "@observablehq/plot";
import { tokens } from "../../base/format.js";
import { lengthTicks } from "../labels.js";
import { type Markup, trusted } from "../markup.js";

export type Plot = typeof PlotModule;

/** A picture is drawn twice, for wide and for narrow pages; style sheets show one of them. */
export interface Size {
  readonly wide: boolean;
  readonly width: number;
  readonly height: number;
}

export interface Picture {
  /** What it shows, for those who cannot see it. */
  readonly description: string;
  readonly draw: (plot: Plot, size: Size) => PlotModule.PlotOptions;
}

/** Colours by meaning, as style sheets define them for light and dark pages. */
export const ink = {
  text: "var(--ink)",
  quiet: "var(--quiet)",
  faint: "var(--faint)",
  page: "var(--page)",
  measured: "var(--measured)",
  predicted: "var(--predicted)",
  law: "var(--law)",
  mark: "var(--mark)",
} as const;

/** Margins with room for the labels of the axes. */
export function frame(
  size: Size,
  options: { readonly top?: number; readonly left?: number; readonly right?: number } = {},
) {
  return {
    marginTop: options.top ?? 14,
    marginRight: options.right ?? (size.wide ? 24 : 18),
    marginBottom: 42,
    marginLeft: options.left ?? (size.wide ? 62 : 54),
  };
}

/** Pixels that the data have from left to right. */
export function innerWidth(size: Size): number {
  const { marginLeft, marginRight } = frame(size);
  return size.width - marginLeft - marginRight;
}

/** Pixels that the data have from top to bottom. */
export function innerHeight(size: Size): number {
  const { marginTop, marginBottom } = frame(size);
  return size.height - marginTop - marginBottom;
}

/** The places moved up, lowest first, as far as it takes for none to be closer than `least` to the one below. */
export function apart(places: readonly number[], least: number): number[] {
  const moved = [...places];
  let below = Number.NEGATIVE_INFINITY;
  for (const [index, place] of [...places.entries()].sort(([, left], [, right]) => left - right)) {
    below = Math.max(place, below + least);
    moved[index] = below;
  }
  return moved;
}

/** Pixels that a text takes at most. */
export function textWidth(text: string, size: Size): number {
  return text.length * (size.wide ? 7.4 : 6.8);
}

/**
 * A vertical axis with grid lines at `ticks`. Labels are given as a channel: a tick format would pass through the scale's
 * own, which leaves out whatever is no round number on a logarithmic axis.
 */
export function verticalAxis(
  plot: Plot,
  ticks: readonly number[],
  label: (value: number) => string,
): PlotModule.Markish[] {
  return [
    plot.gridY(ticks, { stroke: ink.faint, strokeOpacity: 1 }),
    plot.axisY(ticks, { text: label, tickSize: 0, fill: ink.quiet }),
  ];
}

/** A logarithmic axis of lengths, with powers of two written as people say them. */
export function lengthAxis(plot: Plot, size: Size, from: number, to: number, name: string): PlotModule.Markish[] {
  return [
    plot.axisX(lengthTicks(from, to, size.wide ? 14 : 6), {
      text: tokens,
      tickSize: 5,
      stroke: ink.quiet,
      fill: ink.quiet,
    }),
    axisName(plot, name),
  ];
}

export function axisName(plot: Plot, name: string): PlotModule.Markish {
  return plot.text([name], { frameAnchor: "bottom-right", dy: 38, fill: ink.quiet });
}

/** The band of an interval. */
export const bandOpacity = 0.2;

/** For wide pages and paper, and for telephones. */
export const sizes = [
  { wide: true, width: 880, height: 440 },
  { wide: false, width: 360, height: 330 },
] as const;

/** The little of an SVG element that is used here; this package is compiled without a browser's types. */
interface SvgElement {
  readonly outerHTML: string;
  readonly setAttribute: (name: string, value: string) => void;
  readonly querySelector: (selector: string) => { readonly remove: () => void } | null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isElement(value: unknown): value is SvgElement {
  return isObject(value) && typeof value["outerHTML"] === "string" && typeof value["setAttribute"] === "function";
}

export type Drawing = (picture: Picture) => Markup;

/**
 * What draws pictures as SVG without a browser: Observable Plot on linkedom's document, loaded here and nowhere else,
 * so that commands without a picture do not pay for them.
 */
export async function loadDrawing(): Promise<Drawing> {
  const [plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  const page: unknown = parseHTML("<!doctype html><html><body></body></html>");
  const document = isObject(page) ? page["document"] : undefined;
  return (picture) =>
    trusted(
      sizes
        .map((size) => {
          const className = size.wide ? "picture wide" : "picture narrow";
          const options = picture.draw(plot, size);
          const svg: unknown = plot.plot({
            width: size.width,
            height: size.height,
            ...options,
            document,
            className: "plot",
            ariaLabel: picture.description,
          });
          if (!isElement(svg)) throw new TypeError("Observable Plot drew no SVG element");
          svg.setAttribute("class", className);
          svg.setAttribute("role", "img");
          svg.setAttribute("font-size", size.wide ? "13" : "12");
          // The page's own style sheet does this: its content security policy lets no other style in.
          svg.querySelector("style")?.remove();
          return svg.outerHTML;
        })
        .join(""),
    );
}
