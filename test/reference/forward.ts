import type { Extras, Layer, ModelDescription, Stack } from "../../src/model/types.js";
import type { WeightSource } from "../../src/onnx/weights.js";
import { closeStreamsOf, openStreamsOf } from "./alternating.js";
import { joinNeighbours, runBottleneck } from "./bottleneck.js";
import { adaptersOf, runAside } from "./aside.js";
import { runDepth } from "./depth.js";
import { runWithGlobals } from "./global-tokens.js";
import { runLayer } from "./layer.js";
import { runProbe } from "./probe.js";
import { runPredicting } from "./predicting.js";
import { joinStreams } from "./streams.js";
import { Parameters, runNorm } from "./parameters.js";
import {
  type Linear,
  type Sequence,
  activate,
  addUp,
  at,
  cap,
  concat,
  linear,
  map,
  normOfBoth,
  rmsNorm,
  row,
  split,
} from "./vectors.js";

/**
 * A plain forward pass in float64, one sequence and one loop at a time: what the fast graphs must agree with.
 * It reads the model's description only, never its graph.
 */

/** Logits of every position of one sequence: [n][vocabulary]. */
export async function referenceLogits(
  model: ModelDescription,
  source: WeightSource,
  ids: readonly number[],
  encoderIds: readonly number[] = ids,
  /** What an encoder of sound reads, [bins][frames]. */
  features: Sequence = [],
  /** Longest sequence that the model was opened for. */
  longest = ids.length,
): Promise<Sequence> {
  const parameters = new Parameters(model, source);
  parameters.kept.longest = longest;
  let stream: Sequence = [];
  let first: Sequence = [];
  for (const stack of model.stacks) {
    const own = stack.kind === "decoder" ? "" : `${stack.name ?? stack.kind}.`;
    parameters.kept.encoded = stream;
    const hidden = stack.hiddenSize ?? model.hiddenSize;
    const extras = parameters.within(`${own}extras.extra.`);
    const reads = stack === model.stacks.at(-1) ? ids : encoderIds;
    const pools = stack.kind === "encoder" && stream.length > 0;
    if (!pools) {
      stream = (await runBeginning(stack, reads, features, extras)) ?? (await embed(model, parameters, reads));
    }
    if (stack === model.stacks.at(-1)) {
      await runPerLayer(stream, model, parameters);
      stream = await openStreamsOf(stream, model, parameters.within("extras.extra."));
    }
    if (stack.extras?.weights?.some(({ name }) => name === "stream_embeddings") === true) {
      stream = await runPredicting(stream, stack, hidden, parameters);
      continue;
    }
    stream = await runStackExtras(stream, stack, extras);
    if (pools) stream = nextLength(stream, stack, first, parameters);
    const joined = model.extras?.linears?.find(({ name }) => name === "join_streams")?.outWidth;
    if (joined !== undefined) stream = stream.map((x) => concat(Array.from({ length: joined }, () => x)));
    if (stack.extras?.weights?.some(({ name }) => name === "final_norm") === true) {
      stream = stream.map((x) => concat([x, x]));
    }
    const globals = stack.extras?.weights?.find(({ name }) => name === "global_tokens");
    if (globals !== undefined) {
      const table = await extras.read("global_tokens", globals.shape, "bias");
      const rows = Array.from({ length: globals.shape[0] ?? 0 }, (_, place) => row(table, hidden, place));
      stream = [...rows, ...stream];
    }
    if (stack.depthBlock !== undefined) stream = await runDepth(stream, stack, hidden, parameters);
    const layerAt = (layer: Layer, index: number): Parameters =>
      parameters.within(`${own}${layer.weightsOf ?? `layers.${index}`}.`);
    parameters.kept.embedded = stream;
    for (const [index, layer] of stack.depthBlock === undefined ? stack.layers.entries() : []) {
      if (layer.aside === true) {
        const next = stack.layers[index + 1] ?? layer;
        const adapt = adaptersOf(next, layerAt(next, index + 1).within("extra."));
        parameters.kept.aside = await runAside(stream, layer, hidden, layerAt(layer, index), adapt);
        continue;
      }
      const narrow = layer.extras?.linears?.some(({ name }) => name === "into_attention") === true;
      const run = globals !== undefined ? runWithGlobals : narrow ? runBottleneck : runLayer;
      stream = await run(stream, layer, hidden, layerAt(layer, index), index);
    }
    stream = stream.slice(globals?.shape[0] ?? 0);
    if (first.length === 0) first = stream;
    if (joined !== undefined) stream = await joinStreams(stream, joined, parameters.within("extras.extra."));
    if (stack === model.stacks.at(-1)) {
      stream = await closeStreamsOf(stream, model, parameters.within("extras.extra."));
    }
    const both = stack.extras?.weights?.find(({ name }) => name === "final_norm");
    if (both !== undefined) {
      const norm = await extras.read("final_norm", both.shape, "bias");
      stream = stream.map((x) => normOfBoth(x, norm, 1e-12));
    }
    if (stack.finalNorm !== null) {
      stream = await runNorm(stream, stack.finalNorm, hidden, parameters.within(`${own}final_norm.norm.`));
    }
  }
  const { kind, tied, bias, softcap, transform, rest } = model.head;
  const { probe } = model.head;
  if (probe !== undefined) return runProbe(stream, probe, model, parameters.within("probe.probe."));
  if (kind === "none") return stream;
  if (kind === "pooler") return pooled(stream, model.hiddenSize, model.head.rows ?? model.hiddenSize, parameters);
  let width = model.head.inWidth ?? model.hiddenSize;
  if (transform !== undefined) {
    const inside = parameters.within(tied ? "embedding.transform." : "head.transform.");
    stream = await transformed(stream, transform, model.hiddenSize, inside);
    width = model.head.inWidth ?? transform.width;
  }
  const scope = parameters.within(tied ? "embedding." : "head.");
  const head: Linear = {
    weight: await scope.matrix(tied ? "table" : "weight", model.vocabularySize, width),
    bias: bias ? await scope.vector("bias", model.vocabularySize, "bias") : null,
  };
  // Channels beyond those of a narrower table have rows of their own.
  const beyond = rest === undefined ? null : await scope.matrix("rest.weight", model.vocabularySize, rest);
  return stream.map((x) => {
    const near = linear(x.slice(0, width), head);
    const logits =
      beyond === null ? near : (addUp([near], [linear(x.slice(width), { weight: beyond, bias: null })])[0] ?? near);
    return map(logits, (logit) => (softcap === null ? logit : cap(logit, softcap)));
  });
}

