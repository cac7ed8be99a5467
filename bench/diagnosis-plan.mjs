/**
 * Simulated runs of healthy and of ill servers for the diagnosis. What diagnoses sees the samples and the physics of the
 * healthy model, wrong by a few percent as predictions are; never the server's settings.
 */

/** Lengths of one run: off the powers of two, so that padding shows. */
export const lengths = [256, 700, 1500, 3000, 4500, 6200, 8500, 11_000, 14_000, 18_000, 22_000, 26_000, 29_500, 32_000];
export const repeats = 5;
const window = 4096;
/** Standard deviation of the logarithm of predicted over true seconds, of all and of attention alone. */
const spread = { all: 0.1, attention: 0.15 };

/** Two strengths of each disease, in the units of the demo server. @type {Record<string, readonly [number, number]>} */
export const effects = {
  "prefix-cache": [0.8, 0.95],
  "fixed-overhead": [0.3, 0.8],
  padding: [2048, 8192],
  "outside-time": [1e-5, 4e-5],
  unfused: [4, 8],
  regather: [1.5e-5, 4e-5],
  "memory-pressure": [0.5, 2],
  throttling: [0.1, 0.25],
  queueing: [0.3, 1],
  "idle-window": [1, 1],
};

/**
 * One run and its physics.
 *
 * @param {{demoTimes: (law: any, seed: number) => {prefill(n: number, cached: number): {seconds: number, serverSeconds: number}}, healthyLaw: any, seededRandom: (seed: number) => () => number, normalDeviate: (random: () => number) => number, shuffled: (items: number[], random: () => number) => number[]}} tools
 * @param {string | null} disease
 * @param {number} strength of an idle window: tokens are the model's, larger for the weaker one
 * @param {number} seed
 */
export function simulatedRun(
  { demoTimes, healthyLaw, seededRandom, normalDeviate, shuffled },
  disease,
  strength,
  seed,
) {
  const random = seededRandom(seed);
  // A third of the healthy servers have a window that works.
  const windowed = disease === "idle-window" || (disease === null && seed % 3 === 0);
  const law = {
    ...healthyLaw,
    window: windowed ? window : null,
    diseases: disease === null ? {} : { [disease]: strength },
  };
  const times = demoTimes(law, seed);
  const samples = [];
  let at = 0;
  for (let block = 0; block < repeats; block += 1) {
    for (const n of shuffled(lengths, random)) {
      const { seconds, serverSeconds } = times.prefill(n, 0);
      at += seconds;
      samples.push({ n, seconds, serverSeconds, cachedTokens: null, at });
    }
  }
  const wrong = Math.exp(spread.all * normalDeviate(random));
  const wrongAttention = wrong * Math.exp(spread.attention * normalDeviate(random));
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
  };
  return { samples, physics, contextLimit: law.contextLimit };
}
