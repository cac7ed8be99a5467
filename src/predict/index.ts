export { type Curve, type CurveOptions, predictCurve } from "./curve.js";
export { type PredictOptions, type Prediction, defaultPredictOptions, predict } from "./predict.js";
