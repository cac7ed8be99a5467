import type * as nodeLlamaCpp from "node-llama-cpp";
import type { ChatHistoryItem, Llama, LlamaContextSequence, LlamaModel, Token } from "node-llama-cpp";
import { NsquaredError, badInput } from "../base/errors.js";

export interface LlamaOptions {
  /** The GGUF file. */
  readonly path: string;
  /** Most tokens of one sequence. */
  readonly contextLength: number;
  /** Sequences that go through the model at once. */
  readonly sequences: number;
  /** llama.cpp decides where it is null. */
  readonly threads: number | null;
  /** `fused` is llama.cpp's flash attention; `naive` makes all scores. */
  readonly attention: "fused" | "naive";
}

/** One sequence of a loaded model and its cache. */
export interface LlamaSequence {
  /** Tokens in the cache. */
  readonly length: number;
  /**
   * Puts tokens through the model, no more than `LlamaEngine.batchTokens`, and caches them. With `wantsNext` the logits of
   * the last one are made and the likeliest token after it is returned (null where the model makes none).
   */
  append(tokens: readonly number[], wantsNext: boolean): Promise<number | null>;
  /** Shortens the cache to its first `length` tokens. What cannot be kept (a window, a recurrence) leaves it shorter still. */
  truncate(length: number): Promise<void>;
  /** Keeps what `truncate` needs to come back to this length, for models that cannot do so otherwise. */
  mark(): Promise<void>;
}

export interface LlamaMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A GGUF file loaded into llama.cpp on the CPU. */
export interface LlamaEngine {
  /** node-llama-cpp's version, llama.cpp's release, and what else a reader needs to repeat a run. */
  readonly version: string;
  readonly details: Readonly<Record<string, string | number>>;
  readonly threads: number;
  readonly attention: "fused" | "naive";
  /** Tokens of one pass through the layers: longer prompts go in pieces. */
  readonly batchTokens: number;
  readonly sequences: readonly LlamaSequence[];
  /** Most tokens of one sequence. */
  readonly contextLength: number;
  /** Number of tokens that the model knows. */
  readonly vocabulary: number;
  tokenize(text: string): number[];
  /** A text as a prompt: marks in it are read, and the one of the beginning is added where the model wants it. */
  prompt(text: string): number[];
  /** A conversation in the model's own template, up to where its answer begins. */
  chat(messages: readonly LlamaMessage[]): number[];
  /** @param before tokens before these, which decide about the space between */
  detokenize(tokens: readonly number[], before?: readonly number[]): string;
  /** Whether the model ends an answer with this token. */
  endsAnswer(token: number): boolean;
  close(): Promise<void>;
}

/** Far beyond every model; above some 2³⁰ the estimates of memory themselves wrap around. */
const mostTokens = 2 ** 26;
/** What llama.cpp, llama-bench and node-llama-cpp take. */
const batchTokens = 512;

type Binding = typeof nodeLlamaCpp;

/** @throws NsquaredError `runtime-missing` where node-llama-cpp is not installed */
async function loadBinding(): Promise<Binding> {
  return import("node-llama-cpp").catch((cause: unknown) => {
    throw new NsquaredError(
      "runtime-missing",
      "node-llama-cpp is not installed or does not load; install it with: npm install node-llama-cpp",
      { where: "node-llama-cpp" },
      undefined,
      cause,
    );
  });
}

/**
 * Loads a GGUF file into llama.cpp, on the CPU, with the prebuilt library that comes with node-llama-cpp.
 *
 * @throws NsquaredError `runtime-missing`, `runtime-unusable` (no prebuilt library for this machine), `model-unloadable`
 *   (not GGUF, cut off, an architecture that llama.cpp does not know), `memory`
 */
export async function openLlama(options: LlamaOptions): Promise<LlamaEngine> {
  const tokens = options.contextLength * options.sequences;
  if (tokens > mostTokens) {
    const expected = `at most ${mostTokens} over all sequences`;
    throw badInput("length", { where: options.path, key: "tokens of context", found: tokens, expected });
  }
  const binding = await loadBinding();
  const llama = await library(binding);
  const complaints: string[] = [];
  llama.logger = (_level, message) => complaints.push(message.trim());
  try {
    return await openModel(binding, llama, options);
  } catch (cause) {
    throw understood(binding, options, cause, complaints);
  }
}

let opened: Promise<Llama> | null = null;

/** llama.cpp itself: one for the process, as it keeps state of its own. It holds nothing once its models are closed. */
function library(binding: Binding): Promise<Llama> {
  opened ??= binding
    .getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      maxThreads: 0,
      // llama.cpp's own lines would go to the terminal; what it says about a failure goes into the error.
      logLevel: binding.LlamaLogLevel.error,
      logger: () => {},
    })
    .catch((cause: unknown) => {
      opened = null;
      throw failure(
        "runtime-unusable",
        "node-llama-cpp brings no library for this machine; build one with: npx node-llama-cpp source download",
        cause,
      );
    });
  return opened;
}

