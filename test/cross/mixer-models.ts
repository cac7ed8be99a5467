import type { Attention, ModelDescription } from "../../src/model/types.js";
import { smallModel } from "./shapes.js";

const small = { hidden: 32, heads: 4, kvHeads: 2, headDim: 8, ffn: 48, layers: 2, vocabulary: 50 };

function attentionModel(
  name: string,
  attention: Partial<Attention>,
  secondLayer: Partial<Attention> = attention,
): ModelDescription {
  return smallModel({ ...small, name }, { attention, secondLayer });
}

/** Attention that is more than full attention over plain heads. */
export const attentionModels: readonly ModelDescription[] = [
  attentionModel("window-1", { span: { kind: "window", size: 1 } }),
  attentionModel("window-8", { span: { kind: "window", size: 8 } }),
  attentionModel("window-3-and-full", { span: { kind: "window", size: 3 } }, {}),
  attentionModel("window-12", { span: { kind: "window", size: 12 } }),
  attentionModel("window-wider-than-all", { span: { kind: "window", size: 64 } }),
  attentionModel("chunk-4", { span: { kind: "chunk", size: 4 } }),
  attentionModel("chunk-6-and-full", { span: { kind: "chunk", size: 6 } }, { rotary: null }),
  attentionModel("gpt-oss", { sinks: true, span: { kind: "window", size: 5 } }, { sinks: true }),
  attentionModel("softcap-window", { softcap: 2, span: { kind: "window", size: 6 } }),
  attentionModel("qwen3-next-attention", { gate: "per-element", queryKeyNorm: "per-head" }),
  attentionModel("gate-per-head", { gate: "per-head" }, { gate: "per-head", span: { kind: "window", size: 7 } }),
  attentionModel("norm-each-head", { queryKeyNorm: "each-head" }),
  attentionModel("key-is-value", { keyValue: "key-is-value" }),
  attentionModel("narrow-values", { valueDim: 4 }, { valueDim: 4, span: { kind: "window", size: 5 } }),
  attentionModel("wide-values", { valueDim: 12, kvHeads: 4 }, { valueDim: 12, kvHeads: 1, sinks: true }),
];