/** Funnel: means of neighbours where a stack pools, else what was pooled repeated and added to the first stack's. */
function nextLength(stream: Sequence, { length }: Stack, first: Sequence, { kept }: Parameters): Sequence {
  const pools = kept.pooled;
  if (length?.kind === "pooled") {
    pools.from = stream;
    pools.stride *= 2;
    return Array.from({ length: Math.ceil(stream.length / 2) }, (_, i) => {
      const [a, b] = [stream[2 * i], stream[2 * i + 1] ?? stream[2 * i]];
      return map(a ?? new Float64Array(), (value, d) => (value + at(b, d)) / 2);
    });
  }
  const { stride } = pools;
  pools.stride = 1;
  return first.map((x, i) => map(x, (value, d) => value + at(stream[Math.floor(i / stride)], d)));
}

/** Rows of the tables: by token, by position, the first segment; then a norm and a projection where there are any. */
async function embed(model: ModelDescription, parameters: Parameters, ids: readonly number[]): Promise<Sequence> {
  const { rows, width, scale, tables = [], norm, projection } = model.embedding;
  const table = await parameters.matrix("embedding.table", rows, width);
  let stream: Sequence = ids.map((id) => row(table, width, id));
  const neighbours = model.extras?.linears?.find(({ name }) => name === "neighbours");
  if (neighbours !== undefined) return joinNeighbours(stream, model, parameters);
  for (const { name, rows: count, width: own, firstRow = 0 } of tables) {
    const extra = await parameters.matrix(`embedding.${name}`, count, own);
    if (name === "per_layer") {
      parameters.kept.perLayer = ids.map((id) => row(extra, own, id));
      continue;
    }
    stream = addUp(
      stream,
      ids.map((_, position) => row(extra, width, name === "positions" ? position + firstRow : 0)),
    );
  }
  if (norm !== undefined) stream = await runNorm(stream, norm, width, parameters.within("embedding.position.norm."));
  if (projection !== undefined) {
    const own = parameters.within("embedding.position.projection.");
    const weights = {
      weight: await own.matrix("weight", model.hiddenSize, width),
      bias: projection.bias ? await own.vector("bias", model.hiddenSize, "bias") : null,
    };
    stream = stream.map((x) => linear(x, weights));
  }
  return stream.map((x) => map(x, (value) => value * (scale ?? 1)));
}

