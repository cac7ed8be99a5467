import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Seconds } from "../base/units.js";
import type { Part } from "../graph/types.js";
import type { ModelDescription } from "../model/types.js";
import { lowerGraph } from "../onnx/lower.js";
import { runnableGraph } from "../onnx/runnable.js";
import { syntheticWeights } from "../onnx/weights.js";
import type { Cell } from "../runs/schema.js";
import { cacheFiller, fillStates } from "./onnx-node-cache.js";
import { openEngine } from "./onnx-node-engine.js";
import { type OnnxNodeOptions, assertModelFits, inputIds } from "./onnx-node.js";

/** One operator of the executed model, as ONNX Runtime timed it. */
export interface NodeTime {
  /** ONNX Runtime's name of the operator: `FusedMatMul`. */
  readonly op: string;
  /** Name in the graph, the same in every layer, or null for what the runtime added. */
  readonly operator: string | null;
  readonly part: Part | null;
  readonly seconds: Seconds;
}

/** ONNX Runtime's own account of one forward pass. */
export interface PassProfile {
  readonly seconds: Seconds;
  readonly nodes: readonly NodeTime[];
}

const eventSchema = z.object({
  cat: z.string(),
  name: z.string(),
  ts: z.number(),
  dur: z.number().min(0),
  args: z.object({ op_name: z.string().optional() }).optional(),
});
const traceSchema = z.array(eventSchema).max(5_000_000);
type Event = z.infer<typeof eventSchema>;

const microsecond = 1e-6;
const kernelSuffix = "_kernel_time";
const warmUps = 2;

/**
 * Runs a cell `passes` times with ONNX Runtime's profiler on, in a session of its own, and gives the fastest pass.
 * Profiling adds a few microseconds to each operator.
 */
export async function profileOnnxNode(
  model: ModelDescription,
  cell: Cell,
  options: OnnxNodeOptions,
  passes = 3,
): Promise<PassProfile> {
  const graph = runnableGraph(model, options.attention);
  const { provider = "cpu", weightFormat = "f32" } = options;
  const lowered = lowerGraph(graph, { positions: options.maxLength, provider, weights: weightFormat });
  assertModelFits(model, lowered, options);
  const folder = await mkdtemp(join(tmpdir(), "nsquared-profile-"));
  try {
    const files = await lowered.parameters(options.weights ?? syntheticWeights(options.seed));
    const session = {
      threads: options.threads,
      profilePrefix: join(folder, "trace"),
      provider,
    };
    const engine = await openEngine(lowered, files, session);
    try {
      const { n, depth, batch } = cell;
      const ids = inputIds(model, cell, options.seed);
      const past = cacheFiller()(engine.caches, batch, depth);
      const states = depth === 0 ? {} : { states: fillStates(engine.states, batch) };
      const step = await engine.place(engine.prepare({ batch, n, depth, ids, past, ...states }));
      for (let pass = 0; pass < warmUps + passes; pass += 1) await engine.logits(step);
      engine.discard(step);
      engine.endProfiling();
    } finally {
      await engine.close();
    }
    const [trace] = await readdir(folder);
    if (trace === undefined) throw new Error("ONNX Runtime wrote no profile");
    const events = traceSchema.parse(JSON.parse(await readFile(join(folder, trace), "utf8")));
    return fastestPass(events, (node) => lowered.origins.get(node) ?? null);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Nodes whose time is that of the nodes inside, which have events of their own. */
const containers = new Set(["If", "Loop", "Scan"]);

function fastestPass(
  events: readonly Event[],
  originOf: (node: string) => { readonly operator: string; readonly part: Part } | null,
): PassProfile {
  const passes = events.filter(({ name }) => name === "model_run").slice(warmUps);
  const fastest = passes.reduce((best, pass) => (pass.dur < best.dur ? pass : best));
  const inside = events.filter(
    ({ cat, name, ts, args }) =>
      cat === "Node" &&
      !containers.has(args?.op_name ?? "") &&
      name.endsWith(kernelSuffix) &&
      ts >= fastest.ts &&
      ts < fastest.ts + fastest.dur,
  );
  const nodes = inside.map(({ name, dur, args }) => {
    const origin = originOf(name.slice(0, -kernelSuffix.length));
    return {
      op: args?.op_name ?? "unknown",
      operator: origin?.operator ?? null,
      part: origin?.part ?? null,
      seconds: dur * microsecond,
    };
  });
  return { seconds: fastest.dur * microsecond, nodes };
}

/** Seconds of a pass by some property of its nodes, most first. */
export function sumBy(profile: PassProfile, key: (node: NodeTime) => string): [string, Seconds][] {
  const sums = new Map<string, Seconds>();
  for (const node of profile.nodes) sums.set(key(node), (sums.get(key(node)) ?? 0) + node.seconds);
  return [...sums].sort(([, a], [, b]) => b - a);
}
