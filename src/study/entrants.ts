import { NsquaredError, badInput } from "../base/errors.js";
import { bytes, tokens } from "../base/format.js";
import type { Bytes } from "../base/units.js";
import type { Graph } from "../graph/types.js";
import { decodes } from "../measure/onnx-node.js";
import type { ModelDescription } from "../model/types.js";
import { openingBytes, parameterBytesOf, passBytes, residentBytes } from "../onnx/memory.js";
import type { Provider } from "../onnx/provider.js";
import { runnableGraph } from "../onnx/runnable.js";
import { type Cell, type Warning, lengthOf } from "../runs/schema.js";
import { type Contender, attentionOf, phaseOf } from "./contenders.js";
import { assertFits, cellOf, contextWarnings } from "./measure.js";

/** A contender that can be run here, at the lengths that it can be run at. */
export interface Entrant {
  readonly contender: Contender;
  readonly graph: Graph;
  readonly parameterBytes: Bytes;
  readonly cells: readonly Cell[];
}

/** A contender that is not run, and why. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

/** What is run of each contender. */
export interface EntryOptions {
  readonly phases: readonly ("prefill" | "decode")[];
  readonly lengths: readonly number[];
  readonly batch: number;
  readonly provider: Provider;
  /** Why weights cannot be float16, or null where they can as far as is known. */
  readonly float16: NsquaredError | null;
}

/** Who can be run with how much memory, who cannot and why, and what is to be known beforehand: lengths left out among it. */
export function entrantsOf(
  contenders: readonly Contender[],
  options: EntryOptions,
  available: Bytes,
): { readonly entrants: Entrant[]; readonly skipped: Skipped[]; readonly notes: Warning[] } {
  const skipped: Skipped[] = [];
  const notes: Warning[] = [];
  const entrants = contenders.flatMap((contender): Entrant[] => {
    try {
      return [entrantOf(contender, options, available, notes)];
    } catch (error) {
      if (!(error instanceof NsquaredError)) throw error;
      skipped.push({ name: contender.name, reason: error.message });
      return [];
    }
  });
  return { entrants, skipped, notes: [...contextNotes(entrants), ...notes] };
}

/** @throws NsquaredError where the contender cannot be run at all */
function entrantOf(contender: Contender, options: EntryOptions, available: Bytes, notes: Warning[]): Entrant {
  const { model, name } = contender;
  const graph = runnableGraph(model, attentionOf(contender));
  const parameterBytes = parameterBytesOf(graph, {
    provider: options.provider,
    ...(contender.run.weights === undefined ? {} : { weights: contender.run.weights }),
  });
  if (contender.run.weights === "f16" && options.float16 !== null) throw options.float16;
  assertFits(
    model.name,
    openingBytes({ parameterBytes }),
    available,
    "take fewer layers (--layers), or a smaller model",
  );
  const phases = options.phases.filter((phase) => phase === "prefill" || decodes(model));
  const asked = phases.flatMap((phase) =>
    options.lengths.map(
      (length): Cell => ({ ...cellOf(phaseOf(phase, contender), length, options.batch), variant: name }),
    ),
  );
  if (asked.length === 0) {
    const expected = "prefill: an encoder reads, nothing is decoded from it";
    throw badInput("no-phase", { where: model.name, key: "phase", found: options.phases.join(","), expected });
  }
  const positions = positionsOf(model);
  const possible = asked.filter((cell) => cell.n + cell.depth <= positions);
  if (possible.length < asked.length) {
    notes.push({
      code: "length-beyond-positions",
      message: `${name}: lengths above the ${tokens(positions)} positions that its matrices are for are left out`,
    });
  }
  const needed = (cell: Cell): Bytes => residentBytes({ parameterBytes }) + passBytes(graph, cell);
  const cells = possible.filter((cell) => needed(cell) <= available);
  const [shortest, ...longer] = possible.filter((cell) => needed(cell) > available);
  if (shortest !== undefined) {
    const lengths = [...new Set([shortest, ...longer].map(lengthOf))].map(tokens).join(", ");
    const more = longer.length > 0 ? " and more" : "";
    const why = `it would take ${bytes(needed(shortest))}${more}, ${bytes(available)} are available`;
    if (cells.length === 0) throw new NsquaredError("memory", `no length fits: ${lengths}; ${why}`, { where: name });
    notes.push({ code: "length-beyond-memory", message: `${name} at ${lengths}: left out, ${why}` });
  }
  if (cells.length === 0) {
    throw badInput("no-length", {
      where: name,
      key: "lengths",
      found: options.lengths.map(tokens).join(", "),
      expected: `at most the ${tokens(positions)} positions that its matrices are for`,
    });
  }
  return { contender, graph, parameterBytes, cells };
}

/** Longest sequence that a model can be run with at all: projections over positions have so many columns. */
function positionsOf({ stacks }: ModelDescription): number {
  const mixers = stacks.flatMap(({ layers }) => layers.flatMap((layer) => layer.mixers));
  return Math.min(...mixers.map((mixer) => (mixer.kind === "linformer" ? mixer.positions : Number.POSITIVE_INFINITY)));
}

/** Lengths that a model was not made for, once for all of its variants. */
function contextNotes(entrants: readonly Entrant[]): Warning[] {
  const all = entrants.flatMap(({ contender, cells }) =>
    contextWarnings(
      contender.model,
      [...new Set(cells.map(lengthOf))].sort((a, b) => a - b),
    ),
  );
  return [...new Map(all.map((warning) => [warning.message, warning])).values()];
}
