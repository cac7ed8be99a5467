import { type MatrixFormat, type ModuleRule, type QuantisedStorage } from "../../storage.js";
import { algorithmFormat } from "./algorithms.js";
import { schemeFormat } from "./compressed.js";
import {
  additive,
  blockwise4,
  fp8Blocks,
  fp8PerChannel,
  fp8PerTensor,
  int8PerChannel,
  integers,
  microscaled,
  nvfp4,
  ternary,
} from "./formats.js";
import { type JsonObject, type JsonValue, isObject } from "../json.js";
import { isOtherExpert } from "../../module-pattern.js";
import type { Section } from "./section.js";
import { torchaoFormat } from "./torchao.js";

/** What a method makes of a config; null where a scheme in it is not known. */
type Method = (config: Section, experts: string | null) => Omit<QuantisedStorage, "kind" | "method"> | null;

/** All linear maps but the head, those of towers among them: toolkits that walk the whole model. */
const everyLinear = { head: false, embedding: false, routers: false, towers: true } as const;
/** Those of the language model's layers: toolkits that go layer by layer. */
const layerLinear = { ...everyLinear, towers: false } as const;

const kept = (...modules: readonly string[]): ModuleRule[] => (modules.length === 0 ? [] : [{ modules, format: null }]);

/** One format for all linear maps but those that are listed as left alone, and the head. */
function uniform(
  format: MatrixFormat | null,
  left: readonly string[],
  reaches: QuantisedStorage["reaches"] = everyLinear,
): ReturnType<Method> {
  return format === null ? null : { rules: kept(...left), others: format, reaches };
}

/**
 * FP8 of Hugging Face and DeepSeek: blocks with a scale each, in float32, or in 8 bits where the checkpoint's experts are
 * FP4 (DeepSeek-V4: `expert_dtype`, compressors and a projection by groups left in bfloat16). Layers that
 * `quantized_layers` name are in the format named there.
 */
const fp8: Method = (config, experts) => {
  if (config.has("quantized_layers") || config.has("config_groups")) return mixed(config, experts);
  const left = config.names("modules_to_not_convert");
  const base = fp8Base(config, experts);
  return { rules: [...kept(...left, ...wide), ...expertsIn(experts)], others: base, reaches: everyLinear };
};

/** Experts of checkpoints whose `expert_dtype` is not that of the rest. */
function expertsIn(dtype: string | null): ModuleRule[] {
  return dtype === "fp4" ? [{ modules: ["experts"], format: microscaled(4, "float8") }] : [];
}

/** Left wide by every checkpoint of DeepSeek-V4 and V3.2. */
const wide = ["compressor", "wo_a", "eh_proj"] as const;

function fp8Base(config: Section, experts: string | null): MatrixFormat {
  const operands = "float8";
  const block = config.pair("weight_block_size");
  if (block === null) return config.has("weight_per_channel") ? fp8PerChannel(32, operands) : fp8PerTensor(operands);
  const [rows, columns] = block;
  return fp8Blocks(rows, columns, experts === "fp4" ? 8 : 32, operands);
}

/** modelopt: one algorithm for all linear maps, or one per module in `quantized_layers`. */
function mixed(config: Section, experts: string | null): ReturnType<Method> {
  const left = [...config.names("ignore"), ...config.names("exclude_modules")];
  const named = byFormat(config.child("quantized_layers"), ["quant_algo", "group_size"], layerFormat);
  if (named.some(({ format }) => format === null)) return null;
  const own = config.word("quant_algo");
  if (own === "mixed_precision") {
    // What no entry names is in the checkpoint's own FP8 where it has one, else untouched.
    const rest =
      config.word("quant_method") === "fp8" && config.has("weight_block_size") ? fp8Base(config, experts) : null;
    // Modules listed as ignored are those that modelopt left alone, which the checkpoint may have in FP8 before.
    return {
      rules: rest === null ? [...kept(...left), ...named] : [...named, ...kept(...wide), ...expertsIn(experts)],
      others: rest,
      reaches: everyLinear,
    };
  }
  const format = own === null ? null : algorithmFormat(own, config.whole("group_size", null));
  if (format !== null) {
    return { rules: [...kept(...left), ...named], others: format, reaches: { ...everyLinear, head: true } };
  }
  return compressed(config, experts);
}

