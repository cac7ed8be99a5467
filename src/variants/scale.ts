import { badInput } from "../base/errors.js";
import type { Attention, Extras, Ffn, Indexer, Layer, Mixer, ModelDescription, Stack } from "../model/types.js";
import { greatestDivisor } from "./divisor.js";
import { carriesText, changeLayers, mixerKinds } from "./layers.js";

/** A model made small enough for the machine: fewer layers, a narrower stream, a shorter vocabulary. */
export interface Scaling {
  readonly layers?: number | undefined;
  readonly hidden?: number | undefined;
  readonly vocabulary?: number | undefined;
}

/** What is asked for, without what is not; null where nothing is. */
export function scalingOf({ layers, hidden, vocabulary }: Scaling): Scaling | null {
  const asked = Object.entries({ layers, hidden, vocabulary }).filter(([, value]) => value !== undefined);
  return asked.length === 0 ? null : Object.fromEntries(asked);
}

/**
 * The model with as many layers, as wide and with as many words as asked for. Its pattern of layers stays: the first
 * ones are kept, and more than there are repeat from the first. Narrower means fewer heads of the same size. Notes say
 * that it was scaled, and what was lost.
 *
 * @throws NsquaredError `scaling-invalid`
 */
export function scaled(model: ModelDescription, { layers, hidden, vocabulary }: Scaling): ModelDescription {
  let result = model;
  if (layers !== undefined && hasOtherLayers(model, layers)) result = withLayers(result, layers);
  if (hidden !== undefined && hidden !== model.hiddenSize) result = withHidden(textAlone(result), hidden);
  // An encoder of pictures has none.
  const others = vocabulary !== undefined && vocabulary !== model.vocabularySize && result.embedding.rows > 0;
  if (others) result = withVocabulary(result, vocabulary);
  return result;
}

function noted(model: ModelDescription, note: string): ModelDescription {
  return { ...model, notes: [...model.notes, note] };
}

function hasOtherLayers({ stacks }: ModelDescription, wanted: number): boolean {
  return stacks.some((stack) => carriesText(stack) && stack.layers.length !== wanted);
}

function layerCounts({ stacks }: ModelDescription): string {
  return stacks.map(({ layers }) => layers.length).join(" + ");
}

function withLayers(model: ModelDescription, wanted: number): ModelDescription {
  const stacks = model.stacks.map((stack) => {
    if (!carriesText(stack)) return stack;
    const layers = Array.from({ length: wanted }, (_, index) => stack.layers[index % stack.layers.length]);
    return { ...stack, layers: layers.filter((layer) => layer !== undefined) };
  });
  const result = { ...withInputsFor(model, wanted), stacks };
  const lost = mixerKinds(model).filter((kind) => !mixerKinds(result).includes(kind));
  const missing = lost.length === 0 ? "" : `; none of them mixes by ${lost.join(" or ")}, as others of the model do`;
  const now = layerCounts(result);
  return noted(result, `scaled: ${now} ${now === "1" ? "layer" : "layers"} instead of ${layerCounts(model)}${missing}`);
}

/** The model with inputs of each layer's own (Gemma 4) for so many layers: the table's rows and the projection of all. */
function withInputsFor(model: ModelDescription, wanted: number): ModelDescription {
  const { embedding, extras, stacks } = model;
  const layers = stacks.at(-1)?.layers.length ?? wanted;
  const share = (width: number): number => (width / layers) * wanted;
  const tables = embedding.tables?.map((table) =>
    table.name === perLayerTable ? { ...table, width: share(table.width) } : table,
  );
  const linears = extras?.linears?.map((linear) =>
    linear.name === perLayerProjection ? { ...linear, outWidth: share(linear.outWidth) } : linear,
  );
  return {
    ...model,
    ...(tables === undefined ? {} : { embedding: { ...embedding, tables } }),
    ...(extras === undefined || linears === undefined ? {} : { extras: { ...extras, linears } }),
  };
}

