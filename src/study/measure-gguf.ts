import { badInput } from "../base/errors.js";
import { bytes, threadCount } from "../base/format.js";
import type { Bytes } from "../base/units.js";
import { cacheBytes } from "../cost/cache.js";
import { buildGraph } from "../graph/build.js";
import { openLlamaRunner } from "../measure/llama.js";
import { type LlamaEngine, type LlamaOptions, openLlama } from "../measure/llama-binding.js";
import { availableMemory } from "../measure/onnx-node.js";
import type { Recorded } from "../measure/record.js";
import type { LoadedModel } from "../model/stored.js";
import type { Cell } from "../runs/schema.js";
import {
  type MeasureOptions,
  type MeasureWorld,
  assertFits,
  defaultMeasureOptions,
  longestOf,
  measureOn,
} from "./measure.js";

/** A prefill short enough for large models, repeated where it is too short to time. */
const reference: Cell = { phase: "reference", n: 32, depth: 0, batch: 1 };

/** Whether a model is a GGUF file of this machine, which llama.cpp runs as it is. */
export function isLocalGguf(model: LoadedModel): boolean {
  return model.storage?.kind === "gguf" && !/^[a-z][a-z0-9+.-]+:\/\//i.test(model.source);
}

function weightBytes(model: LoadedModel): Bytes {
  return model.stored?.bytes ?? 0;
}

/** Bytes of the cache by the length that is kept. */
function cacheOf(model: LoadedModel, { attention, batch }: Pick<MeasureOptions, "attention" | "batch">) {
  const law = cacheBytes(buildGraph(model, { phase: "prefill", attention, head: "last" }));
  return (n: number): Bytes => law.at({ n, c: 0, b: batch });
}

/** The longest length up to `wanted`, in steps of √2 from it, whose cache fits beside the weights; 0 if none does. */
export function longestInLlama(
  model: LoadedModel,
  wanted: number,
  options: Pick<MeasureOptions, "attention" | "batch">,
  available: Bytes,
): number {
  const cache = cacheOf(model, options);
  const weights = weightBytes(model);
  let length = wanted;
  while (length >= 1 && weights + cache(length) > available) length = Math.floor(length / Math.SQRT2);
  return length;
}

/**
 * Times a GGUF file in llama.cpp on this machine's CPU, with its own weights, and writes the run file.
 *
 * @throws NsquaredError before anything is allocated where the model is no GGUF file of this machine, the weights and
 *   the cache do not fit its memory, or node-llama-cpp is not installed; where llama.cpp does not load the file
 */
export async function measureGguf(
  model: LoadedModel,
  wanted: Partial<MeasureOptions>,
  world: MeasureWorld,
): Promise<Recorded> {
  const options = { ...defaultMeasureOptions, ...wanted };
  assertLocalGguf(model, "--runtime llama", "; --runtime onnx runs any model's shapes");
  const weights = weightBytes(model);
  return measureOn("llama", model, options, world, async (cells, threads) => {
    const contextLength = Math.max(longestOf(cells), (options.adaptive?.longest ?? 0) + 1);
    const cache = cacheOf(model, options)(contextLength);
    const available = (world.availableBytes ?? availableMemory)();
    assertFits(model.name, weights + cache, available, "take shorter lengths, or a smaller file");
    world.say?.(
      `opening ${model.name} in llama.cpp on ${threadCount(threads)}, ${bytes(weights)} of weights, ${bytes(cache)} of cache`,
    );
    const runner = await openLlamaRunner({
      path: model.source,
      contextLength,
      sequences: options.batch,
      threads,
      attention: options.attention,
      seed: options.seed,
    });
    return { runner, reference };
  });
}

function assertLocalGguf(model: LoadedModel, where: string, otherwise: string): void {
  if (isLocalGguf(model)) return;
  const expected = `llama.cpp runs GGUF files of this machine${otherwise}`;
  throw badInput("not-gguf", { where, key: "model", found: model.source, expected });
}

const defaultContext = 8192;

/**
 * Opens a GGUF file of this machine to answer requests, one sequence at a time.
 *
 * @param contextLength most tokens of prompt and answer; what the model was made for, at most 8k, where it is null
 * @throws NsquaredError as `measureGguf`
 */
export async function openGgufToServe(
  model: LoadedModel,
  { contextLength, threads }: Pick<LlamaOptions, "threads"> & { readonly contextLength: number | null },
): Promise<LlamaEngine> {
  assertLocalGguf(model, "--gguf", "");
  const wanted = contextLength ?? Math.min(model.contextLength ?? defaultContext, defaultContext);
  const cache = cacheOf(model, { attention: "fused", batch: 1 })(wanted);
  assertFits(model.name, weightBytes(model) + cache, availableMemory(), "take a shorter --context, or a smaller file");
  return openLlama({ path: model.source, contextLength: wanted, sequences: 1, threads, attention: "fused" });
}