/** Modules in one format, and what their entries say of it. */
interface SaidFormat {
  readonly values: readonly (JsonValue | undefined)[];
  readonly modules: string[];
  readonly format: MatrixFormat | null;
}

/**
 * The modules that are named in a section, together with those of the same format; `says` are the keys that decide it.
 * Lists name each expert of each layer, tens of thousands: the first one speaks for all, and most entries say what the
 * one before says, whose format was read.
 */
function byFormat(
  listed: Section | null,
  says: readonly string[],
  formatOf: (one: Section) => MatrixFormat | null,
): ModuleRule[] {
  if (listed === null) return [];
  const found = new Map<string, SaidFormat>();
  let last: SaidFormat | undefined;
  for (const module of listed.keys()) {
    if (isOtherExpert(module)) continue;
    const said = listed.raw(module);
    if (!isObject(said)) continue;
    if (last === undefined || !saysSame(said, says, last)) {
      const values = says.map((name) => said[name]);
      const key = values.map(plainText).join(" ");
      last = found.get(key) ?? { values, modules: [], format: formatIn(listed, module, formatOf) };
      found.set(key, last);
    }
    last.modules.push(module);
  }
  return [...found.values()].map(({ modules, format }) => ({ modules, format }));
}

function saysSame(said: JsonObject, says: readonly string[], { values }: SaidFormat): boolean {
  return says.every((name, index) => said[name] === values[index]);
}

/** Two values that read the same have the same text; what is no text or number is refused when it is read. */
function plainText(value: JsonValue | undefined): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : typeof value;
}

function formatIn(
  listed: Section,
  module: string,
  formatOf: (one: Section) => MatrixFormat | null,
): MatrixFormat | null {
  const one = listed.child(module);
  return one === null ? null : formatOf(one);
}

function layerFormat(layer: Section): MatrixFormat | null {
  return algorithmFormat(layer.word("quant_algo") ?? "", layer.whole("group_size", null));
}

/** compressed-tensors: groups of targets, which are names, expressions, or the class `Linear`. */
const compressed: Method = (config) => {
  const file = config.word("format");
  const rules: ModuleRule[] = [...kept(...config.names("ignore"))];
  let others: MatrixFormat | null = null;
  const groups = config.child("config_groups")?.children() ?? [];
  for (const [, group] of groups) {
    const format = schemeFormat(group, file);
    if (format === null) return null;
    const targets = group.names("targets");
    const classes = targets.filter((target) => /^[A-Z]\w*$/.test(target));
    if (classes.length > 0 || targets.length === 0) others ??= format;
    const modules = targets.filter((target) => !classes.includes(target));
    if (modules.length > 0) rules.push({ modules, format });
  }
  return groups.length === 0 ? null : { rules, others, reaches: { ...everyLinear, head: true } };
};

const modelopt: Method = (config, experts) => mixed(config, experts);

/** GPTQ: qweight, qzeros, scales and g_idx of each linear map; `dynamic` changes or leaves out what its keys name. */
const gptq: Method = (config) => {
  const bits = config.whole("bits", 4, 8);
  const group = config.whole("group_size", null);
  // Files hold zero points and g_idx whether or not they are needed.
  const made = (b: number, g: number | null): MatrixFormat =>
    integers({ bits: b, group: g, scaleBits: 16, zeroBits: b, indexed: true });
  const rules: ModuleRule[] = [];
  for (const [key, one] of config.child("dynamic")?.children() ?? []) {
    const modules = [`re:${key.replace(/^[+-]:/, "")}`];
    rules.push({
      modules,
      format: key.startsWith("-:") ? null : made(one.whole("bits", bits, 8), one.whole("group_size", group)),
    });
  }
  return {
    rules: [...rules, ...kept(...config.names("modules_to_not_convert"))],
    others: made(bits, group),
    reaches: { ...layerLinear, head: config.flag("lm_head", false) },
  };
};

