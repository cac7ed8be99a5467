// Statistics that the fits of this folder share.
export { once } from "../dist/base/once.js";
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

/** @param {number[]} values @param {number} share */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  return low + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] ?? low) - low);
}

/** Between the 10th and the 90th percentile of a normal distribution lie this many standard deviations. @param {number[]} logs */
export function spreadOf(logs) {
  return (quantile(logs, 0.9) - quantile(logs, 0.1)) / 2.563;
}
