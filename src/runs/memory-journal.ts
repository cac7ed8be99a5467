import type { Sample, Warning } from "./schema.js";

export interface MemoryJournal {
  readonly samples: readonly Sample[];
  readonly warnings: readonly Warning[];
  sample(sample: Sample): Promise<void>;
  warning(warning: Warning): Promise<void>;
}

/** A journal in memory, for callers that want no file. */
export function memoryJournal(): MemoryJournal {
  const samples: Sample[] = [];
  const warnings: Warning[] = [];
  return {
    samples,
    warnings,
    sample: (sample) => {
      samples.push(sample);
      return Promise.resolve();
    },
    warning: (warning) => {
      warnings.push(warning);
      return Promise.resolve();
    },
  };
}