/** The table and the projection that inputs of each layer's own come from. */
const [perLayerTable, perLayerProjection] = ["per_layer", "per_layer_projection"];

/** The model without its towers of pictures and sound, whose widths have nothing to do with the text's. */
function textAlone(model: ModelDescription): ModelDescription {
  const stacks = model.stacks.filter(carriesText);
  if (stacks.length === model.stacks.length) return model;
  return noted({ ...model, stacks }, "scaled: the text part alone");
}

function withVocabulary(model: ModelDescription, wanted: number): ModelDescription {
  const { rows: _rows, ...head } = model.head;
  // An encoder may have a table of its own.
  const stacks = model.stacks.map((stack): Stack => {
    const weights = stack.extras?.weights?.map((weight) =>
      weight.name === "embedding" ? { ...weight, shape: [wanted, ...weight.shape.slice(1)] } : weight,
    );
    return weights === undefined ? stack : { ...stack, extras: { ...stack.extras, weights } };
  });
  return noted(
    {
      ...model,
      vocabularySize: wanted,
      embedding: {
        ...model.embedding,
        rows: wanted,
        ...(model.embedding.tables === undefined
          ? {}
          : {
              tables: model.embedding.tables.map((table) =>
                table.name === perLayerTable ? { ...table, rows: Math.min(table.rows, wanted) } : table,
              ),
            }),
      },
      head,
      stacks,
    },
    `scaled: a vocabulary of ${wanted} instead of ${model.vocabularySize}`,
  );
}

/** Linear maps beside the layers' parts that are as wide as the stream on one side, and no function of it on the other. */
const scaledLinears = /^(per_layer_gate|per_layer_projection|embedding_projection|(mixer|ffn|join)_streams)$/;

