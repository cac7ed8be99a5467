import { setTimeout } from "node:timers/promises";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { NsquaredError, badInput } from "../base/errors.js";
import type { Provider } from "../onnx/provider.js";
import type { ExternalFile, Feed } from "../onnx/tensors.js";

export type { Tensor } from "onnxruntime-node";

export interface SessionOptions {
  /** The processor where absent. */
  readonly provider?: Provider;
  /** Threads of one operator; the runtime decides where it is null. */
  readonly threads: number | null;
  /** Prefix of the file that the runtime writes its profile to, or null for no profile. */
  readonly profilePrefix: string | null;
  /** Whether outputs stay in the memory of the GPU, from which they can be handed in again but not read. */
  readonly keepsOutputs?: boolean;
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** An ONNX model loaded into ONNX Runtime. */
export interface Session {
  /** Executes the model once. Outputs with a tensor are written into its memory; those with null are made anew. */
  run(feeds: Tensors, outputs: Readonly<Record<string, Tensor | null>>): Promise<Tensors>;
  /** Waits until the threads of whatever session ran last, where it is another, leave the cores alone. */
  settle(): Promise<void>;
  /** Writes the profile, where there is one. */
  endProfiling(): void;
  close(): Promise<void>;
}

export interface Runtime {
  readonly version: string;
  /** A tensor over the memory of `data`: nothing is copied. */
  tensor(content: Omit<Feed, "name">): Tensor;
  open(model: Uint8Array, files: readonly ExternalFile[], options: SessionOptions): Promise<Session>;
}

/**
 * Milliseconds that threads go on spinning for work after a run, at most: some 20 were seen. What another session runs then
 * (the next model of a comparison, the next kernel of a calibration) shares the cores with them and takes up to twice as long.
 */
const spinning = 40;

/** The session that ran last, and when it ended. */
let latest: { readonly session: InferenceSession; readonly ended: number } | null = null;

function noProvider(provider: Provider, cause: unknown): NsquaredError {
  const said = cause instanceof Error ? cause.message : String(cause);
  const adapter = /no supported adapters|adapter/i.test(said);
  return badInput("provider-missing", {
    where: "ONNX Runtime",
    key: "provider",
    found: provider,
    expected: adapter
      ? "it found no GPU here (through Vulkan, Direct3D 12 or Metal): cpu, or timings made elsewhere"
      : `an onnxruntime-node with that provider (${said.split("\n", 1)[0] ?? ""}): cpu, or timings made elsewhere`,
  });
}

/**
 * ONNX Runtime, loaded when it is first needed.
 *
 * @throws NsquaredError `runtime-missing` where onnxruntime-node is not installed
 */
export async function loadOnnxRuntime(): Promise<Runtime> {
  const runtime = await import("onnxruntime-node").catch((cause: unknown) => {
    throw new NsquaredError(
      "runtime-missing",
      "onnxruntime-node is not installed or does not load; install it with: npm install onnxruntime-node",
      { where: "onnxruntime-node" },
      undefined,
      cause,
    );
  });
  return {
    version: runtime.env.versions.node ?? "unknown",
    tensor: ({ data, shape }) => {
      if (data instanceof Float32Array) return new runtime.Tensor("float32", data, shape);
      if (data instanceof Int32Array) return new runtime.Tensor("int32", data, shape);
      return new runtime.Tensor("int64", data, shape);
    },
    open: async (model, files, { provider = "cpu", threads, profilePrefix, keepsOutputs = false }) => {
      const options: InferenceSession.SessionOptions = {
        executionProviders: [provider],
        graphOptimizationLevel: "all",
        executionMode: "sequential",
        // A plan per shape would allocate a block of its own at the second run: its pages are then touched for the first
        // time there (seconds, for long naive attention), and blocks of several lengths stay side by side.
        enableMemPattern: false,
        // Errors reach the caller as exceptions; the runtime's own lines on standard error would only repeat them.
        logSeverityLevel: 4,
        externalData: files.map(({ path, data }) => ({ path, data })),
        ...(threads === null ? {} : { intraOpNumThreads: threads }),
        ...(keepsOutputs ? { preferredOutputLocation: "gpu-buffer" } : {}),
        ...(profilePrefix === null ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
      };
      const session = await runtime.InferenceSession.create(model, options).catch((cause: unknown) => {
        throw provider === "cpu" ? cause : noProvider(provider, cause);
      });
      let open = true;
      return {
        run: async (feeds, outputs) => {
          try {
            return await session.run(feeds, outputs);
          } finally {
            latest = { session, ended: performance.now() };
          }
        },
        settle: async () => {
          if (latest === null || latest.session === session) return;
          const left = latest.ended + spinning - performance.now();
          if (left > 0) await setTimeout(left);
        },
        endProfiling: () => session.endProfiling(),
        close: async () => {
          if (!open) return;
          open = false;
          await session.release();
        },
      };
    },
  };
}
