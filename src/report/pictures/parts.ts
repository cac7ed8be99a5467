import { percent } from "../../base/format.js";
import type { Part } from "../../graph/types.js";
import type { PartsPoint } from "../data.js";
import { aboutTokens } from "../labels.js";
import { frame, ink, innerWidth, lengthAxis, type Picture, type Size, sizes, textWidth } from "./drawing.js";

interface Band {
  readonly name: string;
  readonly colour: string;
  readonly parts: readonly (Part | "network")[];
}

/** From the bottom up: what grows with n² stands on the axis, where growth is seen best. */
const bands: readonly Band[] = [
  { name: "attention", colour: "var(--part-1)", parts: ["attention"] },
  { name: "FFN", colour: "var(--part-2)", parts: ["ffn"] },
  { name: "projections", colour: "var(--part-3)", parts: ["projection"] },
  { name: "output head", colour: "var(--part-4)", parts: ["head"] },
  { name: "norms, sums, embedding", colour: "var(--part-5)", parts: ["embedding", "norm", "residual"] },
];
const exchange: Band = { name: "between devices", colour: "var(--part-6)", parts: ["network"] };

/** What several devices exchange is a band only where there are several. */
function bandsOf(points: readonly PartsPoint[]): readonly Band[] {
  return points.some(({ seconds }) => seconds.network !== undefined) ? [...bands, exchange] : bands;
}

export interface BandShare {
  readonly n: number;
  readonly name: string;
  readonly colour: string;
  readonly share: number;
  /** Sum of the shares of the bands below it. */
  readonly below: number;
}

/** Shares of all seconds by band, bottom up, for each length. Every length adds up to 1. */
export function bandShares(points: readonly PartsPoint[]): BandShare[] {
  const shown = bandsOf(points);
  return points.flatMap((point) => {
    const total = Object.values(point.seconds).reduce((sum, value) => sum + value, 0);
    let below = 0;
    return shown.map(({ name, colour, parts }) => {
      const share = total > 0 ? parts.reduce((sum, part) => sum + (point.seconds[part] ?? 0), 0) / total : 0;
      below += share;
      return { n: point.n, name, colour, share, below: below - share };
    });
  });
}

/** Share of the axis that a line of text needs, with a little air. */
const lineHeight = 0.06;

interface BandLabel {
  readonly name: string;
  readonly n: number;
  readonly y: number;
}

/** Each name where its band leaves the most room for it, upright and along the axis; names without room are left out. */
function bandLabels(points: readonly PartsPoint[], size: Size): BandLabel[] {
  const shares = bandShares(points);
  return bandsOf(points).flatMap(({ name }) => {
    const own = shares.filter((share) => share.name === name);
    const first = own[0];
    const last = own.at(-1);
    if (first === undefined || last === undefined) return [];
    // Half the text as a factor of n: lengths stand on a logarithmic axis.
    const reach = (last.n / first.n) ** (textWidth(name, size) / innerWidth(size) / 2);
    let best: (BandLabel & { readonly room: number }) | null = null;
    for (const { n } of own) {
      if (n / reach < first.n || n * reach > last.n) continue;
      const under = own.filter((share) => share.n >= n / reach && share.n <= n * reach);
      const floor = Math.max(...under.map((share) => share.below));
      const room = Math.min(...under.map(top)) - floor;
      if (room >= lineHeight && (best === null || room > best.room)) best = { name, n, y: floor + room / 2, room };
    }
    return best === null ? [] : [best];
  });
}

/** Bands that are there but too thin for their name, for the caption. */
export function unnamedBands(points: readonly PartsPoint[], size: Size = sizes[0]): string[] {
  const shares = bandShares(points);
  const named = new Set(bandLabels(points, size).map((label) => label.name));
  return bandsOf(points)
    .map(({ name }) => name)
    .filter((name) => !named.has(name) && shares.some((share) => share.name === name && share.share > 0.005));
}

/** Share of time by part of the model over the length, stacked to 100 %. */
export function partsPicture(points: readonly PartsPoint[], source: "predicted" | "measured"): Picture | null {
  const shares = bandShares(points);
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined || first.n === last.n) return null;
  const attention = (n: number) =>
    percent(shares.find((share) => share.n === n && share.name === "attention")?.share ?? 0);
  return {
    description: `Share of ${source} time by part of the model over the length: attention takes ${attention(first.n)} at ${aboutTokens(first.n)} tokens and ${attention(last.n)} at ${aboutTokens(last.n)}.`,
    draw: (plot, size) => ({
      ...frame(size),
      height: size.wide ? 360 : 300,
      x: { type: "log", base: 2, domain: [first.n, last.n], label: null },
      y: { domain: [0, 1], label: null },
      marks: [
        ...bandsOf(points).map(({ name, colour }) =>
          plot.areaY(
            shares.filter((share) => share.name === name),
            { x: "n", y1: "below", y2: top, fill: colour, stroke: ink.page, strokeWidth: 1 },
          ),
        ),
        plot.axisY([0, 0.25, 0.5, 0.75, 1], {
          text: (share: number) => `${share * 100} %`,
          tickSize: 0,
          fill: ink.quiet,
        }),
        plot.ruleY([0.5], { stroke: "var(--on-part)", strokeOpacity: 0.5, strokeDasharray: "2 4" }),
        ...lengthAxis(plot, size, first.n, last.n, "tokens"),
        plot.text(bandLabels(points, size), {
          x: "n",
          y: "y",
          text: "name",
          fill: "var(--on-part)",
          fontWeight: 600,
        }),
      ],
    }),
  };
}

function top(share: BandShare): number {
  return share.below + share.share;
}
