import { badInput } from "../../base/errors.js";
import type { ModelDescription, Stack } from "../types.js";
import { ConfigReader } from "./config-reader.js";
import { classicReaders } from "./classic.js";
import { clipReaders } from "./clip.js";
import { type Composite, composites, textAliases } from "./composite.js";
import { convBertReaders } from "./convbert.js";
import { classDefaults } from "./defaults/all.js";
import { debertaReaders } from "./deberta.js";
import { decoderKinReaders } from "./decoder-kin.js";
import { denseReaders } from "./dense.js";
import { type JsonObject, checkNesting, isObject } from "./json.js";
import { classicKinReaders } from "./classic-kin.js";
import { readHalves, trOcrReaders } from "./encoder-decoder.js";
import { encoderKinReaders } from "./encoder-kin.js";
import { encoderReaders } from "./encoder.js";
import { gemmaDenseReaders } from "./gemma-dense.js";
import { gemmaReaders } from "./gemma.js";
import { diffusionReaders } from "./diffusion.js";
import { flaReaders } from "./fla.js";
import { hybridReaders } from "./hybrid.js";
import { inklingReaders } from "./inkling.js";
import { imageReaders } from "./image.js";
import { kimiReaders } from "./kimi.js";
import { latentReaders } from "./latent.js";
import { llamaKinReaders } from "./llama-kin.js";
import { linearReaders } from "./linear.js";
import { mambaReaders } from "./mamba.js";
import { mobileBertReaders } from "./mobilebert.js";
import { molmoReaders } from "./molmo.js";
import { moeReaders } from "./moe.js";
import { plamoReaders } from "./plamo.js";
import { peekPrediction } from "./prediction.js";
import { freshEncoderReaders } from "./encoder-fresh.js";
import { mixedMoeReaders } from "./moe-mixed.js";
import { bailingReaders } from "./bailing.js";
import { bartReaders } from "./bart.js";
import { modernEncoderReaders } from "./encoder-modern.js";
import { canineReaders } from "./canine.js";
import { bltReaders } from "./blt.js";
import { perceiverReaders } from "./perceiver.js";
import { prophetNetReaders } from "./prophetnet.js";
import { publishedReaders } from "./published.js";
import { qwen4Readers } from "./qwen4.js";
import { recurrentReaders } from "./recurrent.js";
import { swinReaders } from "./swin.js";
import { t5Readers } from "./t5.js";
import { vitReaders } from "./vit.js";
import { partialDefaults, readPartial } from "./partial.js";
import { remoteLinearReaders } from "./remote-linear.js";
import { remoteReaders } from "./remote.js";
import { seq2seqReaders } from "./seq2seq.js";
import { soundReaders } from "./sound.js";
import { sparseReaders } from "./sparse.js";
import { transfoXlReaders } from "./transfo-xl.js";
import { visionTextReaders } from "./vl-text.js";
import { flatDefaults, flatReaders } from "./wrapped-text.js";
import { xformerReaders } from "./xformer.js";
import { sambaYReaders } from "./sambay.js";
import { seamlessReaders } from "./seamless.js";
import { step3Readers } from "./step3.js";
import { readQuantisation } from "./quantisation/read.js";
import type { Reader, ReaderResult } from "./reader.js";
import { textKinReaders } from "./text-kin.js";
import { unrunOf } from "./unrun.js";

/** Readers by the file's model_type. */
const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>(
  Object.entries({
    ...denseReaders,
    ...classicReaders,
    ...moeReaders,
    ...mixedMoeReaders,
    ...latentReaders,
    ...mambaReaders,
    ...hybridReaders,
    ...linearReaders,
    ...kimiReaders,
    ...recurrentReaders,
    ...gemmaReaders,
    ...gemmaDenseReaders,
    ...visionTextReaders,
    ...encoderReaders,
    ...debertaReaders,
    ...convBertReaders,
    ...mobileBertReaders,
    ...modernEncoderReaders,
    ...vitReaders,
    ...imageReaders,
    ...clipReaders,
    ...soundReaders,
    ...t5Readers,
    ...bartReaders,
    ...seq2seqReaders,
    ...sparseReaders,
    ...qwen4Readers,
    ...xformerReaders,
    ...canineReaders,
    ...prophetNetReaders,
    ...perceiverReaders,
    ...bltReaders,
    ...remoteReaders,
    ...publishedReaders,
    ...remoteLinearReaders,
    ...flaReaders,
    ...encoderKinReaders,
    ...classicKinReaders,
    ...llamaKinReaders,
    ...bailingReaders,
    ...diffusionReaders,
    ...textKinReaders,
    ...freshEncoderReaders,
    ...plamoReaders,
    ...sambaYReaders,
    ...inklingReaders,
    ...molmoReaders,
    ...swinReaders,
    ...trOcrReaders,
    ...decoderKinReaders,
    ...transfoXlReaders,
    ...seamlessReaders,
    ...flatReaders,
    "encoder-decoder": readTwo,
    "vision-encoder-decoder": readTwo,
    "speech-encoder-decoder": readTwo,
    ...step3Readers,
  }),
);

