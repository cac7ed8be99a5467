import { expect, test } from "vitest";
import { calibratedDevice } from "../../test/support/calibrated-device.js";
import type { Calibration } from "../hardware/calibration.js";
import { builtInModel } from "../model/builtin/models.js";
import { withDtype } from "../variants/dtype.js";
import { scaled } from "../variants/scale.js";
import { predictCurve } from "./curve.js";

const [n, layers, heads, headDim] = [4096, 2, 9, 64];
const smol = builtInModel("SmolLM2-135M");
if (smol === null) throw new Error("SmolLM2-135M is built in");
const model = withDtype(scaled(smol, { layers }), "float32");

/** Seconds of a prefill on the machine with something of it changed. */
function prefill(attention: "fused" | "naive", change: (calibration: Calibration) => Partial<Calibration>): number {
  const { calibration } = calibratedDevice;
  if (calibration === null) throw new Error("the device of the tests is calibrated");
  const device = { ...calibratedDevice, calibration: { ...calibration, ...change(calibration) } };
  const { components } = predictCurve(model, device, { phase: "prefill", batch: 1, attention });
  return components.reduce((sum, { seconds }) => sum + seconds(n), 0);
}

test("what products of naive attention take longer by where they have many rows is theirs alone", () => {
  const twice = (): Partial<Calibration> => ({ batchedGrowth: { exponent: 1, from: 1, to: 2 } });
  const added = prefill("naive", twice) - prefill("naive", () => ({}));
  const products = 2 * layers * heads * headDim * n ** 2 * 1.5e-11;
  expect(added / products).toBeCloseTo(1, 9);
  expect(prefill("fused", twice)).toBe(prefill("fused", () => ({})));
});

test("the mask of naive attention is a pass that reads scores and mask, and fetches and writes what it makes", () => {
  const slower = ({ streams }: Calibration): Partial<Calibration> => ({
    streams: { ...streams, add: streams.add.map((point) => ({ ...point, secondsPerByte: 2 * point.secondsPerByte })) },
  });
  const added = (attention: "fused" | "naive"): number => prefill(attention, slower) - prefill(attention, () => ({}));
  // What is added to the residual stream is the same in both.
  const masks = layers * 4 * heads * n ** 2 * 4 * 4e-11;
  expect((added("naive") - added("fused")) / masks).toBeCloseTo(1, 2);
});
