import { Option } from "commander";
import { badInput, exitCodes } from "../base/errors.js";
import { seconds, tokens } from "../base/format.js";
import type { Run } from "../runs/schema.js";
import type { EndpointEstimate } from "../study/endpoint-plan.js";
import type { EndpointMeasurement, EndpointOptions } from "../study/measure-endpoint.js";
import type { Goal } from "../study/until.js";
import { type Io, say } from "./io.js";
import type { MeasureFlags } from "./measure-options.js";
import { duration, number, wholeNumber } from "./options.js";
import { progressView } from "./progress.js";

/** Flags that only servers know. */
export interface EndpointFlags {
  readonly modelName?: string;
  readonly api: "auto" | "completions" | "chat";
  readonly apiKeyEnv: string;
  readonly concurrency: readonly number[];
  readonly maxTokens?: number;
  readonly timeout?: number;
  readonly decodeTokens?: number;
  readonly priceIn?: number;
  readonly priceOut?: number;
  readonly yes?: boolean;
}

function amounts(text: string): number[] {
  return text.split(",").map(wholeNumber(1, 4096));
}

const price = number((value) => value >= 0, "a price of a million tokens");

export function endpointOptions(): Option[] {
  return [
    new Option("--model-name <name>", "server: the model it serves; an address and this name measure a server"),
    new Option("--api <api>", "server: which of its APIs").choices(["auto", "completions", "chat"]).default("auto"),
    new Option("--api-key-env <variable>", "server: where its API key is; the key is never kept").default(
      "OPENAI_API_KEY",
    ),
    new Option("--concurrency <list>", "server: requests at once, as 1 or 1,4,16").argParser(amounts).default([1], "1"),
    new Option("--max-tokens <total>", "server: tokens that the run may cost, prompts and answers").argParser(
      wholeNumber(1, 2 ** 40),
    ),
    new Option("--timeout <time>", "server: how long one answer may take (default: 10m)").argParser(duration),
    new Option("--decode-tokens <k>", "server: tokens that one decode sample is the mean of (default: 32)").argParser(
      wholeNumber(2, 4096),
    ),
    new Option("--price-in <price>", "server: of a million prompt tokens").argParser(price),
    new Option("--price-out <price>", "server: of a million answer tokens").argParser(price),
    new Option("--yes", "server: do not ask before it costs something"),
  ];
}

