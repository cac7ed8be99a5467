import { bytes } from "../../base/format.js";
import type { MemoryPoint, MemoryReport } from "../data.js";
import { aboutTokens } from "../labels.js";
import { apart, frame, ink, lengthAxis, type Picture, verticalAxis } from "./drawing.js";

const layers = [
  { key: "weights", name: "weights", colour: "var(--part-2)" },
  { key: "cache", name: "KV cache", colour: "var(--part-1)" },
  { key: "activations", name: "activations", colour: "var(--part-3)" },
] as const;

interface Layer {
  readonly n: number;
  readonly from: number;
  readonly to: number;
}

/** A limit further above the highest point than this would press the picture flat; it is named instead. */
const farthestLimit = 4;

export function memoryTotal(point: MemoryPoint): number {
  return point.weights + point.cache + point.activations;
}

/** Memory over the length: weights, KV cache, activations, stacked, with the limit of the machine. */
export function memoryPicture(memory: MemoryReport): Picture | null {
  const { points, limitBytes } = memory;
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined || first.n === last.n) return null;
  const highest = Math.max(...points.map(memoryTotal));
  const drawn = limitBytes !== null && limitBytes <= farthestLimit * highest ? limitBytes : null;
  const top = 1.08 * Math.max(highest, drawn ?? 0);
  const unit = 2 ** (10 * Math.floor(Math.log2(top) / 10));
  const limitText = limitBytes === null ? "" : `, limit ${bytes(limitBytes)}`;
  return {
    description: `Memory over the length, stacked: ${bytes(memoryTotal(first))} at ${aboutTokens(first.n)} tokens, ${bytes(memoryTotal(last))} at ${aboutTokens(last.n)}${limitText}.`,
    draw: (plot, size) => {
      const height = size.wide ? 360 : 300;
      const margins = frame(size, { top: 28, right: size.wide ? 100 : 96, left: 64 });
      const stacks = stacked(points);
      const spacing = (17 * top) / (height - margins.marginTop - margins.marginBottom);
      return {
        ...margins,
        height,
        x: { type: "log", base: 2, domain: [first.n, last.n], label: null },
        y: { domain: [0, top], label: null },
        marks: [
          ...verticalAxis(plot, bytesTicks(top, unit), bytes),
          ...stacks.map(({ layer, areas }) =>
            plot.areaY(areas, { x: "n", y1: "from", y2: "to", fill: layer.colour, stroke: ink.page, strokeWidth: 1 }),
          ),
          ...lengthAxis(plot, size, first.n, last.n, "tokens"),
          plot.ruleY([0], { stroke: ink.quiet }),
          plot.ruleY(drawn === null ? [] : [drawn], { stroke: ink.mark, strokeWidth: 1.5 }),
          plot.text(limitBytes === null ? [] : [limitLabel(limitBytes, drawn !== null)], {
            x: [first.n],
            y: [drawn ?? top],
            dx: 8,
            dy: -9,
            textAnchor: "start",
            fill: ink.mark,
            fontWeight: 600,
          }),
          plot.text(layerLabels(stacks, spacing), {
            x: "n",
            y: "y",
            text: "name",
            textAnchor: "start",
            dx: 8,
            fill: ink.text,
            fontWeight: 600,
          }),
        ],
      };
    },
  };
}

function limitLabel(limitBytes: number, drawn: boolean): string {
  return drawn
    ? `memory of the machine: ${bytes(limitBytes)}`
    : `memory of the machine: ${bytes(limitBytes)}, far above`;
}

interface Stack {
  readonly layer: (typeof layers)[number];
  readonly areas: readonly Layer[];
}

function stacked(points: readonly MemoryPoint[]): Stack[] {
  return layers.map((layer, index) => ({
    layer,
    areas: points.map((point) => {
      const from = layers.slice(0, index).reduce((sum, below) => sum + point[below.key], 0);
      return { n: point.n, from, to: from + point[layer.key] };
    }),
  }));
}

/** Names at the right end of their layers, bottom up, pushed apart where layers are thin. */
function layerLabels(stacks: readonly Stack[], spacing: number): { n: number; y: number; name: string }[] {
  const ends = stacks.flatMap(({ layer, areas }) => {
    const end = areas.at(-1);
    return end === undefined || end.to <= end.from
      ? []
      : [{ n: end.n, middle: (end.from + end.to) / 2, name: layer.name }];
  });
  const places = apart(
    ends.map(({ middle }) => middle),
    spacing,
  );
  return ends.map(({ n, name, middle }, index) => ({ n, y: places[index] ?? middle, name }));
}

/** Four to eight round multiples of a unit: 1, 2, 5, 10 … times it. */
function bytesTicks(top: number, unit: number): number[] {
  const steps = [0.1, 0.2, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256];
  const step = unit * (steps.find((candidate) => top / (candidate * unit) <= 6) ?? 512);
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, index) => index * step);
}
