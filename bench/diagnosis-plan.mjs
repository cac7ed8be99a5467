/**
 * Simulated runs of healthy and of ill servers for the diagnosis. What diagnoses sees the samples and the physics of the
 * healthy model, wrong by a few percent as predictions are; never the server's settings.
 */

/** Lengths of one run: off the powers of two, so that padding shows. */
export const lengths = [256, 700, 1500, 3000, 4500, 6200, 8500, 11_000, 14_000, 18_000, 22_000, 26_000, 29_500, 32_000];
export const repeats = 5;
const workingWindow = 4096;
/** Standard deviation of the logarithm of predicted over true seconds, of all and of attention alone; of the latter where the device is unknown. */
const spread = { all: 0.1, attention: 0.15, mixOfAnyDevice: 0.35 };

/**
 * Two strengths of each disease, in the units of the demo server: what a user would wish to know of, and what none can
 * overlook. Of an idle window the strength is the model's window in tokens: the longer, the less it would save.
 * @type {Record<string, readonly [number, number]>}
 */
export const effects = {
  "prefix-cache": [0.8, 0.95],
  "fixed-overhead": [0.3, 0.8],
  padding: [2048, 8192],
  "outside-time": [2e-5, 8.4e-5],
  unfused: [4, 8],
  regather: [6e-6, 1.1e-5],
  "memory-pressure": [0.2, 0.65],
  throttling: [0.1, 0.5],
  queueing: [0.3, 1],
  "idle-window": [16_384, 4096],
};

/**
 * One run and its physics.
 *
 * @param {{demoTimes: (law: any, seed: number) => {prefill(n: number, cached: number): {seconds: number, serverSeconds: number}}, healthyLaw: any, seededRandom: (seed: number) => () => number, normalDeviate: (random: () => number) => number, shuffled: (items: number[], random: () => number) => number[]}} tools
 * @param {string | null} disease
 * @param {number} strength
 * @param {number} seed
 * @param {{ reports?: boolean, samePrompts?: boolean, fresh?: boolean, knows?: "device" | "model" }} circumstances the server reports
 *   cached tokens; the client sends the same prompt of a length each time; it is known that no prompt was sent twice,
 *   as of this tool's own runs; what the physics rests on
 */
export function simulatedRun(
  { demoTimes, healthyLaw, seededRandom, normalDeviate, shuffled },
  disease,
  strength,
  seed,
  { reports = false, samePrompts = false, fresh = true, knows = "device" } = {},
) {
  const random = seededRandom(seed);
  // A third of the healthy servers have a window that works.
  const windowed = disease === null && seed % 3 === 0;
  const law = {
    ...healthyLaw,
    window: disease === "idle-window" ? strength : windowed ? workingWindow : null,
    diseases: disease === null || samePrompts ? {} : { [disease]: strength },
  };
  const times = demoTimes(law, seed);
  const samples = [];
  let at = 0;
  for (let block = 0; block < repeats; block += 1) {
    for (const n of shuffled(lengths, random)) {
      const known = samePrompts && block > 0 ? Math.floor(strength * n) : 0;
      const { seconds, serverSeconds } = times.prefill(n, known);
      at += seconds;
      const cachedTokens = disease === "prefix-cache" ? Math.floor(strength * n) : 0;
      samples.push({ n, seconds, serverSeconds, cachedTokens: reports ? cachedTokens : null, at });
    }
  }
  const mixSpread = knows === "device" ? spread.attention : spread.mixOfAnyDevice;
  // Of an unknown device the pace is anything: here ten times as fast, or as slow, at random.
  const pace = knows === "device" ? spread.all * normalDeviate(random) : Math.log(10) * (2 * random() - 1);
  const wrong = Math.exp(pace);
  const wrongAttention = wrong * Math.exp(mixSpread * normalDeviate(random));
  /** @param {number} n @param {number | null} limit */
  const attention = (n, limit) => {
    const pairs = limit === null || n <= limit ? n * n : limit * limit + 2 * limit * (n - limit);
    return wrongAttention * healthyLaw.quadratic * pairs;
  };
  /** @param {number} n */
  const rest = (n) => wrong * (healthyLaw.constant + healthyLaw.linear * n);
  const physics = {
    /** @param {number} n */
    seconds: (n) => rest(n) + attention(n, law.window),
    /** @param {number} n */
    attention: (n) => attention(n, law.window),
    /** @type {((n: number) => number) | null} */
    withoutWindow: law.window === null ? null : (n) => rest(n) + attention(n, null),
    paceKnown: knows === "device",
    /** @param {number} n */
    least: (n) => (knows === "device" ? 0.6 * (rest(n) + attention(n, law.window)) : 0),
    mixSpread: Math.max(0.2, mixSpread),
  };
  const canCache = disease === "prefix-cache";
  return { samples, physics, contextLimit: law.contextLimit, fresh: fresh && !canCache, window: law.window };
}

/**
 * A run of fresh prompts on the same server when it was well, as samples: what another run can be held against.
 *
 * @param {Parameters<typeof simulatedRun>[0]} tools @param {number} seed @param {number | null} window
 */
export function healthyRun({ demoTimes, healthyLaw, seededRandom, shuffled }, seed, window) {
  const random = seededRandom(seed);
  const times = demoTimes({ ...healthyLaw, window }, seed);
  let at = 0;
  return Array.from({ length: repeats }, () => shuffled(lengths, random))
    .flat()
    .map((n) => {
      const { seconds, serverSeconds } = times.prefill(n, 0);
      at += seconds;
      return { n, seconds, serverSeconds, cachedTokens: null, at };
    });
}

/**
 * What a strength does to the time of a prefill, of the law without noise: at the longest length and where it does most.
 *
 * @param {{demoTimes: (law: any, seed: number) => {prefill(n: number, cached: number): {seconds: number}}, healthyLaw: any}} tools
 * @param {string} disease
 * @param {number} strength
 */
export function meaning({ demoTimes, healthyLaw }, disease, strength) {
  const law = { ...healthyLaw, jitter: 0, window: disease === "idle-window" ? strength : null };
  if (disease === "queueing") return `3 of 10 requests take ${change(1 + strength)}`;
  if (disease === "throttling") return `${change(1 + strength)} from the 40th request on`;
  const ratios = lengths.map((n) => {
    const ill = demoTimes({ ...law, diseases: { [disease]: strength } }, 1).prefill(n, 0).seconds;
    return { n, ratio: ill / demoTimes(law, 1).prefill(n, 0).seconds };
  });
  const longest = ratios.at(-1)?.ratio ?? 1;
  const most = ratios.reduce((best, point) =>
    Math.abs(Math.log(point.ratio)) > Math.abs(Math.log(best.ratio)) ? point : best,
  );
  const at = (/** @type {number} */ n) => n.toLocaleString("en-GB");
  const elsewhere = change(most.ratio) === change(longest) ? "" : `; ${change(most.ratio)} at ${at(most.n)}`;
  return `${change(longest)} at ${at(lengths.at(-1) ?? 0)}${elsewhere}`;
}

/** @param {number} ratio */
function change(ratio) {
  return `${ratio >= 1 ? "+" : "−"}${Math.round(100 * Math.abs(ratio - 1))} %`;
}
