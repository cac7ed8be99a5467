import { NsquaredError, badInput } from "../base/errors.js";
import { bytes } from "../base/format.js";
import { seededRandom } from "../base/random.js";
import type { Access } from "../files/access.js";
import { type OpenBeside, beside } from "../files/beside.js";
import { readText } from "../files/byte-source.js";
import { isAddress } from "../files/url-source.js";
import type { Clock } from "../measure/clock.js";
import { readMachine } from "../measure/environment.js";
import { assertFloat16, availableMemory } from "../measure/onnx-node.js";
import { type Engine, type Memory, openEngine } from "../measure/onnx-node-engine.js";
import type { Provider } from "../onnx/provider.js";
import { parseJsonObject } from "../model/hf/json.js";
import { scalingOf } from "../model/hf/rotary-scaling.js";
import { loadModel } from "../model/load.js";
import { openSafetensors } from "../model/safetensors/stored.js";
import type { ModelDescription } from "../model/types.js";
import { lowerGraph } from "../onnx/lower.js";
import { openingBytes, passBytes, residentBytes } from "../onnx/memory.js";
import { runnableGraph } from "../onnx/runnable.js";
import { safetensorsWeights } from "../onnx/safetensors-weights.js";
import type { WeightFormat } from "../onnx/scope.js";
import type { GenerateDocument } from "./documents/generate.js";
import { type Tokenizer, makeTokenizer } from "./tokenizer.js";
import { chatText } from "./chat.js";
import { type SamplingOptions, sample } from "./sampling.js";
import { textStream } from "./text-stream.js";

export interface GenerateOptions extends SamplingOptions {
  readonly maxTokens: number;
  readonly seed: number;
  readonly weights: WeightFormat;
  readonly threads: number | null;
  readonly provider: Provider;
  /** The prompt is a user's turn, put into the model's chat template. */
  readonly chat: boolean;
  /** What stands before it there, for models whose template has a place for it. */
  readonly system: string | null;
}

export const defaultGenerateOptions: GenerateOptions = {
  maxTokens: 128,
  temperature: 0,
  topP: 1,
  seed: 1,
  weights: "f32",
  threads: null,
  provider: "cpu",
  chat: false,
  system: null,
};