/** A stack's own table of tokens, times the root of its width; or its convolutions over features. Null where it has none. */
async function runBeginning(
  { extras }: Stack,
  ids: readonly number[],
  features: Sequence,
  parameters: Parameters,
): Promise<Sequence | null> {
  for (const { name, shape } of extras?.weights ?? []) {
    if (name !== "embedding") continue;
    const [, width = 0] = shape;
    const table = await parameters.read(name, shape, "bias");
    return ids.map((id) => map(row(table, width, id), (value) => value * Math.sqrt(width)));
  }
  if ((extras?.convolutions ?? []).length === 0) return null;
  let channels = features;
  for (const { name, inWidth, outWidth, kernel, positions, bias: biased, ...more } of extras?.convolutions ?? []) {
    const weight = await parameters.read(`${name}.weight`, [outWidth, inWidth, kernel], "matrix");
    const bias = biased ? await parameters.vector(`${name}.bias`, outWidth, "bias") : null;
    const from = channels[0]?.length ?? 0;
    const count = typeof positions === "number" ? positions : (from - kernel) / (more.stride ?? 1) + 1;
    const stride = more.stride ?? from / count;
    // Patches of a picture touch, and nothing bends what is made of them.
    const ofPatches = name === "patches";
    const side = ofPatches || more.stride !== undefined ? 0 : (kernel - 1) / 2;
    const bend = (sum: number): number => (more.activation === "tanh" ? Math.tanh(sum) : activate("gelu", sum));
    channels = Array.from({ length: outWidth }, (_, out) =>
      Float64Array.from({ length: count }, (_unused, position) => {
        let sum = bias === null ? 0 : at(bias, out);
        channels.forEach((channel, input) => {
          for (let tap = 0; tap < kernel; tap += 1) {
            const place = position * stride + tap - side;
            if (place >= 0 && place < channel.length) {
              sum += at(weight, (out * inWidth + input) * kernel + tap) * at(channel, place);
            }
          }
        });
        return ofPatches ? sum : bend(sum);
      }),
    );
    if (name === extras?.convolutions?.[0]?.name) channels = await normTogether(channels, extras, parameters);
  }
  const [first] = channels;
  return Array.from({ length: first?.length ?? 0 }, (_, position) =>
    Float64Array.from(channels, (channel) => at(channel, position)),
  );
}

/** One norm over all channels and positions (Moonshine's `groupnorm`), where the stack has it. */
async function normTogether(channels: Sequence, { weights = [] }: Extras, parameters: Parameters): Promise<Sequence> {
  const shape = weights.find(({ name }) => name === "stem_norm")?.shape;
  if (shape === undefined) return channels;
  const both = await parameters.read("stem_norm", shape, "bias");
  const all = concat(channels);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const deviation = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length + 1e-5);
  return channels.map((channel, i) =>
    map(channel, (value) => ((value - mean) / deviation) * at(both, i) + at(both, channels.length + i)),
  );
}

/** Inputs of every layer's own (Gemma 4): a projection of the embeddings beside the rows looked up. */
async function runPerLayer(stream: Sequence, { extras, hiddenSize }: ModelDescription, parameters: Parameters) {
  const projection = extras?.linears?.find(({ name }) => name === "per_layer_projection");
  const width = extras?.weights?.find(({ name }) => name === "per_layer_norm")?.shape[0];
  if (projection === undefined || width === undefined) return;
  const own = parameters.within("extras.extra.");
  const weight = await own.matrix("per_layer_projection.weight", projection.outWidth, hiddenSize);
  const scale = await own.vector("per_layer_norm", width, "bias");
  const { kept } = parameters;
  kept.perLayer = kept.perLayer.map((rows, position) => {
    const x = stream[position] ?? new Float64Array(hiddenSize);
    const projected = map(linear(x, { weight, bias: null }), (value) => value / Math.sqrt(hiddenSize));
    const normed = concat(split(projected, projected.length / width).map((part) => rmsNorm(part, scale, 1e-6, false)));
    return map(normed, (value, i) => (value + Math.sqrt(width) * at(rows, i)) / Math.SQRT2);
  });
}

