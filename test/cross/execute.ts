import { afterAll, beforeAll, expect } from "vitest";
import { seededRandom } from "../../src/base/random.js";
import { type Engine, type Memory, openEngine } from "../../src/measure/onnx-node-engine.js";
import type { Provider } from "../../src/onnx/provider.js";
import type { ModelDescription } from "../../src/model/types.js";
import { lowerGraph } from "../../src/onnx/lower.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import type { WeightFormat } from "../../src/onnx/scope.js";
import { syntheticWeights } from "../../src/onnx/weights.js";
import { referenceLogits } from "../reference/forward.js";

/** Float32 against float64: the relative error that may remain. */
const tolerance = 1e-4;
/** Longest sequence that `open` prepares for. */
export const longest = 19;
const weights = syntheticWeights(7);

export function tokenIds(model: ModelDescription, batch: number, n: number): number[][] {
  const random = seededRandom(batch * 1000 + n);
  return Array.from({ length: batch }, () =>
    Array.from({ length: n }, () => Math.floor(random() * model.vocabularySize)),
  );
}

export interface Opening {
  readonly positions?: number;
  readonly provider?: Provider;
  /** What runs on WebGPU runs on the processor as well. */
  readonly loweredFor?: Provider;
  readonly weightFormat?: WeightFormat;
  readonly profilePrefix?: string | null;
}

export async function open(
  model: ModelDescription,
  attention: "fused" | "naive",
  head: "all" | "last",
  {
    positions = longest,
    provider = "cpu",
    loweredFor = provider,
    weightFormat = "f32",
    profilePrefix = null,
  }: Opening = {},
): Promise<Engine> {
  const graph = runnableGraph(model, attention, head);
  const lowered = lowerGraph(graph, { positions, provider: loweredFor, weights: weightFormat });
  return openEngine(lowered, await lowered.parameters(weights), { threads: 2, profilePrefix, provider });
}

/** An engine that is open while a suite's tests run, with logits of all positions. */
export function opened(model: ModelDescription, attention: "fused" | "naive"): () => Engine {
  let engine: Engine | undefined;
  beforeAll(async () => {
    engine = await open(model, attention, "all");
  });
  afterAll(() => engine?.close());
  return () => {
    if (engine === undefined) throw new Error(`${model.name} is not open`);
    return engine;
  };
}

/** That tokens run piece by piece, the cache handed on, give the logits of the float64 reference. */
export async function expectPiecesAgree(
  engine: Engine,
  model: ModelDescription,
  batch: number,
  pieces: readonly number[],
): Promise<void> {
  const ids = tokenIds(
    model,
    batch,
    pieces.reduce((sum, piece) => sum + piece, 0),
  );
  await expectAgreement(await inPieces(engine, ids, pieces), model, ids);
}

function empty(engine: Engine): Memory {
  return {
    caches: engine.caches.map(() => ({ key: new Float32Array(0), value: new Float32Array(0) })),
    states: [],
  };
}

/** Runs the tokens piece by piece, handing the cache on, and gives the logits of all positions, [batch][n·vocabulary]. */
export async function inPieces(
  engine: Engine,
  ids: number[][],
  pieces: readonly number[],
  encoder: number[][] = ids,
  encoderFeatures: Float32Array = new Float32Array(0),
): Promise<number[][]> {
  const encoderIds = BigInt64Array.from(encoder.flat().map(BigInt));
  const batch = ids.length;
  const logits: number[][] = ids.map(() => []);
  let memory = empty(engine);
  let depth = 0;
  for (const n of pieces) {
    const start = depth;
    const part = BigInt64Array.from(ids.flatMap((sequence) => sequence.slice(start, start + n)).map(BigInt));
    const result = await engine.logitsAndCaches(
      engine.prepare({
        batch,
        n,
        depth,
        ids: part,
        encoderIds,
        encoderFeatures,
        past: memory.caches,
        states: memory.states,
      }),
    );
    const share = result.logits.length / batch;
    logits.forEach((own, index) => own.push(...result.logits.subarray(index * share, (index + 1) * share)));
    memory = result;
    depth += n;
  }
  return logits;
}

/** ‖a − b‖ / ‖b‖. */
export function relativeError(actual: readonly number[], expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  const difference = Math.hypot(...actual.map((value, i) => value - (expected[i] ?? Number.NaN)));
  return difference / Math.hypot(...expected);
}

export async function expectAgreement(
  actual: readonly number[][],
  model: ModelDescription,
  ids: number[][],
  encoder: number[][] = ids,
  features: readonly (readonly Float64Array[])[] = [],
  positions = longest,
): Promise<void> {
  for (const [index, sequence] of ids.entries()) {
    const logits = await referenceLogits(model, weights, sequence, encoder[index], features[index], positions);
    const expected = logits.flatMap((position) => [...position]);
    expect(relativeError(actual[index] ?? [], expected)).toBeLessThan(tolerance);
  }
}