/** Two halves of families that each have a reader here. */
function readTwo(config: ConfigReader): ReaderResult {
  return readHalves(config, (type) => readers.get(type));
}

/** Model types whose class defaults are another type's. */
const defaultsOf: Readonly<Record<string, string>> = {
  kimi_k2: "deepseek_v3",
  minimax_m1: "minimax",
  ...flatDefaults,
  mimo: "qwen2",
  mimo_v2: "mimo_v2_flash",
  ernie4_5: "llama",
  hunyuan_v1_dense: "hunyuan_v1_moe",
  hunyuan: "hunyuan_v1_moe",
  minicpm: "llama",
  internlm2: "llama",
  xverse: "llama",
  baichuan: "llama",
  deepseek_ref: "deepseek_v4",
  vaultgemma: "gemma2",
  t5gemma2_text: "gemma3_text",
  minimax_text_01: "minimax",
  sdar: "qwen3",
  Dream: "qwen2",
  RefinedWeb: "falcon",
  RefinedWebModel: "falcon",
  "nllb-moe": "m2m_100",
};

/** Every model_type that can be read. */
export function knownModelTypes(): string[] {
  return [...new Set([...readers.keys(), ...Object.keys(composites)])].sort();
}

export interface ReadOptions {
  /** Reads a model_type that is not known as a plain decoder of its sizes and notes what was not understood. */
  readonly allowPartial?: boolean;
}

/**
 * The description of a model from its Hugging Face `config.json`, already parsed.
 *
 * @param where file or address, for error messages and the description's `source`
 * @throws bad input, naming the key, when a value cannot be right or the model_type is not known
 */
export function readConfig(file: unknown, where: string, name: string, options: ReadOptions = {}): ModelDescription {
  checkNesting(file, where);
  if (!isObject(file)) throw badInput("not-an-object", { where, found: file, expected: "expected a JSON object: {…}" });
  const value = thinker(file);
  const named = typeInName(value, name);
  const parts = partsOf(named === null ? value : { ...value, model_type: named }, where);
  const known = readers.get(parts.modelType);
  if (known === undefined && options.allowPartial !== true) throw unknownType(parts.modelType, parts.text, where);
  const reader = known ?? readPartial;
  const defaults = known === undefined ? partialDefaults : defaultsFor(parts.modelType);
  const keys = new ConfigReader(where, parts.text, defaults, parts.modelType);
  if (named !== null) {
    const from =
      named === "mamba_ssm" ? "the keys of that package" : "the longest in the model's name, as AutoConfig takes it";
    keys.fill("model_type", named, from);
  }
  const quantisation = readQuantisation(value, parts.text, keys);
  const language = reader(keys);
  const result = parts.composite === null ? language : withTowers(language, parts.composite, value, keys);
  noteLeftOut(value, parts, result, keys);
  if (value !== file) keys.note("only the thinker is described: what makes speech of its text is left out");
  const unrun = unrunOf(parts.modelType, result, peekPrediction(keys), keys);
  for (const sentence of keys.takenAsNone()) keys.note(sentence);
  const unread = keys.unread();
  if (unread.length > 0) keys.note(`keys that nothing was read from: ${unread.slice(0, 40).join(", ")}`);
  return {
    name,
    modelType: parts.modelType,
    source: where,
    ...result,
    ...(unrun === null ? {} : { unrun }),
    ...(quantisation.storage === undefined ? {} : { storage: quantisation.storage }),
    dtypes: { ...result.dtypes, ...(quantisation.cache === undefined ? {} : { kv: quantisation.cache }) },
    filled: keys.filled,
    notes: keys.notes,
  };
}

/** Models that answer in speech keep the language model and its towers in `thinker_config`. */
function thinker(file: JsonObject): JsonObject {
  const inner = file["thinker_config"];
  if (!isObject(inner)) return file;
  const {
    thinker_config: _thinker,
    talker_config: _talker,
    token2wav_config: _wave,
    code2wav_config: _code,
    ...rest
  } = file;
  return { ...rest, ...inner, model_type: rest["model_type"] };
}

function defaultsFor(modelType: string): JsonObject {
  return classDefaults[defaultsOf[modelType] ?? modelType] ?? {};
}

interface Parts {
  /** The language model's keys, with those that the whole model keeps for it. */
  readonly text: JsonObject;
  readonly modelType: string;
  readonly composite: Composite | null;
}

/** Files older than model_type: the reference takes the longest type that the model's name holds. */
function typeInName(value: JsonObject, name: string): string | null {
  if (value["model_type"] === undefined && value["d_model"] !== undefined && isObject(value["ssm_cfg"])) {
    return "mamba_ssm";
  }
  if (value["model_type"] !== undefined || value["hidden_size"] === undefined) return null;
  const held = [...readers.keys()].filter((type) => name.toLowerCase().includes(type));
  return held.sort((a, b) => b.length - a.length)[0] ?? null;
}

