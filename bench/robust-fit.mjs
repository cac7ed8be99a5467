// Statistics that the fits of this folder share.
import { quantile } from "../dist/math/quantile.js";

export { once } from "../dist/base/once.js";
export { quantile };
export { robustFit } from "../dist/math/robust-fit.js";

/** @template Item @param {readonly Item[]} items @param {(item: Item) => string} key @returns {Map<string, Item[]>} */
export function grouped(items, key) {
  /** @type {Map<string, Item[]>} */
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    const known = groups.get(name);
    if (known === undefined) groups.set(name, [item]);
    else known.push(item);
  }
  return groups;
}

/** Between the 10th and the 90th percentile of a normal distribution lie this many standard deviations. @param {number[]} logs */
export function spreadOf(logs) {
  return (quantile(logs, 0.9) - quantile(logs, 0.1)) / 2.563;
}
