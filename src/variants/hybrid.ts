import { badInput } from "../base/errors.js";
import type { LayerChange } from "./layers.js";

const mostLayers = 1000;

/**
 * Layers of several kinds in turn: `3xlinear,1xfull` gives three of one, one of the other, and so on to the end.
 *
 * @param changeOf what one name of the pattern does to a layer
 * @throws NsquaredError `variant-invalid`
 */
export function hybrid(pattern: string, where: string, changeOf: (name: string) => LayerChange): LayerChange {
  const changes = pattern.split(",").flatMap((item) => {
    const match = /^(?:(\d{1,4})x)?(.+)$/.exec(item.trim());
    const times = Number(match?.[1] ?? 1);
    if (match?.[2] === undefined || times < 1 || times > mostLayers) {
      throw badInput("variant-invalid", {
        where,
        key: "pattern",
        found: item,
        expected: "as 3xlinear,1xfull",
      });
    }
    return new Array<LayerChange>(times).fill(changeOf(match[2]));
  });
  return (layer, place) => changes[place.index % changes.length]?.(layer, place) ?? layer;
}
