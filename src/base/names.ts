/** Fewest insertions, deletions, replacements and swaps of neighbours that turn one text into the other. */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const same = from[i - 1] === to[j - 1];
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[to.length] ?? 0;
}

/** Case, spaces and punctuation do not matter in the name of a device, an engine or a model. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** A name that has the text somewhere inside is less likely meant than one with a word that begins with it. */
const insideDistance = 0.3;

/** The names most like `wanted`, best first: those with a word that begins with it, then those that contain it or are few edits away. */
export function nearestNames(wanted: string, names: readonly string[], most = 3): string[] {
  const plain = plainName(wanted);
  return names
    .map((name) => {
      const other = plainName(name);
      const words = name.toLowerCase().split(/[^a-z0-9]+/);
      const begins = plain !== "" && (other.startsWith(plain) || words.some((word) => word.startsWith(plain)));
      const inside = plain !== "" && other.includes(plain);
      const edits = editDistance(plain, other) / Math.max(plain.length, other.length, 1);
      return { name, distance: begins ? 0 : inside ? Math.min(edits, insideDistance) : edits };
    })
    .filter(({ distance }) => distance <= 0.6)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ name }) => name);
}
