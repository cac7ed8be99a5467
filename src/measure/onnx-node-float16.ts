import { type NsquaredError, badInput } from "../base/errors.js";
import { ModelBuilder } from "../onnx/builder.js";
import { addCast } from "../onnx/linear.js";
import { encodeModel } from "../onnx/proto.js";
import type { Provider } from "../onnx/provider.js";
import { loadOnnxRuntime } from "./onnx-node-session.js";

/**
 * Why a provider cannot compute in float16 here, or null where it can. A GPU may lack it, which ONNX Runtime says only when the
 * first operator runs: with a model's weights in its memory already.
 *
 * @throws NsquaredError `runtime-missing`, `provider-missing`
 */
export async function float16Refusal(provider: Provider): Promise<NsquaredError | null> {
  const runtime = await loadOnnxRuntime();
  const builder = new ModelBuilder(provider);
  const half = addCast(builder, "half", builder.input("x", "float32", [1]), "float16");
  addCast(builder, "y", builder.node("sum", "Add", [half, half]), "float32");
  builder.output("y", "float32", [1]);
  const options = { provider, threads: 1, profilePrefix: null };
  const session = await runtime.open(encodeModel(builder.build("float16", [])), [], options);
  try {
    await session.run({ x: runtime.tensor({ shape: [1], data: Float32Array.of(1) }) }, { y: null });
    return null;
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes("f16")) throw error;
    return badInput("float16-missing", {
      where: "--weights",
      key: "format",
      found: "f16",
      expected: "f32, q8 or q4: this GPU does not compute in float16 (WebGPU's shader-f16)",
    });
  } finally {
    await session.close();
  }
}
