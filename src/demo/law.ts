import type { Ailment } from "../base/ailments.js";
import { normalDeviate, seededRandom } from "../base/random.js";
import type { Seconds } from "../base/units.js";

export type Disease = Ailment;

/** What the strength of each is. */
export const diseaseUnits: Readonly<Record<Disease, string>> = {
  "prefix-cache": "share of each prompt that is found in a cache, as 0.9",
  "fixed-overhead": "seconds that each prefill takes at least, as 0.2",
  padding: "tokens that prompts are padded to multiples of, as 512; 1: to powers of two",
  "outside-time": "seconds per token outside of the model, as 2e-5",
  unfused: "factor of the quadratic part, as 6",
  regather: "seconds per token that each chunk gathers anew, as 1e-5",
  "memory-pressure": "factor that is added at the context limit, as 3",
  throttling: "share by which everything gets slower over forty requests, as 0.3",
  queueing: "share of its own time that three of ten requests wait, as 1",
  "idle-window": "1: the model's --window saves nothing",
};

/** A server whose times are known exactly. */
export interface DemoLaw {
  /** Seconds of a prefill of n tokens after c cached ones: constant + linear·n + quadratic·(n² + 2·n·c). */
  readonly constant: Seconds;
  readonly linear: number;
  readonly quadratic: number;
  /** Seconds of a decode step at context c: constant + linear·c. */
  readonly decode: { readonly constant: Seconds; readonly linear: number };
  /** Standard deviation of the logarithm of each time. */
  readonly jitter: number;
  /** Window of the model's attention, in tokens; null where it sees everything. */
  readonly window: number | null;
  /** Longest prompt and answer together, in tokens. */
  readonly contextLimit: number;
  /** Tokens of one chunk of a chunked prefill. */
  readonly chunk: number;
  readonly diseases: Partial<Readonly<Record<Disease, number>>>;
}

export const healthyLaw: DemoLaw = {
  constant: 0.02,
  linear: 4e-5,
  quadratic: 4e-9,
  decode: { constant: 0.008, linear: 4e-7 },
  jitter: 0.02,
  window: null,
  contextLimit: 32_768,
  chunk: 2048,
  diseases: {},
};

/** Seconds of one prefill as the client sees it, and as the server's own clock does. */
export interface PrefillTime {
  readonly seconds: Seconds;
  /** Without what happens outside of the model: waiting, tokenizer, gateway. */
  readonly serverSeconds: Seconds;
  /** Tokens of the prompt that were found in a cache, the disease's among them. */
  readonly cached: number;
}

/** The times of one server, request by request. */
export interface DemoTimes {
  /** @param cached tokens of the prompt found in the server's cache */
  prefill(promptTokens: number, cached: number): PrefillTime;
  /** One decode step that attends to `context` tokens. */
  step(context: number): Seconds;
}

const pressureFrom = 0.8;
const throttledAfter = 40;
const waitingShare = 0.3;

/** Query–key pairs in units where full attention of n new tokens after c cached ones has n² + 2·n·c. */
function pairs(n: number, cached: number, window: number | null): number {
  const upTo = (end: number): number =>
    window === null || end <= window ? end * end : window * window + 2 * window * (end - window);
  return upTo(cached + n) - upTo(cached);
}

function padded(n: number, bucket: number): number {
  return bucket <= 1 ? 2 ** Math.ceil(Math.log2(n)) : Math.ceil(n / bucket) * bucket;
}

/** The times that a law gives a server's requests, in their order. The same seed gives the same times. */
export function demoTimes(law: DemoLaw, seed: number): DemoTimes {
  const random = seededRandom(seed);
  const ill = law.diseases;
  let requests = 0;
  const noise = (): number => Math.exp(law.jitter * normalDeviate(random));
  const throttled = (): number => 1 + (ill.throttling ?? 0) * Math.min(1, requests / throttledAfter);

  return {
    prefill(promptTokens, cached) {
      const found = Math.max(cached, Math.floor(promptTokens * (ill["prefix-cache"] ?? 0)));
      const n = Math.max(
        1,
        ill.padding === undefined ? promptTokens - found : padded(promptTokens - found, ill.padding),
      );
      const window = ill["idle-window"] === undefined ? law.window : null;
      const square = law.quadratic * (ill.unfused ?? 1) * pairs(n, found, window);
      const chunks = Math.ceil(n / law.chunk);
      const gathered = (ill.regather ?? 0) * law.chunk * ((chunks * (chunks - 1)) / 2);
      const own = law.constant + Math.max(ill["fixed-overhead"] ?? 0, law.linear * n + square + gathered);
      const near = Math.max(0, (promptTokens / law.contextLimit - pressureFrom) / (1 - pressureFrom));
      const serverSeconds = own * (1 + (ill["memory-pressure"] ?? 0) * near ** 2) * throttled() * noise();
      const waits = random() < waitingShare;
      const waited = waits ? (ill.queueing ?? 0) * serverSeconds * (0.9 + 0.2 * random()) : 0;
      requests += 1;
      return {
        seconds: serverSeconds + waited + (ill["outside-time"] ?? 0) * promptTokens,
        serverSeconds,
        cached: found,
      };
    },
    step(context) {
      const seen = law.window === null || ill["idle-window"] !== undefined ? context : Math.min(context, law.window);
      return (law.decode.constant + law.decode.linear * seen) * throttled() * noise();
    },
  };
}
