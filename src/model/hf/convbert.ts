import type { Extras } from "../types.js";
import { size } from "./checks.js";
import { readBertLike } from "./encoder.js";
import { allBias, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/**
 * models/convbert (arXiv:2008.02496): `head_ratio` times fewer heads attend; beside them as many channels pass a
 * convolution whose kernel is made from each token's query. Both halves leave through one projection.
 */
const readConvBert: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const all = config.size("num_attention_heads");
  const groups = config.size("num_groups");
  if (groups !== 1)
    throw config.bad("num_groups", groups, "expected 1: grouped feed-forward layers are not understood");
  const heads = Math.max(1, Math.floor(all / config.read("head_ratio", size)));
  const headDim = Math.floor(hidden / all);
  const width = heads * headDim;
  const kernel = config.size("conv_kernel_size");
  const extras: Extras = {
    linears: [
      { name: "kernel_pointwise", inWidth: hidden, outWidth: width, bias: true },
      { name: "kernel", inWidth: width, outWidth: heads * kernel, bias: true },
      { name: "convolved", inWidth: hidden, outWidth: width, bias: true },
      { name: "convolved_out", inWidth: width, outWidth: hidden, bias: false },
    ],
    products: [
      { name: "kernel_depthwise", rows: hidden, inner: kernel, columns: 1 },
      { name: "convolution", rows: width, inner: kernel, columns: 1 },
    ],
    weights: [{ name: "kernel_depthwise", shape: [hidden, 1, kernel] }],
  };
  const attention = softmax({ heads, kvHeads: heads, headDim }, null, { causal: false, bias: allBias });
  return readBertLike(config, { embeddingSize: true, layer: () => ({ mixers: [attention], extras }) });
};

export const convBertReaders: Readonly<Record<string, Reader>> = { convbert: readConvBert };
