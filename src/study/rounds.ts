import type { Seconds } from "../base/units.js";
import type { Clock } from "../measure/clock.js";

/** What disturbs a machine lasts seconds: every size is timed at two moments at least, unless a time limit says otherwise. */
const fewestRounds = 2;

export interface RoundOptions {
  readonly clock: Clock;
  /** Wall seconds to stay within. */
  readonly limit: Seconds;
  /** Whether somebody asked for that limit: one round is always finished then, and two where nobody did. */
  readonly asked: boolean;
  readonly most: number;
}

/** Rounds from 1, as long as one more as long as the longest so far is sure to fit the time. */
export function* roundsWithin({ clock, limit, asked, most }: RoundOptions): Generator<number> {
  const begin = clock.now();
  let longest = 0;
  for (let round = 1; round <= most; round += 1) {
    const start = clock.now();
    if (round > (asked ? 1 : fewestRounds) && start - begin + longest > limit) return;
    yield round;
    longest = Math.max(longest, clock.now() - start);
  }
}