function withHidden(model: ModelDescription, wanted: number): ModelDescription {
  const refuse = (found: unknown, expected: string): Error =>
    badInput("scaling-invalid", { where: model.name, key: "--hidden", found, expected });
  const fixed = ({
    weights: tables = [],
    convolutions: _stem,
    linears = [],
    products = [],
    ...others
  }: Extras = {}): boolean =>
    // Of two tables side by side each would have to know its share.
    tables.some(({ name }) => name === "positions0") ||
    products.some(({ name }) => name !== "streams_mixed") ||
    linears.some(({ name }) => !scaledLinears.test(name)) ||
    Object.values(others).some((list: unknown) => Array.isArray(list) && list.length > 0);
  const unknown =
    fixed(model.extras) ||
    model.stacks.some(
      (stack) =>
        (stack.hiddenSize !== undefined && stack.hiddenSize !== model.hiddenSize) ||
        fixed(stack.extras) ||
        stack.layers.some(({ extras }) => fixed(extras)),
    );
  if (unknown)
    throw refuse(wanted, "no other width: this model has parts of fixed widths beside its layers; take --layers");
  const scaler = new Scaler(model.hiddenSize, wanted, refuse);
  const { embedding, head } = model;
  const width = (old: number): number => (old === model.hiddenSize ? wanted : scaler.width(old));
  // A table of positions has as many rows as before, whatever its width.
  const narrowed = (extras: Extras | undefined): { extras?: Extras } => {
    if (extras === undefined) return {};
    // Several streams beside each other are so many times as wide.
    const own = (size: number): number => (size % model.hiddenSize === 0 ? (size / model.hiddenSize) * wanted : size);
    const linears = extras.linears?.map((linear) => ({
      ...linear,
      inWidth: own(linear.inWidth),
      outWidth: own(linear.outWidth),
    }));
    const weights = extras.weights?.map(({ name, shape, ...more }) => ({
      ...more,
      name,
      shape: shape.map((size, axis) =>
        size === model.hiddenSize && !(axis === 0 && name === "positions") ? wanted : size,
      ),
    }));
    const products = extras.products?.map((product) => ({ ...product, columns: own(product.columns) }));
    const convolutions = extras.convolutions?.map((convolution) => ({
      ...convolution,
      inWidth: own(convolution.inWidth),
      outWidth: own(convolution.outWidth),
    }));
    return {
      extras: {
        ...extras,
        ...(products === undefined ? {} : { products }),
        ...(convolutions === undefined ? {} : { convolutions }),
        ...(linears === undefined ? {} : { linears }),
        ...(weights === undefined ? {} : { weights }),
      },
    };
  };
  const changed = changeLayers(
    model,
    (layer): Layer => ({
      ...layer,
      ...narrowed(layer.extras),
      mixers: layer.mixers.map((mixer) => scaler.mixer(mixer)),
      ffns: layer.ffns.map((ffn) => scaler.ffn(ffn)),
    }),
  );
  // A narrower embedding stays as it is, and so does what is compared with it.
  const narrow = embedding.projection !== undefined;
  const rootScale = embedding.scale !== null && Math.abs(embedding.scale ** 2 / model.hiddenSize - 1) < 0.01;
  return noted(
    {
      ...changed,
      ...narrowed(model.extras),
      stacks: changed.stacks.map((stack) => ({ ...stack, ...narrowed(stack.extras) })),
      hiddenSize: wanted,
      embedding: {
        ...embedding,
        width: embedding.projection === undefined ? wanted : embedding.width,
        scale: rootScale ? Math.sqrt(wanted) : embedding.scale,
        ...(embedding.tables === undefined
          ? {}
          : {
              tables: embedding.tables.map((table) => ({
                ...table,
                width:
                  table.width === embedding.width && embedding.projection === undefined && table.name !== perLayerTable
                    ? wanted
                    : table.width,
              })),
            }),
      },
      head: {
        ...head,
        ...(head.transform === undefined
          ? {}
          : { transform: { ...head.transform, width: narrow ? head.transform.width : width(head.transform.width) } }),
        ...(head.probe === undefined
          ? {}
          : {
              probe: {
                ...head.probe,
                heads: scaler.heads(head.probe.heads, model.hiddenSize / head.probe.heads),
                width: scaler.width(head.probe.width),
              },
            }),
        ...(head.inWidth === undefined ? {} : { inWidth: width(head.inWidth) }),
        ...(head.pooler === undefined ? {} : { pooler: width(head.pooler) }),
      },
    },
    `scaled: a hidden size of ${wanted} instead of ${model.hiddenSize}`,
  );
}

/** Widths below this make no sense for matrix products of any hardware. */
const granule = 8;

class Scaler {
  private readonly ratio: number;

  constructor(
    private readonly from: number,
    private readonly to: number,
    private readonly refuse: (found: unknown, expected: string) => Error,
  ) {
    this.ratio = to / from;
  }

  width(old: number): number {
    return Math.max(granule, Math.round((old * this.ratio) / granule) * granule);
  }

  /** Fewer heads of the same size; where heads fill the stream, they must still. */
  heads(old: number, dim: number): number {
    if (old * dim === this.from) {
      if (this.to % dim !== 0) throw this.refuse(this.to, `a multiple of ${dim}, the size of a head`);
      return this.to / dim;
    }
    return Math.max(1, Math.round(old * this.ratio));
  }

  ffn(ffn: Ffn): Ffn {
    const { width } = ffn;
    if (ffn.kind !== "moe") return { ...ffn, width: this.width(width) };
    return {
      ...ffn,
      width: this.width(width),
      ...(ffn.latentWidth === undefined ? {} : { latentWidth: this.width(ffn.latentWidth) }),
      ...(ffn.routerWidth === undefined ? {} : { routerWidth: this.width(ffn.routerWidth) }),
      ...(ffn.shared === undefined ? {} : { shared: { ...ffn.shared, width: this.width(ffn.shared.width) } }),
    };
  }