/** Sines of a position times frequencies from 1 to 1/10000, then the cosines (transformers, models/m2m_100). */
function sinusoid(position: number, width: number): Float64Array {
  const half = width / 2;
  return Float64Array.from({ length: width }, (_, i) => {
    const angle = position * Math.exp((-Math.log(10_000) * (i % half)) / (half - 1));
    return i < half ? Math.sin(angle) : Math.cos(angle);
  });
}

/** Positions of the stack's own, and a norm behind them: its weight, then its bias. */
async function runStackExtras(stream: Sequence, { extras }: Stack, parameters: Parameters): Promise<Sequence> {
  const tokens = async (name: string): Promise<Sequence> => {
    const shape = extras?.weights?.find((weight) => weight.name === name)?.shape;
    const table = shape === undefined ? null : await parameters.read(name, shape, "bias");
    return table === null
      ? []
      : Array.from({ length: shape?.[0] ?? 0 }, (_, place) => row(table, shape?.[1] ?? 0, place));
  };
  const classes = await tokens("class_token");
  const registers = await tokens("registers");
  let result: Sequence = [...classes, ...stream];
  for (const { name, inWidth, outWidth, bias } of extras?.linears ?? []) {
    const own = parameters.within(`${name}.`);
    const projection = {
      weight: await own.matrix("weight", outWidth, inWidth),
      bias: bias ? await own.vector("bias", outWidth, "bias") : null,
    };
    result = result.map((x) => linear(x, projection));
  }
  if (extras?.sinusoids !== undefined) {
    const { first } = extras.sinusoids;
    result = result.map((x, i) => addUp([x], [sinusoid(i + first, x.length)])[0] ?? x);
  }
  for (const { name, shape, firstRow = 0 } of extras?.weights ?? []) {
    const width = shape.at(-1) ?? 0;
    const weight = await parameters.read(name, shape, "bias");
    if (name === "positions")
      result = result.map((x, i) => map(x, (value, j) => value + at(weight, (i + firstRow) * width + j)));
    if (name === "positions0") {
      const columns = extras?.weights?.find((own) => own.name === "positions1")?.shape ?? [];
      const [across = 1, depth = 1] = columns;
      const second = await parameters.read("positions1", columns, "bias");
      result = result.map((x, i) => {
        const place = concat([row(weight, width, Math.floor(i / across)), row(second, depth, i % across)]);
        return map(x, (value, j) => value + at(place, j));
      });
    }
    if (name === "registers")
      result = [...result.slice(0, classes.length), ...registers, ...result.slice(classes.length)];
    if (name === "embedding_norm" || name === "pre_norm") result = result.map((x) => normOfBoth(x, weight, 1e-5));
    if (name === "relative_positions") {
      parameters.kept.places = Array.from({ length: shape[0] ?? 0 }, (_, place) => row(weight, width, place));
    }
    if (name === "relative_norm") {
      parameters.kept.places = parameters.kept.places.map((x) => normOfBoth(x, weight, 1e-7));
    }
  }
  return result;
}

/** BERT's pooler: the first position through a projection and tanh. */
async function pooled(stream: Sequence, hidden: number, width: number, parameters: Parameters): Promise<Sequence> {
  const own = parameters.within("pooler.pooler.dense.");
  const weights = {
    weight: await own.matrix("weight", width, hidden),
    bias: await own.vector("bias", width, "bias"),
  };
  return stream.slice(0, 1).map((x) => map(linear(x, weights), Math.tanh));
}

/** What stands before the logits of masked language models: projection, GELU, norm. */
async function transformed(
  stream: Sequence,
  { width, bias, norm, activation = "gelu" }: NonNullable<ModelDescription["head"]["transform"]>,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const weights = {
    weight: await parameters.matrix("projection.weight", width, hidden),
    bias: bias ? await parameters.vector("projection.bias", width, "bias") : null,
  };
  const projected = stream.map((x) => linear(x, weights));
  if (norm === null) return projected;
  const activated = projected.map((x) => map(x, (value) => activate(activation, value)));
  return runNorm(activated, norm, width, parameters.within("norm."));
}
