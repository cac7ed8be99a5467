import { operandsOf } from "../graph/operands.js";
import type {
  Block,
  BlockInstance,
  Graph,
  GraphModule,
  GraphOptions,
  NormOperator,
  Operator,
  Weight,
} from "../graph/types.js";
import { addAdapter, isAdapted, leaveAside, leaveEmbedded, lowerConcat, readAside } from "./aside.js";
import { lowerFusedAttention } from "./attention-fused.js";
import { lowerAppend, lowerMix, lowerScores } from "./attention-naive.js";
import { lowerWideHead } from "./bottleneck.js";
import { bindCache, bindState, lastSize } from "./bindings.js";
import type { Choice } from "./choice.js";
import { ModelBuilder, type Origin } from "./builder.js";
import { addToDepth, beginDepth, isDepth, lowerDepth, readDepth } from "./depth.js";
import type { Emitter } from "./emitter.js";
import { lowerEmbed } from "./embed.js";
import { lowerElementwise } from "./elementwise.js";
import { addEncoder } from "./encoder.js";
import {
  beginBlock,
  endLayer,
  extrasEmitter,
  isLayerExtra,
  isLearnedActivation,
  lowerLearnedActivation,
  summands,
} from "./layer-extras.js";
import { lowerLinear } from "./linear.js";
import { lowerNorm, lowerPlainNorm } from "./norm.js";
import { packedProjections } from "./packed.js";
import { ParameterLayout } from "./parameters.js";
import { isPooler, lowerPooler } from "./pooler.js";
import { isProbe, lowerProbe } from "./probe.js";
import { encodeModel, int } from "./proto.js";
import type { Provider } from "./provider.js";
import { lowerRotary } from "./rotary-embedding.js";
import {
  type CacheBinding,
  type EncoderOutput,
  type LoweringOptions,
  type Scope,
  type StateBinding,
  inputNames,
} from "./scope.js";
import { embedsItself, lowerStackExtras } from "./stack-extras.js";
import { type Features, featuresOf, isStackExtras } from "./stem.js";
import { readStreams } from "./streams.js";
import { tiedTables } from "./tied.js";
import { unsupported } from "./unsupported.js";
import { wholeLowering } from "./mixers/whole.js";
import type { ExternalFile } from "./tensors.js";
import type { WeightSource } from "./weights.js";

/** A graph as an ONNX model. Dimensions b, n, c stay symbols: one session serves all of them. */
export interface LoweredModel {
  /** The bytes of the ONNX model, without parameters. */
  readonly model: Uint8Array;
  /** Bytes of the parameters, rotary tables included. */
  readonly parameterBytes: number;
  readonly caches: readonly CacheBinding[];
  readonly states: readonly StateBinding[];
  /** What an encoder of sound reads; null where there is none. */
  readonly features: Features | null;
  /** Names of the inputs beside the caches. */
  readonly inputs: ReadonlySet<string>;
  /** Name of the result: logits [b, 1 or n, vocabulary], or hidden states where the model has no head. */
  readonly output: string;
  /** The operator of the graph that each node of the model does, by the node's name. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Fills the parameters into files that the runtime takes as external data. */
  parameters(source: WeightSource): Promise<ExternalFile[]>;
}

/**
 * Lowers an operator graph to ONNX for ONNX Runtime, in float32 whatever the model's own types, but for the weights.
 *
 * @throws NsquaredError `unsupported-operator` where ONNX Runtime has no such operator
 */
export function lowerGraph(graph: Graph, options: LoweringOptions): LoweredModel {
  const { provider = "cpu" } = options;
  if (options.weights === "f16" && provider === "cpu") {
    throw unsupported(
      graph.model,
      "ONNX Runtime's CPU provider turns float16 weights into float32 when it opens a model, so nothing is gained; take f32, q8 or q4",
    );
  }
  const builder = new ModelBuilder(provider);
  const layout = new ParameterLayout();
  const caches: CacheBinding[] = [];
  const states: StateBinding[] = [];
  const ids = builder.input(inputNames.ids, "int64", ["b", "n"]);
  const parts = { builder, layout, options, graph: graph.options, caches, states, tied: tiedTables(graph, options) };
  const encoder = lowerEncoder(graph.instances, parts);
  const target: Target = { ...parts, encoder, left: new Map(), choices: [] };
  const running = graph.instances.filter(({ encodes }) => encodes !== true);
  // An encoder of pictures that stands alone begins with its stem.
  const seen = featuresOf(running[0]);
  let stream = seen === null ? ids : builder.input(inputNames.encoderFeatures, "float32", ["b", seen.bins, "frames"]);
  running.forEach((instance, index) => {
    const result = lowerInstance(instance, String(index), stream, target, running[index + 1]);
    if (index === 0) leaveEmbedded(result, target);
    // A pooler beside a head reads what the head reads.
    if (isPooler(instance) && instance !== running.at(-1)) builder.output(result, "float32", ["b", 1, "pooled"]);
    else stream = result;
  });
  const last = graph.instances.at(-1)?.block;
  const width = lastSize(last?.values.get(last.output)?.shape, "the result");
  builder.output(stream, "float32", ["b", "positions", width]);
  for (const { present, kept, hands, kvHeads, keyDim, valueDim } of caches) {
    const tokens = kept.kind === "all" && hands === "all" ? "all" : `${present.key}.tokens`;
    builder.output(present.key, "float32", ["b", kvHeads, tokens, keyDim]);
    builder.output(present.value, "float32", ["b", kvHeads, tokens, valueDim]);
  }
  for (const { present, shape } of states) builder.output(present, "float32", ["b", ...shape]);
  const model = builder.build(graph.model, layout.initializers());
  const pasts = new Set([...caches.flatMap(({ past }) => [past.key, past.value]), ...states.map(({ past }) => past)]);
  return {
    model: encodeModel(model),
    parameterBytes: layout.bytes,
    caches,
    states,
    features: seen ?? featuresOf(graph.instances.find(({ encodes }) => encodes === true)),
    inputs: new Set(model.inputs.map(({ name }) => name).filter((name) => !pasts.has(name))),
    output: stream,
    origins: builder.origins,
    parameters: (source) => layout.load(source),
  };
}