  mixer(mixer: Mixer): Mixer {
    switch (mixer.kind) {
      case "attention":
        return this.attention(mixer);
      case "latent": {
        const queryRank = mixer.queryRank === null ? null : this.width(mixer.queryRank);
        return {
          ...mixer,
          heads: Math.max(1, Math.round(mixer.heads * this.ratio)),
          queryRank,
          kvRank: this.width(mixer.kvRank),
          ...(mixer.indexer === undefined ? {} : { indexer: this.indexer(mixer.indexer, queryRank) }),
        };
      }
      case "mamba1":
        return {
          ...mixer,
          width: this.width(mixer.width),
          timeRank: Math.max(1, Math.round(mixer.timeRank * this.ratio)),
        };
      case "mamba2": {
        const heads = Math.max(1, Math.round(mixer.heads * this.ratio));
        return { ...mixer, heads, groups: greatestDivisor(heads, mixer.groups) };
      }
      case "delta": {
        const keyHeads = Math.max(1, Math.round(mixer.keyHeads * this.ratio));
        return { ...mixer, keyHeads, valueHeads: (keyHeads * mixer.valueHeads) / mixer.keyHeads };
      }
      case "lightning":
        return { ...mixer, heads: this.heads(mixer.heads, mixer.headDim) };
      case "linear":
        return { ...mixer, heads: this.heads(mixer.heads, mixer.valueDim) };
      case "linformer":
        return { ...mixer, heads: this.heads(mixer.heads, mixer.headDim) };
      case "cell":
        return { ...mixer, width: mixer.width === this.from ? this.to : this.width(mixer.width) };
      case "rwkv":
        return { ...mixer, width: this.heads(mixer.width / mixer.headDim, mixer.headDim) * mixer.headDim };
      case "mlstm":
        return { ...mixer, heads: this.heads(mixer.heads, mixer.valueDim) };
      case "nystrom":
        return { ...mixer, heads: this.heads(mixer.heads, mixer.headDim) };
      case "rg-lru": {
        const width = this.width(mixer.width);
        return { ...mixer, width, heads: greatestDivisor(width, mixer.heads) };
      }
      case "short-convolution":
      case "gated-memory":
      case "rwkv4":
        return { ...mixer, width: this.width(mixer.width) };
      case "fourier":
        return mixer;
      case "relative":
        return { ...mixer, heads: this.heads(mixer.heads, mixer.headDim) };
      case "compressed": {
        const heads = Math.max(1, Math.round(mixer.heads * this.ratio));
        return {
          ...mixer,
          heads,
          queryRank: this.width(mixer.queryRank),
          outputGroups: greatestDivisor(heads, mixer.outputGroups),
          outputRank: this.width(mixer.outputRank),
          indexer:
            mixer.indexer === null
              ? null
              : { ...mixer.indexer, heads: Math.max(1, Math.round(mixer.indexer.heads * this.ratio)) },
        };
      }
      case "segment":
        throw this.refuse(this.to, `no other width: ${mixer.kind} mixers cannot be scaled; take --layers`);
    }
  }

  private attention(mixer: Attention): Attention {
    const fixed = [mixer.inputWidth, mixer.outputWidth, mixer.sourceWidth, mixer.groups, mixer.projectionExperts];
    if (fixed.some((part) => part !== undefined)) {
      throw this.refuse(this.to, "no other width: its attention has widths of its own; take --layers");
    }
    const heads = this.heads(mixer.heads, mixer.keyDim);
    return {
      ...mixer,
      heads,
      kvHeads: greatestDivisor(heads, Math.max(1, Math.round(mixer.kvHeads * this.ratio))),
      ...(mixer.indexer === undefined ? {} : { indexer: this.indexer(mixer.indexer, null) }),
    };
  }

  private indexer(indexer: Indexer, queryRank: number | null): Indexer {
    return {
      ...indexer,
      heads: Math.max(1, Math.round(indexer.heads * this.ratio)),
      queryWidth: queryRank ?? (indexer.queryWidth === this.from ? this.to : this.width(indexer.queryWidth)),
    };
  }
}