export interface GenerateWorld {
  readonly access: Access;
  readonly clock: Clock;
  /** Called with each stretch of text as it is known. */
  readonly write: (text: string) => void;
  readonly say?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Longest tokenizer file that is read; the largest known, with half a million merges, has 35 MB. */
const longestTokenizer = 128 * 1024 * 1024;
const longestSmallFile = 16 * 1024 * 1024;

/**
 * Continues a prompt with a model of this machine: a folder as on the hub, with config.json, safetensors and
 * tokenizer.json. The prompt is one prefill, each further token one decode step from the cache.
 *
 * @throws NsquaredError where a file is missing or the model cannot be run
 */
export async function generate(
  location: string,
  prompt: string,
  wanted: Partial<GenerateOptions>,
  world: GenerateWorld,
): Promise<GenerateDocument> {
  const options = { ...defaultGenerateOptions, ...wanted };
  const { clock } = world;
  const model = await loadModel(location, world.access);
  if (isAddress(model.source) || model.source.startsWith("built-in")) {
    throw badInput("no-weights", {
      where: model.name,
      key: "folder",
      found: model.source,
      expected: "a folder on this machine with config.json, safetensors and tokenizer.json, as on the hub",
    });
  }
  const open = beside(model.source, world.access);
  await assertComputedRotary(open, model);
  const { tokenizer, config } = await tokenizerOf(open, model.source);
  const ends = await endTokens(open);
  // A template writes its special tokens itself.
  const ids = options.chat
    ? tokenizer.encode(await chatText(open, config, { system: options.system, user: prompt }, model.source), {
        add_special_tokens: false,
      }).ids
    : tokenizer.encode(prompt).ids;
  if (ids.length === 0) {
    throw badInput("prompt-empty", {
      where: "--prompt",
      key: "tokens",
      found: 0,
      expected: "a prompt of at least one token",
    });
  }
  const unknown = ids.find((id) => id >= model.vocabularySize);
  if (unknown !== undefined) {
    throw badInput("tokenizer-mismatch", {
      where: model.source,
      key: "token id",
      found: unknown,
      expected: `below the vocabulary of ${model.vocabularySize}`,
    });
  }
  const positions = ids.length + options.maxTokens;
  if (model.contextLength !== null && positions > model.contextLength) {
    world.say?.(`warning: ${positions} tokens go beyond the ${model.contextLength} that ${model.name} was made for`);
  }
  const graph = runnableGraph(model, "fused");
  const lowered = lowerGraph(graph, { positions, weights: options.weights, provider: options.provider });
  const passes = passBytes(graph, { batch: 1, n: ids.length, depth: 0 });
  const needed = Math.max(openingBytes(lowered), residentBytes(lowered) + passes);
  const available = availableMemory();
  if (needed > available) {
    throw badInput("memory", {
      where: model.name,
      key: "memory needed",
      found: bytes(needed),
      expected: `${bytes(available)} are available; try --weights q4`,
    });
  }
  if (options.weights === "f16") await assertFloat16(options.provider);
  const threads = options.threads ?? (await readMachine()).cores;
  const source = await safetensorsWeights(model, await openSafetensors(open, model.source));
  world.say?.(
    `loading ${model.name}: ${bytes(lowered.parameterBytes)} of weights as ${options.weights}, ${threads} threads`,
  );
  const start = clock.now();
  const engine = await openEngine(lowered, await lowered.parameters(source), {
    threads,
    profilePrefix: null,
    provider: options.provider,
  });
  const loadSeconds = clock.now() - start;
  try {
    const told = await tell(engine, tokenizer, ids, ends, options, world);
    const further = told.tokens.length - 1;
    return {
      schema: "nsquared/generate@1",
      model: model.name,
      source: model.source,
      weights: options.weights,
      threads,
      provider: options.provider,
      prompt: { tokens: ids.length },
      text: told.text,
      tokens: told.tokens,
      finish: told.finish,
      temperature: options.temperature,
      topP: options.topP,
      seed: options.seed,
      firstTokenSeconds: told.first,
      tokenSeconds: further > 0 ? told.rest / further : null,
      prefillTokensPerSecond: ids.length / told.first,
      loadSeconds,
    };
  } finally {
    await engine.close();
  }
}

interface Told {
  readonly tokens: number[];
  readonly text: string;
  readonly finish: GenerateDocument["finish"];
  readonly first: number;
  readonly rest: number;
}

async function tell(
  engine: Engine,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  ends: ReadonlySet<number>,
  options: GenerateOptions,
  { clock, write, signal }: GenerateWorld,
): Promise<Told> {
  const random = seededRandom(options.seed);
  const stream = textStream(tokenizer, write);
  const tokens: number[] = [];
  let memory: Memory = {
    caches: engine.caches.map(() => ({ key: new Float32Array(0), value: new Float32Array(0) })),
    states: [],
  };
  let input = prompt;
  let depth = 0;
  let first = 0;
  const start = clock.now();
  let finish: GenerateDocument["finish"] = "length";
  while (tokens.length < options.maxTokens) {
    const step = engine.prepare({
      batch: 1,
      n: input.length,
      depth,
      ids: BigInt64Array.from(input, BigInt),
      past: memory.caches,
      states: memory.states,
    });
    const result = await engine.logitsAndCaches(step);
    depth += input.length;
    memory = result;
    const token = sample(result.logits, options, random);
    tokens.push(token);
    if (tokens.length === 1) first = clock.now() - start;
    if (ends.has(token)) {
      finish = "end";
      break;
    }
    stream.add(token);
    if (signal?.aborted === true) {
      finish = "interrupted";
      break;
    }
    input = [token];
  }
  return { tokens, text: stream.end(), finish, first, rest: clock.now() - start - first };
}

async function jsonBeside(open: OpenBeside, file: string, limit: number): Promise<Record<string, unknown> | null> {
  const source = await open(file);
  return source === null ? null : parseJsonObject(await readText(source, limit), source.name);
}

async function tokenizerOf(
  open: OpenBeside,
  where: string,
): Promise<{ readonly tokenizer: Tokenizer; readonly config: Record<string, unknown> }> {
  const content = await jsonBeside(open, "tokenizer.json", longestTokenizer);
  if (content === null) {
    throw badInput("no-tokenizer", {
      where,
      key: "tokenizer.json beside it",
      expected: "the tokenizer's file, as on the hub",
    });
  }
  const config = (await jsonBeside(open, "tokenizer_config.json", longestSmallFile)) ?? {};
  try {
    return { tokenizer: makeTokenizer(content, config), config };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NsquaredError("tokenizer-invalid", `${where}: tokenizer.json cannot be used (${reason.split("\n")[0]})`, {
      where,
    });
  }
}

/** Ids that end an answer, by generation_config.json and config.json. */
async function endTokens(open: OpenBeside): Promise<Set<number>> {
  const ends = new Set<number>();
  for (const file of ["generation_config.json", "config.json"]) {
    const value = (await jsonBeside(open, file, longestSmallFile))?.["eos_token_id"];
    for (const id of Array.isArray(value) ? value : [value]) if (typeof id === "number") ends.add(id);
  }
  return ends;
}

/** Positions are rotated as the plain formula says, or scaled alike in every layer; other schemes would give other answers. */
async function assertComputedRotary(open: OpenBeside, model: ModelDescription): Promise<void> {
  const config = await jsonBeside(open, "config.json", longestSmallFile);
  const found = scalingOf([config?.["rope_scaling"], config?.["rope_parameters"]]);
  if (found === null) return;
  const mixers = new Set(model.stacks.flatMap(({ layers }) => layers.flatMap((layer) => layer.mixers)));
  // A scaling may be meant for the layers without a window alone.
  const alike = [...mixers].every(
    (mixer) => mixer.kind === "attention" && mixer.span.kind === "full" && mixer.rotary?.scaling !== undefined,
  );
  if (alike) return;
  throw badInput("rope-scaling", {
    where: model.source,
    key: "rope_scaling",
    found: found.kind,
    expected:
      "plain rotary positions, or linear, llama3 or yarn scaling in all layers alike; others are priced and timed, not computed",
  });
}