/**
 * node-llama-cpp's version and the release of llama.cpp in it.
 *
 * @throws NsquaredError `runtime-missing`, `runtime-unusable`
 */
export async function llamaVersion(): Promise<string> {
  const binding = await loadBinding();
  const { llamaCppRelease } = await library(binding);
  return `${await binding.getModuleVersion()}, ${llamaCppRelease.release}`;
}

async function openModel(binding: Binding, llama: Llama, options: LlamaOptions): Promise<LlamaEngine> {
  const model = await llama.loadModel({ modelPath: options.path, gpuLayers: 0 });
  const threads = options.threads ?? llama.cpuMathCores;
  const context = await model
    .createContext({
      contextSize: options.contextLength,
      sequences: options.sequences,
      batchSize: batchTokens,
      threads: { ideal: threads, min: threads },
      flashAttention: options.attention === "fused",
    })
    .catch(async (cause: unknown) => {
      await model.dispose();
      throw cause;
    });
  let open = true;
  const { release, repo } = llama.llamaCppRelease;
  return {
    version: await binding.getModuleVersion(),
    details: {
      llamaCpp: `${repo} ${release}`,
      build: llama.buildType,
      processor: llama.systemInfo.trim(),
      model: model.typeDescription,
      modelBytes: model.size,
      contextLength: context.contextSize,
      sequences: context.totalSequences,
      batchTokens: context.batchSize,
      cache: binding.GgmlType[context.kvCacheKeyType] ?? "unknown",
    },
    threads,
    attention: context.flashAttention === false ? "naive" : "fused",
    batchTokens: context.batchSize,
    sequences: Array.from({ length: options.sequences }, () => sequenceOf(context.getSequence())),
    contextLength: context.contextSize,
    vocabulary: countOf(model.iterateAllTokens()),
    tokenize: (text) => model.tokenize(text),
    prompt: (text) => withBeginning(model, model.tokenize(text, true)),
    chat: (messages) => chatTokens(binding, model, messages),
    detokenize: (tokens, before = []) => model.detokenize(tokens as Token[], false, before as Token[]),
    endsAnswer: (token) => model.isEogToken(token as Token),
    close: async () => {
      if (!open) return;
      open = false;
      await model.dispose();
    },
  };
}

function withBeginning({ tokens: known }: LlamaModel, tokens: readonly Token[]): Token[] {
  const { bos } = known;
  return known.shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : [...tokens];
}

function chatTokens(binding: Binding, model: LlamaModel, messages: readonly LlamaMessage[]): Token[] {
  const chatHistory = messages.map(({ role, content }): ChatHistoryItem => {
    return role === "assistant" ? { type: "model", response: [content] } : { type: role, text: content };
  });
  const wrapper = binding.resolveChatWrapper(model);
  const { contextText } = wrapper.generateContextState({
    chatHistory: [...chatHistory, { type: "model", response: [] }],
  });
  return withBeginning(model, contextText.tokenize(model.tokenizer));
}

function countOf(items: Iterable<unknown>): number {
  let count = 0;
  for (const _ of items) count += 1;
  return count;
}

function sequenceOf(sequence: LlamaContextSequence): LlamaSequence {
  return {
    get length() {
      return sequence.nextTokenIndex;
    },
    append: async (tokens, wantsNext) => {
      const known = tokens as Token[];
      if (!wantsNext) {
        await sequence.evaluateWithoutGeneratingNewTokens(known);
        return null;
      }
      const last = known.length - 1;
      const outputs = await sequence.controlledEvaluate(
        known.map((token, index) =>
          index === last ? [token, { generateNext: { token: true, options: { temperature: 0 } } }] : token,
        ),
      );
      return outputs[last]?.next.token ?? null;
    },
    truncate: async (length) => {
      const end = sequence.nextTokenIndex;
      if (end <= length) return;
      if (length === 0) await sequence.clearHistory();
      else await sequence.eraseContextTokenRanges([{ start: length, end }]);
    },
    mark: async () => {
      if (sequence.needsCheckpoints) await sequence.takeCheckpoint();
    },
  };
}

/** What went wrong, in the user's words; anything else as it is. */
function understood(binding: Binding, options: LlamaOptions, cause: unknown, complaints: readonly string[]): unknown {
  if (cause instanceof NsquaredError) return cause;
  const { path, contextLength, sequences } = options;
  if (cause instanceof binding.InsufficientMemoryError) {
    const wanted = `${sequences === 1 ? "" : `${sequences} sequences of `}${contextLength} tokens`;
    const message = `${path}: a context of ${wanted} does not fit this machine's memory (${cause.message}); take shorter lengths`;
    return failure("memory", message, cause);
  }
  // The first line says why; the ones after it say that therefore nothing was loaded.
  const said = complaints.find((line) => !/failed to load model/i.test(line)) ?? messageOf(cause);
  return failure("model-unloadable", `${path}: llama.cpp does not load it: ${said.replace(/\s+/g, " ")}`, cause, path);
}

function failure(code: string, message: string, cause: unknown, where?: string): NsquaredError {
  return new NsquaredError(code, message, where === undefined ? {} : { where }, undefined, cause);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
