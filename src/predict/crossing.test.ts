import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { calibratedDevice } from "../../test/support/calibrated-device.js";
import { devices } from "../hardware/catalog/devices.js";
import { readConfig } from "../model/hf/read-config.js";
import { attentionHalfSeconds, crossoverSeconds } from "./crossing.js";
import { predictCurve } from "./curve.js";
import { predict } from "./predict.js";

const model = (name: string) => readConfig(readConfigFile("configs", `${name}.json`), name, name);
const smol = model("HuggingFaceTB__SmolLM2-135M");
const llama = model("meta-llama__Llama-3.1-8B-Instruct");
const mistral = model("mistralai__Mistral-7B-v0.1");

describe("the crossover in seconds", () => {
  test.each([...devices, calibratedDevice].map((device) => [device.name, device] as const))(
    "on %s is where a scan over all lengths finds it",
    (_name, device) => {
      for (const attention of ["fused", "naive"] as const) {
        const curve = predictCurve(smol, device, { attention });
        const steep = (n: number): number =>
          curve.operators
            .filter(({ degree }) => degree >= 2)
            .reduce((sum, { work, overhead }) => sum + work(n) + overhead(n), 0);
        let scanned = 1;
        while (2 * steep(scanned) < curve.seconds(scanned)) scanned += 1;
        const found = crossoverSeconds(curve);
        expect(found?.n).toBeGreaterThan(scanned - 1);
        expect(found?.n).toBeLessThanOrEqual(scanned);
      }
    },
  );

  test("lies inside its interval, and moves with the spread of what it compares", () => {
    const curve = predictCurve(llama, calibratedDevice);
    const found = crossoverSeconds(curve);
    if (found?.low == null || found.high == null) throw new Error("there is a crossover with both ends");
    expect(found.low).toBeLessThan(found.n);
    expect(found.high).toBeGreaterThan(found.n);
    const surer = {
      ...curve,
      components: curve.components.map((part) => ({ ...part, logSpread: part.logSpread / 2 })),
    };
    const narrow = crossoverSeconds(surer);
    expect((narrow?.high ?? 0) / (narrow?.low ?? 1)).toBeLessThan(found.high / found.low);
    expect(narrow?.n).toBeCloseTo(found.n, 6);
  });

  test("is absent in decode, whose work grows linearly", () => {
    expect(crossoverSeconds(predictCurve(llama, calibratedDevice, { phase: "decode" }))).toBeNull();
  });

  test("is absent where every layer has a window: beyond it the work grows linearly", () => {
    const spans = mistral.stacks.flatMap(({ layers }) => layers.flatMap(({ mixers }) => mixers));
    expect(spans.every((mixer) => mixer.kind === "attention" && mixer.span.kind === "window")).toBe(true);
    const h100 = devices[0] ?? calibratedDevice;
    expect(crossoverSeconds(predictCurve(mistral, h100))).toBeNull();
    expect(crossoverSeconds(predictCurve(mistral, h100, { attention: "naive" }))).not.toBeNull();
    // ONNX Runtime's kernel masks the window and skips nothing.
    expect(crossoverSeconds(predictCurve(mistral, calibratedDevice))).not.toBeNull();
  });
});

describe("attentionHalf", () => {
  test("of Llama 3.1 8B on an H100 lies in the tens of thousands of tokens, in FLOPs at 53k", () => {
    const h100 = devices[0] ?? calibratedDevice;
    const prediction = predict(llama, h100);
    expect(prediction.attentionHalf.flops?.n).toBeCloseTo(53_247, 0);
    const { seconds } = prediction.attentionHalf;
    expect(seconds?.n).toBeGreaterThan(30_000);
    expect(seconds?.n).toBeLessThan(75_000);
  });

  test("counts attention by part: in decode, too", () => {
    const decode = predictCurve(llama, calibratedDevice, { phase: "decode" });
    const half = attentionHalfSeconds(decode);
    if (half === null) throw new Error("attention overtakes the weights at some context");
    const attention = decode.operators
      .filter(({ part }) => part === "attention")
      .reduce((sum, { work, overhead }) => sum + work(half.n) + overhead(half.n), 0);
    expect(attention / decode.seconds(half.n)).toBeCloseTo(0.5, 6);
  });
});