/** Whether the location is a server to ask rather than a file to read. */
export function isEndpoint(location: string, { modelName }: EndpointFlags): boolean {
  if (!/^https?:\/\//i.test(location)) return false;
  return modelName !== undefined || /^https?:\/\/[^/?#]+(\/v\d+)?\/?([?#].*)?$/i.test(location);
}

/** @throws NsquaredError without anything in it that may be a secret */
function addressOf(location: string): URL {
  if (!URL.canParse(location)) {
    throw badInput("bad-address", { key: "address", found: location, expected: "as http://127.0.0.1:8000/v1" });
  }
  const address = new URL(location);
  if (address.username !== "" || address.password !== "") {
    throw badInput("bad-address", {
      key: "address",
      found: `${address.protocol}//…@${address.host}`,
      expected: "no name or password in it; --api-key-env names the variable with the key",
    });
  }
  if (address.search !== "" || address.hash !== "") {
    throw badInput("bad-address", {
      key: "address",
      found: `${address.origin}${address.pathname}?…`,
      expected: "nothing behind the path: it would not be sent; --api-key-env names the variable with the key",
    });
  }
  if (/^\/?$/.test(address.pathname)) address.pathname = "/v1";
  return address;
}

/** The key without the spaces and line ends that files and shells leave around it. No message ever shows it. */
function keyFrom(value: string | undefined, variable: string): string | null {
  const key = value?.trim() ?? "";
  if (key === "") return null;
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw badInput("bad-key", {
    where: variable,
    key: "API key",
    found: "a text with spaces or characters outside of ASCII",
    expected: "one word of printable ASCII",
  });
}

/** Asks a server; null where the estimate was declined. */
export async function askServer(
  location: string,
  flags: MeasureFlags &
    EndpointFlags & { readonly lengths: readonly number[]; readonly depths: readonly number[]; readonly until?: Goal },
  resume: Run | null,
  io: Io,
): Promise<EndpointMeasurement | null> {
  const address = addressOf(location);
  const { modelName, priceIn, priceOut } = flags;
  if (modelName === undefined) {
    throw badInput("no-model-name", {
      where: location,
      key: "--model-name",
      expected: "the name under which the server serves its model",
    });
  }
  const { measureEndpoint } = await import("../study/measure-endpoint.js");
  const options: EndpointOptions = {
    address,
    model: modelName,
    api: flags.api,
    key: keyFrom(io.environment[flags.apiKeyEnv], flags.apiKeyEnv),
    seed: flags.seed,
    phases: flags.phase.filter((phase) => phase !== "decode-uncached"),
    lengths: flags.lengths,
    depths: flags.depths,
    concurrency: flags.concurrency,
    repeat: flags.repeat,
    warmups: flags.warmups,
    timeLimitSeconds: flags.time ?? null,
    maxTokens: flags.maxTokens ?? null,
    prices: priceIn === undefined && priceOut === undefined ? null : { input: priceIn ?? 0, output: priceOut ?? 0 },
    output: flags.out === undefined ? { folder: "runs" } : { file: flags.out },
    ...(flags.timeout === undefined ? {} : { timeoutSeconds: flags.timeout }),
    ...(flags.decodeTokens === undefined ? {} : { decodeSteps: flags.decodeTokens }),
    ...(resume === null ? {} : { resume }),
    ...(flags.until === undefined ? {} : { goal: flags.until }),
  };
  const view = progressView(io);
  try {
    return await measureEndpoint(options, {
      created: new Date(),
      signal: io.signal,
      progress: (event) => {
        view.update(event);
      },
      say: (text) => {
        say(io, text);
      },
      agree: (estimate) => agree(estimate, flags.yes === true, io),
    });
  } catch (error) {
    // Ctrl-C before the first sample: there is nothing to keep.
    if (io.signal.aborted && error instanceof Error && error.name === "AbortError") return null;
    throw error;
  } finally {
    view.stop();
  }
}

async function agree(estimate: EndpointEstimate, yes: boolean, io: Io): Promise<boolean> {
  const { requests, inputTokens, outputTokens, price: money, atMostSeconds } = estimate;
  const cost = money === null ? "" : `, price ${money.toPrecision(3)}`;
  const text = `about ${requests} requests, ${tokens(inputTokens)} prompt and ${tokens(outputTokens)} answer tokens${cost}; ${seconds(estimate.seconds)} at least`;
  say(io, atMostSeconds === null ? text : `first blocks: ${text}; all of it ${seconds(atMostSeconds)} at most`);
  if (yes) return true;
  if (io.confirm === undefined) {
    throw badInput("not-confirmed", {
      where: "--yes",
      key: "confirmation",
      expected: "--yes where nobody is there to ask; the run would cost what the line above says",
    });
  }
  return io.confirm("Go on?");
}

/** Exit code where nothing was measured: the estimate was declined, or Ctrl-C came before the first sample. */
export function nothingMeasured({ signal }: Io): number {
  return signal.aborted ? exitCodes.interrupted : exitCodes.input;
}

/** @throws NsquaredError where a flag has no meaning for what is measured */
export function refuseStrangers(location: string, flags: MeasureFlags & EndpointFlags): void {
  const server = isEndpoint(location, flags);
  // First, so that no other message shows what is wrong with it.
  if (server) addressOf(location);
  const strangers: readonly (readonly [string, boolean, string])[] = server
    ? [
        ["--batch", flags.batch !== 1, "--concurrency: a server decides which requests it computes together"],
        ["--threads", flags.threads !== undefined, "nothing: a server's threads are its own"],
        ["--weights", flags.weights !== "f32", "nothing: a server has weights of its own"],
        ["--provider", flags.provider !== "cpu", "nothing: a server runs where it runs"],
        ["--attention", flags.attention !== "fused", "nothing: a server's kernels are its own"],
      ]
    : [
        ["--model-name", flags.modelName !== undefined, "the address of a server, as http://127.0.0.1:8000/v1"],
        ["--concurrency", flags.concurrency.some((count) => count !== 1), "--batch, or the address of a server"],
        ["--max-tokens", flags.maxTokens !== undefined, "the address of a server, as http://127.0.0.1:8000/v1"],
      ];
  const stranger = strangers.find(([, given]) => given);
  if (stranger === undefined) return;
  throw badInput("option-alone", { where: stranger[0], key: "measured", found: location, expected: stranger[2] });
}