/** The language model's own object and its type. Wrapped models name it in `text_config`. */
function partsOf(value: JsonObject, where: string): Parts {
  const own = value["model_type"];
  const composite = typeof own === "string" ? (composites[own] ?? null) : null;
  const inner = ["text_config", "language_config", "llm_config"].map((key) => value[key]).find(isObject);
  const flat = value["hidden_size"] !== undefined && inner === undefined;
  if (
    inner !== undefined &&
    !flat &&
    !(typeof own === "string" && readers.has(own) && value["hidden_size"] !== undefined)
  ) {
    const named = inner["model_type"];
    const type = typeof named === "string" && named !== "" ? (textAliases[named] ?? named) : (composite?.text ?? own);
    const text = { ...inherited(value), ...withoutNull(inner, inheritedKeys) };
    return {
      text,
      modelType: typeOf(typeof type === "string" && readers.has(type) ? type : (composite?.text ?? type), where),
      composite,
    };
  }
  // The language model of a wrapper, saved alone.
  const alias = typeof own === "string" && !readers.has(own) ? textAliases[own] : undefined;
  return { text: value, modelType: typeOf(composite?.text ?? alias ?? own, where), composite };
}

/** Keys that the whole model says for its language model, unless that says them itself. */
const inheritedKeys = ["architectures", "torch_dtype", "dtype", "tie_word_embeddings"] as const;

function inherited(value: JsonObject): JsonObject {
  return Object.fromEntries(inheritedKeys.flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]])));
}

/** The object without those of its keys that are null. The class of the whole model decides about a head. */
function withoutNull(value: JsonObject, keys: readonly string[]): JsonObject {
  return Object.fromEntries(
    Object.entries(value).filter(
      ([key, item]) => key !== "architectures" && !((item === null || item === undefined) && keys.includes(key)),
    ),
  );
}

function typeOf(type: unknown, where: string): string {
  if (typeof type === "string") return type;
  throw badInput("bad-config", {
    where,
    key: "model_type",
    ...(type === undefined ? {} : { found: type }),
    expected: `expected one of ${listed(knownModelTypes())}, such as llama, qwen3 or bert`,
  });
}

/** Says which parts of a wrapped model the description does not hold. */
function noteLeftOut(value: JsonObject, parts: Parts, result: ReaderResult, keys: ConfigReader): void {
  if (parts.text === value) return;
  const towers: Readonly<Record<string, Stack["kind"]>> = { vision_config: "vision", audio_config: "audio" };
  const left = Object.entries(towers).filter(
    ([key, kind]) => isObject(value[key]) && !result.stacks.some((stack) => stack.kind === kind),
  );
  for (const [key] of left) keys.note(`only the language model is described: ${key} is left out, its parameters too`);
}

/** The language model with the towers that its wrapper has beside it. */
function withTowers(language: ReaderResult, composite: Composite, value: JsonObject, keys: ConfigReader): ReaderResult {
  const type = typeOf(value["model_type"], keys.where);
  const whole = new ConfigReader(keys.where, value, classDefaults[type] ?? {}, type, "", keys);
  const towers: Stack[] = [];
  const seen = value["vision_config"];
  const byDefault = seen === undefined && composite.visionIfNamed !== true;
  if (composite.vision !== null && seen === null) keys.note("vision_config is null: no tower is counted");
  if (composite.vision !== null && (isObject(seen) || byDefault)) {
    towers.push(composite.vision(whole.child("vision_config", {}, `${type} vision`), language.hiddenSize, whole));
  }
  if (composite.audio !== undefined && isObject(value["audio_config"])) {
    towers.push(composite.audio(whole.child("audio_config", {}, `${type} audio`), language.hiddenSize));
  }
  if (towers.length > 0) keys.note("towers for images or sound are counted as parameters; text does not run them");
  return { ...language, stacks: [...towers, ...language.stacks] };
}

function listed(types: readonly string[]): string {
  return `${types.length} types (docs/coverage.md lists them)`;
}

function unknownType(modelType: string, config: JsonObject, where: string): Error {
  const keys = Object.keys(config).filter((key) => key !== "model_type");
  const types = knownModelTypes();
  const beginning = modelType.slice(0, 4).toLowerCase();
  const alike = types.filter((type) => type.toLowerCase().startsWith(beginning)).slice(0, 10);
  const known = alike.length === 0 ? listed(types) : `${alike.join(", ")} and others of ${listed(types)}`;
  return badInput("unknown-model-type", {
    where,
    key: "model_type",
    found: modelType,
    expected: `not understood, nor its keys (${keys.slice(0, 60).join(", ")}); known: ${known}; --allow-partial prices it as a plain decoder`,
  });
}
