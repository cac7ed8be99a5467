import type { Seconds } from "../base/units.js";
import type { Clock } from "../measure/clock.js";

/** What disturbs a machine lasts seconds: every size is timed at two moments at least, unless a time limit says otherwise. */
const fewestRounds = 2;

export interface RoundOptions {
  readonly clock: Clock;
  /** What is awaited between rounds: there is one before the first of them and one after each, and no other limit. */
  readonly between?: readonly (() => Promise<void>)[] | undefined;
  /** Wall seconds to stay within. */
  readonly limit: Seconds;
  /** Whether somebody asked for that limit: one round is always finished then, and two where nobody did. */
  readonly asked: boolean;
  readonly most: number;
}

export interface Round {
  /** From 1. */
  readonly round: number;
  /** Whether all sizes are timed in it, or those alone that are timed often. */
  readonly whole: boolean;
}

/** The rounds of a calibration: whole ones within a time, or a whole one before and after all that is awaited between them. */
export class Rounds {
  /** Wall seconds that what lay between them took. */
  waited: Seconds = 0;

  constructor(private readonly options: RoundOptions) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Round> {
    const { clock, between } = this.options;
    if (between === undefined) {
      for (const round of roundsWithin(this.options)) yield { round, whole: true };
      return;
    }
    yield { round: 1, whole: true };
    for (const [done, pause] of between.entries()) {
      const start = clock.now();
      await pause();
      this.waited += clock.now() - start;
      yield { round: done + 2, whole: done === between.length - 1 };
    }
  }
}

/** Rounds from 1, as long as one more as long as the longest so far is sure to fit the time. */
function* roundsWithin({ clock, limit, asked, most }: RoundOptions): Generator<number> {
  const begin = clock.now();
  let longest = 0;
  for (let round = 1; round <= most; round += 1) {
    const start = clock.now();
    if (round > (asked ? 1 : fewestRounds) && start - begin + longest > limit) return;
    yield round;
    longest = Math.max(longest, clock.now() - start);
  }
}
