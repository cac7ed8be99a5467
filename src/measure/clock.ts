import type { Seconds } from "../base/units.js";

/** Time as measuring sees it: monotonic seconds from an arbitrary zero, and a way to wait. Injected; tests use a manual one. */
export interface Clock {
  now(): Seconds;
  /** Resolves after that many seconds, or at once (without an error) when the signal aborts. */
  sleep(seconds: Seconds, signal?: AbortSignal): Promise<void>;
}

const longestTimer = 2 ** 31 - 1;

/** The process's monotonic clock. `now` resolves well below a microsecond; `sleep` is good to about a millisecond. */
export const systemClock: Clock = {
  now: () => performance.now() / 1000,
  sleep: (seconds, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true || !(seconds > 0)) {
        resolve();
        return;
      }
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, Math.min(longestTimer, seconds * 1000));
      signal?.addEventListener("abort", finish);
    }),
};

/** A clock that stands still until it is told to move; sleeping moves it. */
export interface ManualClock extends Clock {
  advance(seconds: Seconds): void;
}

export function manualClock(start: Seconds = 0): ManualClock {
  let time = start;
  const advance = (seconds: Seconds): void => {
    time += Math.max(0, seconds);
  };
  return {
    now: () => time,
    advance,
    sleep: (seconds, signal) => {
      if (signal?.aborted !== true) advance(seconds);
      return Promise.resolve();
    },
  };
}