const awq: Method = (config) => {
  const bits = config.whole("bits", config.whole("w_bit", 4, 8), 8);
  const group = config.whole("group_size", config.whole("q_group_size", 128));
  const format = integers({ bits, group, scaleBits: 16, zeroBits: bits });
  return uniform(format, config.names("modules_to_not_convert"), layerLinear);
};

/** AutoRound in the layout of GPTQ, unless it says AWQ's; `extra_config` has layers with bits of their own. */
const autoRound: Method = (config) => {
  const bits = config.whole("bits", 4, 16);
  const group = config.whole("group_size", 128);
  const made = (b: number, g: number): MatrixFormat | null =>
    b >= 16 ? null : integers({ bits: b, group: g, scaleBits: 16, zeroBits: b });
  const rules = byFormat(config.child("extra_config"), ["bits", "group_size"], (one) =>
    made(one.whole("bits", bits, 32), one.whole("group_size", group)),
  );
  return { rules, others: made(bits, group), reaches: layerLinear };
};

const bitsAndBytes: Method = (config) => {
  const left = config.names("llm_int8_skip_modules");
  if (config.flag("load_in_8bit", false) || config.flag("_load_in_8bit", false)) {
    return uniform(int8PerChannel(32, "int8"), left);
  }
  const kind = config.word("bnb_4bit_quant_type") ?? "fp4";
  return uniform(blockwise4(kind, config.flag("bnb_4bit_use_double_quant", false)), left);
};

/** gpt-oss: experts alone; its list names what is left out besides. */
const mxfp4: Method = (config) => ({
  rules: [...kept(...config.names("modules_to_not_convert")), { modules: ["experts"], format: microscaled(4, null) }],
  others: null,
  reaches: layerLinear,
});

const fbgemm: Method = (config) => uniform(fp8PerChannel(32, "float8"), config.names("modules_to_not_convert"));

const eetq: Method = (config) => uniform(int8PerChannel(16, null), config.names("modules_to_not_convert"));

const quanto: Method = (config) => {
  const weights = config.word("weights") ?? "int8";
  const activations = config.word("activations");
  const operands = activations === "int8" ? "int8" : activations === "float8" ? "float8" : null;
  const [, bits = ""] = /^int([248])$/.exec(weights) ?? [];
  const format =
    weights === "float8"
      ? fp8PerChannel(16, operands)
      : bits === "8"
        ? int8PerChannel(16, operands)
        : bits === ""
          ? null
          : integers({ bits: Number(bits), group: 128, scaleBits: 16, zeroBits: 16, operands });
  return uniform(format, config.names("modules_to_not_convert"));
};

/** HQQ: scale and zero point of 16 bits per group; sizes under `quant_config.weight_quant_params` or beside it. */
const hqq: Method = (config) => {
  const made = (section: Section): MatrixFormat => {
    const inner = section.child("weight_quant_params") ?? section;
    const bits = inner.whole("nbits", 4, 8);
    return integers({ bits, group: inner.whole("group_size", 64), scaleBits: 16, zeroBits: 16 });
  };
  const own = config.child("quant_config") ?? config;
  const tagged = own.children().filter(([key]) => /[a-z]_proj$/.test(key));
  const rules = tagged.map(([name, one]): ModuleRule => ({ modules: [name], format: made(one) }));
  const left = config.names("skip_modules");
  return { rules: [...kept(...left), ...rules], others: made(own), reaches: everyLinear };
};

