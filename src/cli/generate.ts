import { Option } from "commander";
import { badInput, exitCodes } from "../base/errors.js";
import { seconds, significant } from "../base/format.js";
import { nodeAccess } from "../files/node.js";
import { systemClock } from "../measure/clock.js";
import type { Provider } from "../onnx/provider.js";
import { defaultGenerateOptions, generate } from "../study/generate.js";
import { type VariantWeights, weightFormats } from "../variants/variant.js";
import { type SetUp, emit, say } from "./io.js";
import { providerOption } from "./measure-options.js";
import { number, wholeNumber } from "./options.js";

interface Options {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
  readonly weights: VariantWeights;
  readonly threads?: number;
  readonly provider: Provider;
  readonly chat?: boolean;
  readonly system?: string;
  readonly json?: boolean;
}

const between = (least: number, most: number): ((text: string) => number) =>
  number((value) => value >= least && value <= most, `a number from ${least} to ${most}`);

export const setUpGenerate: SetUp = (command, io, setExitCode) => {
  command
    .description(
      "Continues a prompt with a model's real weights, by the same graph that is priced and timed: KV cached, greedy or " +
        "sampled, streamed to standard output. Says its time to the first token and its time per token.",
    )
    .argument("<folder>", "a folder with config.json, safetensors and tokenizer.json, as on the hub")
    .requiredOption("--prompt <text>", "what to continue")
    .option("--chat", "the prompt is a user's turn: put it into the model's chat template")
    .option("--system <text>", "with --chat: what the system says before it")
    .addOption(
      new Option("--max-tokens <k>", "longest answer")
        .argParser(wholeNumber(1, 2 ** 20))
        .default(defaultGenerateOptions.maxTokens),
    )
    .addOption(
      new Option("--temperature <t>", "0 takes the most likely token")
        .argParser(between(0, 100))
        .default(defaultGenerateOptions.temperature),
    )
    .addOption(
      new Option("--top-p <p>", "draw from the most likely tokens that add up to p")
        .argParser(between(0.000001, 1))
        .default(defaultGenerateOptions.topP),
    )
    .addOption(
      new Option("--seed <s>", "of drawing")
        .argParser(wholeNumber(0, 2 ** 32 - 1))
        .default(defaultGenerateOptions.seed),
    )
    .addOption(
      new Option(
        "--weights <format>",
        "how matrices are held: float32, float16 (WebGPU alone), or blocks of 8 or 4 bits",
      )
        .choices([...weightFormats])
        .default(defaultGenerateOptions.weights),
    )
    .addOption(
      new Option("--threads <k>", "threads of one operator (default: the cores)").argParser(wholeNumber(1, 1024)),
    )
    .addOption(providerOption())
    .addHelpText(
      "after",
      `
Examples:
  nsquared generate ./SmolLM2-135M --prompt "The square of n"
  nsquared generate ./Qwen2.5-0.5B --prompt "Once upon a time" --temperature 0.8 --top-p 0.95 --seed 7
  nsquared generate ./Llama-3.2-1B-Instruct --chat --prompt "Why is attention quadratic?"
  nsquared generate ./Qwen3-0.6B --prompt "Once" --provider webgpu
  nsquared generate ./Qwen3-0.6B --prompt "def square(n):" --weights q8 --max-tokens 64 --json

Exit codes: 0 done, 2 bad input, 130 stopped by Ctrl-C.`,
    )
    .action(async (folder: string, options: Options) => {
      const { prompt, json, ...rest } = options;
      if (options.system !== undefined && options.chat !== true) {
        throw badInput("option-alone", { where: "--system", found: options.system, expected: "goes with --chat" });
      }
      const document = await generate(
        folder,
        prompt,
        { ...rest, threads: options.threads ?? null, chat: options.chat === true, system: options.system ?? null },
        {
          access: nodeAccess(),
          clock: systemClock,
          write: (text) => {
            if (json !== true) io.out(text);
          },
          say: (text) => {
            say(io, text);
          },
          signal: io.signal,
        },
      );
      if (json === true) emit(io, json, document, () => "");
      else io.out("\n");
      const perToken = document.tokenSeconds;
      say(
        io,
        `TTFT ${seconds(document.firstTokenSeconds)} for ${document.prompt.tokens} tokens (${significant(document.prefillTokensPerSecond)} tokens/s)` +
          (perToken === null
            ? ""
            : `, TPOT ${seconds(perToken)} over ${document.tokens.length} tokens (${significant(1 / perToken)} tokens/s)`),
      );
      if (document.finish === "interrupted") setExitCode(exitCodes.interrupted);
    });
};