interface Target {
  readonly builder: ModelBuilder;
  readonly layout: ParameterLayout;
  readonly options: LoweringOptions;
  readonly tied: ReadonlySet<string>;
  readonly graph: GraphOptions;
  readonly caches: CacheBinding[];
  readonly states: StateBinding[];
  readonly encoder: EncoderOutput | null;
  /** Values that layers of a stack leave for later ones. */
  readonly left: Map<string, string>;
  readonly choices: Choice[];
}

/** The encoder that a decoder reads, with the model's embedding of its own tokens; null where there is none. */
function lowerEncoder(
  instances: readonly BlockInstance[],
  parts: Omit<Target, "encoder" | "left" | "choices">,
): EncoderOutput | null {
  const [embedding] = instances;
  const encoding = instances.filter(({ encodes }) => encodes === true);
  const last = encoding.at(-1)?.block;
  if (embedding === undefined || last === undefined) return null;
  const target: Target = { ...parts, encoder: null, left: new Map(), choices: [] };
  const features = featuresOf(encoding[0]);
  const input =
    features === null
      ? parts.builder.input(inputNames.encoderIds, "int64", ["b", "m"])
      : parts.builder.input(inputNames.encoderFeatures, "float32", ["b", features.bins, "frames"]);
  const shape = last.values.get(last.output)?.shape;
  // A length that is a symbol is none yet.
  const tokens = shape?.[1]?.at({}) ?? 0;
  const size = { width: lastSize(shape, "the encoder's output"), tokens: tokens === 0 ? null : tokens };
  return addEncoder(parts.builder, size, () => {
    let stream = embedsItself(encoding[0]) ? input : lowerInstance(embedding, "encoder.embedding", input, target);
    encoding.forEach((instance, index) => {
      stream = lowerInstance(instance, `encoder.${index}`, stream, target);
    });
    return stream;
  });
}

function lowerInstance(
  instance: BlockInstance,
  index: string,
  stream: string,
  target: Target,
  next?: BlockInstance,
): string {
  const { block } = instance;
  const { builder, layout, options } = target;
  const names = new Map<string, string>();
  const bindings = new Map<string, CacheBinding>();
  const [first, ...others] = block.inputs;
  if (others.length > 0 && !isDepth(block))
    throw unsupported(block.name, "no lowering of blocks with more than one input");
  if (first !== undefined) names.set(first, stream);
  const own: Omit<Scope, "next"> = {
    ...namedIn(instance, layout),
    builder,
    layout,
    options,
    tied: target.tied,
    value: (local) => {
      const name = names.get(local);
      if (name === undefined) throw new Error(`block ${block.name} uses ${local} before it is made`);
      return name;
    },
    fresh: (local) => `${index}.${local}`,
    cache: (local, kept = { kind: "all" }, hands = "all") => {
      const known = bindings.get(local);
      if (known !== undefined) return known;
      const binding = bindCache(block, local, { kept, hands }, target);
      bindings.set(local, binding);
      return binding;
    },
    state: (shape) => bindState(shape, target),
    encoder: target.encoder,
    left: target.left,
    choices: target.choices,
    latestCache: () => target.caches.findLast(({ kept }) => kept.kind === "all") ?? null,
  };
  const following =
    next === undefined || (block.aside !== true && !isDepth(next.block))
      ? null
      : { ...own, ...namedIn(next, layout), fresh: (local: string) => `${index}.next.${local}`, next: null };
  const context: Scope = { ...own, next: following };
  if (isPooler(instance)) return lowerPooler(stream, context);
  if (isProbe(instance)) return lowerProbe(stream, instance, context);
  if (isStackExtras(instance)) return lowerStackExtras(stream, block, context);
  if (isDepth(block)) return lowerDepth(stream, block, context);
  beginDepth(stream, context);
  const packed = packedProjections(block, isAdapted(context));
  const skipped = new Set<Operator>([...packed.values()].flat());
  const modules = wholeModules(block, target.graph, builder.provider);
  const extras = extrasEmitter(context);
  if (first !== undefined) names.set(first, beginBlock(stream, block, extras));
  const extra = block.operators.find(isLayerExtra);
  for (const operator of block.operators) {
    if (isLayerExtra(operator)) continue;
    const whole = modules.get(operator);
    if (whole !== undefined) {
      names.set(whole.module.output, whole.lower(context.value(whole.module.input), context));
      for (const inside of whole.module.operators) skipped.add(inside);
    }
    if (skipped.has(operator)) continue;
    const origin = { operator: operator.name, part: operator.part };
    names.set(
      operator.output,
      builder.from(origin, () => lowerOperator(operator, block, context, { packed, extras })),
    );
  }
  if (block.aside === true) {
    leaveAside(context.value(block.output), target);
    return stream;
  }
  if (extra === undefined) return context.value(block.output);
  return endLayer(context.value(operandsOf(extra)[0] ?? ""), block, extras, instance.layer ?? 0);
}

