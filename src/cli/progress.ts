import cliProgress from "cli-progress";
import { percent, seconds, tokens } from "../base/format.js";
import type { ProgressEvent } from "../measure/progress.js";
import { lengthOf } from "../runs/schema.js";
import { type Io, say } from "./io.js";

/** Shows how far measuring is. */
export interface ProgressView {
  update(event: ProgressEvent): void;
  stop(): void;
}

/** A bar on a terminal; a line per block elsewhere, so that logs stay short. */
export function progressView(io: Io): ProgressView {
  return io.errIsTerminal ? bar() : lines(io);
}

function bar(): ProgressView {
  const shown = new cliProgress.SingleBar(
    {
      format: "{bar} {done} | {what} | {left} left",
      barCompleteChar: "█",
      barIncompleteChar: "░",
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      stream: process.stderr,
    },
    cliProgress.Presets.shades_classic,
  );
  let started = false;
  return {
    update: (event) => {
      const payload = {
        done: percent(event.done / Math.max(1, event.total)),
        what: whatOf(event),
        left: leftOf(event),
      };
      if (!started) shown.start(event.total, event.done, payload);
      started = true;
      shown.setTotal(event.total);
      shown.update(event.done, payload);
    },
    stop: () => {
      if (started) shown.stop();
    },
  };
}

function lines(io: Io): ProgressView {
  let last = Number.NaN;
  return {
    update: (event) => {
      if (event.stage === "end" || event.block === last) return;
      last = event.block;
      const stage = event.block < 0 ? "warm-up" : `block ${event.block + 1} of ${event.blocks}`;
      say(io, event.secondsLeft === null ? `  ${stage}` : `  ${stage}, about ${leftOf(event)} left`);
    },
    stop: () => undefined,
  };
}

function whatOf({ current, block, blocks }: ProgressEvent): string {
  if (current === null) return "done";
  const stage = block < 0 ? "warm-up" : `block ${block + 1}/${blocks}`;
  const after = current.phase === "prefill" && current.depth > 0 ? ` after ${tokens(current.depth)}` : "";
  const what = current.phase === "reference" ? "reference" : `${current.phase} ${tokens(lengthOf(current))}${after}`;
  return `${stage}: ${what}`;
}

function leftOf({ secondsLeft }: ProgressEvent): string {
  return secondsLeft === null ? "?" : seconds(secondsLeft);
}
