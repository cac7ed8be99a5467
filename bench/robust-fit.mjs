// Statistics that the fits of this folder share.
export { robustFit } from "../dist/math/robust-fit.js";
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