/** What a block's weights and values are called, and how large they are. */
function namedIn(
  { block, scope }: BlockInstance,
  layout: ParameterLayout,
): Pick<Scope, "weight" | "parameter" | "qualified" | "width" | "hasWeight"> {
  const weight = (local: string): { name: string; weight: Weight } => {
    const found = block.weights.get(local);
    if (found === undefined) throw new Error(`block ${block.name} has no weight ${local}`);
    return { name: `${scope}.${local}`, weight: found };
  };
  return {
    weight,
    parameter: (local, offset = false) => layout.parameter({ ...weight(local), offset }),
    qualified: (local) => `${scope}.${local}`,
    width: (local) => lastSize(block.values.get(local)?.shape, local),
    hasWeight: (local) => block.weights.has(local),
  };
}

interface WholeModule {
  readonly module: GraphModule;
  readonly lower: (input: string, scope: Scope) => string;
}

/** The modules of a block that are lowered as a whole, by their first operator. */
function wholeModules(block: Block, options: GraphOptions, provider: Provider): Map<Operator, WholeModule> {
  const found = new Map<Operator, WholeModule>();
  for (const module of block.modules) {
    const [first] = module.operators;
    const lower = wholeLowering(module, options, provider);
    if (first !== undefined && lower !== null) found.set(first, { module, lower });
  }
  return found;
}

const loweredKinds = [
  "embed",
  "linear",
  "norm",
  "attention",
  "rotary",
  "append",
  "scores",
  "softmax",
  "mix",
  "elementwise",
  "last",
  "weighted",
  "concat",
] as const;
type LoweredOperator = Extract<Operator, { kind: (typeof loweredKinds)[number] }>;

function isLowered(operator: Operator): operator is LoweredOperator {
  const kinds: readonly string[] = loweredKinds;
  return kinds.includes(operator.kind);
}

/** What a norm reads: the stream, or what the layer's extras, the layer before or mixtures over depth make of it. */
function readBy(operator: NormOperator, block: Block, scope: Scope, extras: Emitter): string {
  return readDepth(operator, readAside(extras, operator, readStreams(extras, operator, block)), scope);
}

function lowerOperator(
  operator: Operator,
  block: Block,
  scope: Scope,
  { packed, extras }: { readonly packed: ReturnType<typeof packedProjections>; readonly extras: Emitter },
): string {
  if (!isLowered(operator)) throw unsupported(operator.name, `no lowering of "${operator.kind}" operators`);
  const { builder } = scope;
  const output = scope.fresh(operator.output);
  switch (operator.kind) {
    case "embed":
      return lowerEmbed(operator, scope);
    case "linear":
      if (operator.name === "lm_head" && scope.hasWeight("rest.weight")) {
        return lowerWideHead(scope.value(operator.input), block, extras, scope);
      }
      // The head's product has it in already.
      if (operator.name === "rest_projection") return scope.value("logits");
      return addAdapter(operator, lowerLinear(operator, scope), scope);
    case "norm":
      return lowerNorm(operator, scope, readBy(operator, block, scope, extras));
    case "concat":
      return lowerConcat(operator, scope);
    case "attention":
      return lowerFusedAttention(operator, scope, packed.get(operator) ?? null);
    case "rotary":
      return lowerRotary(operator, scope);
    case "append":
      return lowerAppend(operator, scope);
    case "scores":
      return lowerScores(operator, scope);
    case "softmax":
      return builder.node(output, "Softmax", [scope.value(operator.input)], { attributes: { axis: int(-1) } });
    case "mix":
      return lowerMix(operator, scope);
    case "elementwise":
      if (isLearnedActivation(operator, extras))
        return lowerLearnedActivation(scope.value(operator.inputs[0] ?? ""), extras);
      if (operator.part === "residual") {
        const parts = addToDepth(operator, output, scope) ?? summands(operator, block, extras);
        return builder.node(output, parts.length === 1 ? "Identity" : "Add", parts);
      }
      return lowerElementwise(operator, scope);
    case "weighted":
      return lowerPlainNorm(operator, scope);
    case "last":
      return builder.node(output, "Gather", [scope.value(operator.input), builder.integers([-1])], {
        attributes: { axis: int(1) },
      });
  }
}