const aqlm: Method = (config) =>
  uniform(
    additive(
      config.whole("num_codebooks", 1, 64),
      config.whole("nbits_per_codebook", 16, 24),
      config.whole("in_group_size", 8),
      config.whole("out_group_size", 1),
    ),
    config.names("linear_weights_not_to_quantize"),
    layerLinear,
  );

const bitnet: Method = (config) => uniform(ternary, config.names("modules_to_not_convert"));

/** AMD's Quark: one weight scheme for all, others in `layer_quant_config`. */
const quark: Method = (config) => {
  const global = config.child("global_quant_config");
  const format = global === null ? null : quarkFormat(global);
  if (format === null) return null;
  const rules: ModuleRule[] = [];
  for (const [name, one] of config.child("layer_quant_config")?.children() ?? []) {
    const own = quarkFormat(one);
    if (own === null && one.has("weight")) return null;
    rules.push({ modules: [name], format: own });
  }
  return {
    rules: [...kept(...config.names("exclude")), ...rules],
    others: format,
    reaches: { ...everyLinear, head: true },
  };
};

function quarkFormat(scheme: Section): MatrixFormat | null {
  const weight = scheme.child("weight");
  if (weight === null) return null;
  const kind = weight.word("dtype") ?? "";
  const group = weight.whole("group_size", null);
  const operands = scheme.has("input_tensors");
  switch (kind) {
    case "fp4":
      return microscaled(4, operands ? "float4" : null);
    case "fp8_e4m3":
      return weight.word("qscheme") === "per_channel"
        ? fp8PerChannel(32, operands ? "float8" : null)
        : fp8PerTensor(operands ? "float8" : null);
    case "int8":
      return int8PerChannel(32, operands ? "int8" : null);
    case "int4":
    case "uint4":
      return integers({ bits: 4, group, scaleBits: 16, zeroBits: kind === "uint4" ? 4 : 0 });
    default:
      return null;
  }
}

/** MLX quantises embedding, head and routers too; objects under modules' names change or (false) leave out theirs. */
const mlx: Method = (config) => {
  const made = (section: Section): MatrixFormat | null => {
    const bits = section.whole("bits", config.whole("bits", 4, 8), 8);
    const group = section.whole("group_size", config.whole("group_size", 64));
    const mode = section.word("mode") ?? config.word("mode") ?? "affine";
    if (mode === "affine") return integers({ bits, group, scaleBits: 16, zeroBits: 16 });
    if (mode === "nvfp4") return nvfp4(group, null);
    return mode === "mxfp4" || mode === "mxfp8" ? microscaled(mode === "mxfp8" ? 8 : 4, null) : null;
  };
  const others = made(config);
  if (others === null) return null;
  const left = config.keys().filter((key) => config.raw(key) === false);
  const rules = byFormat(config, ["bits", "group_size", "mode"], made);
  return {
    rules: [...kept(...left), ...rules],
    others,
    reaches: { head: true, embedding: true, routers: true, towers: false },
  };
};

const torchao: Method = (config) => {
  const format = torchaoFormat(config);
  if (format === null) return null;
  const whole = config.flag("include_input_output_embeddings", false);
  return {
    rules: kept(...config.names("modules_to_not_convert")),
    others: format,
    reaches: { ...everyLinear, head: whole, embedding: whole },
  };
};

/** Methods by `quant_method`. */
export const methods: Readonly<Record<string, Method>> = {
  fp8,
  modelopt,
  modelopt_fp4: modelopt,
  "compressed-tensors": compressed,
  compressed_tensors: compressed,
  gptq,
  awq,
  "auto-round": autoRound,
  bitsandbytes: bitsAndBytes,
  mxfp4,
  fbgemm_fp8: fbgemm,
  eetq,
  quanto,
  hqq,
  aqlm,
  bitnet,
  quark,
  torchao,
  mlx,
};
