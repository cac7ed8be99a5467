import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Engine } from "../../src/measure/onnx-node-engine.js";

/** One execution of a node, as ONNX Runtime's profile tells of it. */
const nodeSchema = z.object({
  cat: z.literal("Node"),
  name: z.string().endsWith("_kernel_time"),
  args: z.object({
    op_name: z.string(),
    provider: z.string(),
    output_type_shape: z.array(z.record(z.string(), z.unknown())),
  }),
});

/** Operators of real numbers that ran on the processor, and copies to it in the middle of a pass: `MatMul`. */
export interface Placement {
  readonly onGpu: readonly string[];
  /** Those that make whole numbers (lengths, shapes, indices) belong there and are left out. */
  readonly onProcessor: readonly string[];
}

/** What ran where while `use` worked with an engine that `open` opened with the profile's prefix. */
export async function placementOf(
  open: (profilePrefix: string) => Promise<Engine>,
  use: (engine: Engine) => Promise<void>,
): Promise<Placement> {
  const folder = await mkdtemp(join(tmpdir(), "nsquared-test-"));
  try {
    const engine = await open(join(folder, "trace"));
    try {
      await use(engine);
      engine.endProfiling();
    } finally {
      await engine.close();
    }
    const [trace = ""] = await readdir(folder);
    const events = z.array(z.unknown()).parse(JSON.parse(await readFile(join(folder, trace), "utf8")));
    const nodes = events.flatMap((event) => nodeSchema.safeParse(event).data?.args ?? []);
    const named = (all: typeof nodes): string[] => [...new Set(all.map((node) => node.op_name))].sort();
    const onGpu = nodes.filter(({ provider }) => provider === "WebGpuExecutionProvider");
    const fallen = nodes.filter(
      (node) =>
        node.op_name === "MemcpyToHost" ||
        (!onGpu.includes(node) && node.output_type_shape.some((output) => "float" in output || "float16" in output)),
    );
    return { onGpu: named(onGpu), onProcessor: named(fallen) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
