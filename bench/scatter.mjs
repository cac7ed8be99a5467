// Predicted against measured seconds as a picture: logarithmic on both axes, the diagonal, and a factor of 1.25 on either side.

/** @typedef {import("./score.mjs").Judged} Judged */

const size = 560;
const margin = 56;
const most = 800;
const palette = ["#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#4a5568", "#b7791f"];

/** @param {Judged[]} all */
export function scatterOf(all) {
  // Every k-th, in the order of the data: the same picture for the same rows.
  const every = Math.max(1, Math.ceil(all.length / most));
  const rows = all.filter((_, i) => i % every === 0);
  const logs = rows.flatMap(({ measured, predicted }) => [Math.log10(measured), Math.log10(predicted)]);
  const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  const x = (/** @type {number} */ log) => margin + ((log - low) / (high - low)) * (size - 2 * margin);
  const y = (/** @type {number} */ log) => size - x(log);
  const at = (/** @type {number} */ value) => value.toFixed(1);
  const sources = [...new Set(rows.map(({ source }) => source))];
  const colour = (/** @type {string} */ source) => palette[sources.indexOf(source) % palette.length] ?? "#000";
  const line = (/** @type {number} */ shift, /** @type {string} */ dash) =>
    `<line x1="${at(x(low))}" y1="${at(y(low + shift))}" x2="${at(x(high))}" y2="${at(y(high + shift))}" stroke="#888" stroke-dasharray="${dash}"/>`;
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const name = (/** @type {number} */ log) => (log < -1 ? `${10 ** (log + 3)} ms` : `${10 ** log} s`);
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size + 18 * sources.length}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    line(0, ""),
    line(Math.log10(1.25), "4"),
    line(-Math.log10(1.25), "4"),
    ...ticks.flatMap((log) => [
      `<text x="${at(x(log))}" y="${size - margin + 18}" text-anchor="middle">${name(log)}</text>`,
      `<text x="${margin - 8}" y="${at(y(log) + 4)}" text-anchor="end">${name(log)}</text>`,
    ]),
    `<text x="${size / 2}" y="${size - 12}" text-anchor="middle">measured</text>`,
    `<text x="14" y="${size / 2}" text-anchor="middle" transform="rotate(-90 14 ${size / 2})">predicted, the engine's profile without the device</text>`,
    ...rows.map(
      ({ measured, predicted, source }) =>
        `<circle cx="${at(x(Math.log10(measured)))}" cy="${at(y(Math.log10(predicted)))}" r="2" fill="${colour(source)}" fill-opacity="0.5"/>`,
    ),
    ...sources.flatMap((source, i) => [
      `<circle cx="${margin}" cy="${size + 18 * i}" r="4" fill="${colour(source)}"/>`,
      `<text x="${margin + 10}" y="${size + 18 * i + 4}">${source.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text>`,
    ]),
    "</svg>",
  ].join("\n")}\n`;
}
