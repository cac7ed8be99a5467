import type { Seconds } from "../base/units.js";
import { type Micro, microInputs, microModel, probe } from "../onnx/micro.js";
import { SharedNumbers } from "../onnx/shared-numbers.js";
import type { Clock } from "./clock.js";
import { type Runtime, type Tensor, type Tensors, loadOnnxRuntime } from "./onnx-node-session.js";
import { discard, Uploader } from "./onnx-node-upload.js";
import type { Provider } from "../onnx/provider.js";

export interface MicroTiming {
  readonly clock: Clock;
  /** Timed runs. */
  readonly repeats: number;
  /** Untimed runs before them; one where absent. */
  readonly warmUps?: number;
  /** Runs stop early, with what they have, once this many seconds are spent on timed runs. */
  readonly limit?: Seconds;
  /** Timed runs below which they do not stop early; one where absent. */
  readonly fewest?: number;
  readonly signal?: AbortSignal;
  /** Done before each run, and not timed. */
  readonly before?: () => void;
}

/** One operator (or chain of it) loaded into ONNX Runtime. Inputs are made once for each size, and kept until it is closed. */
export interface MicroSession {
  /** One run at the sizes it was opened with. */
  run(): Promise<void>;
  /** Waits until the threads of other sessions leave the cores alone. */
  settle(): Promise<void>;
  /**
   * Seconds of each run at the sizes of `micro`, in order; its weights must be those it was opened with.
   */
  time(micro: Micro, timing: MicroTiming): Promise<Seconds[]>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/**
 * @param threads threads of one operator; the runtime decides where it is null
 * @param numbers memory of the inputs, where other sessions have theirs in it too
 * @throws NsquaredError `provider-missing` where the runtime has no such provider here
 */
export async function openMicro(
  micro: Micro,
  threads: number | null,
  provider: Provider = "cpu",
  numbers = new SharedNumbers(),
): Promise<MicroSession> {
  const runtime = await loadOnnxRuntime();
  const { model, files } = microModel(micro, provider);
  const session = await runtime.open(model, files, { provider, threads, profilePrefix: null });
  // Values are where they are in a model, in the memory of whatever computes.
  const uploader = provider === "webgpu" ? new Uploader(runtime) : null;
  const known = new Map<string, Tensors>();
  const inputsFor = async (sized: Micro): Promise<Tensors> => {
    const key = JSON.stringify(sized);
    const made = known.get(key);
    if (made !== undefined) return made;
    const inputs = inputsOf(sized, runtime, numbers);
    const placed = uploader === null ? inputs : await uploader.upload(inputs);
    known.set(key, placed);
    return placed;
  };
  return {
    run: async () => {
      await session.run(await inputsFor(micro), { [probe]: null });
    },
    settle: () => session.settle(),
    time: async (sized, timing) => {
      const { clock, repeats, warmUps = 1, limit = Number.POSITIVE_INFINITY, fewest = 1, signal, before } = timing;
      const inputs = await inputsFor(sized);
      const times: Seconds[] = [];
      let spent = 0;
      await session.settle();
      for (let run = -warmUps; run < repeats; run += 1) {
        signal?.throwIfAborted();
        before?.();
        const start = clock.now();
        await session.run(inputs, { [probe]: null });
        const seconds = clock.now() - start;
        if (run < 0) continue;
        times.push(seconds);
        spent += seconds;
        if (times.length >= fewest && spent > limit) break;
      }
      return times;
    },
    close: async () => {
      for (const inputs of known.values()) discard(inputs);
      known.clear();
      await uploader?.close();
      await session.close();
    },
  };
}

function inputsOf(micro: Micro, runtime: Runtime, numbers: SharedNumbers): Record<string, Tensor> {
  const inputs: Record<string, Tensor> = {};
  for (const feed of microInputs(micro, numbers).feeds) inputs[feed.name] = runtime.tensor(feed);
  return inputs;
}
