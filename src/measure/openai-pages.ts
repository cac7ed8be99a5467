import type { Seconds } from "../base/units.js";
import { type Connection, NoAnswer } from "./openai-http.js";
import { at, jsonOf } from "./openai-json.js";
import { unreachable } from "./openai-refusal.js";
import type { Asking } from "./openai-request.js";

/** A request for no work is given up after so long. */
const longestNoop: Seconds = 60;

/** One short page. @throws NsquaredError where nobody answers */
export async function get(
  connection: Connection,
  path: string,
  asking: Asking,
  body?: unknown,
): Promise<{ readonly status: number; readonly text: string; readonly location: string | null }> {
  const pieces: Uint8Array[] = [];
  // Nothing has to be computed for it, however long an answer may take.
  const timeoutSeconds = Math.min(asking.timeoutSeconds, longestNoop);
  try {
    const { status, headers } = await connection.exchange({
      method: body === undefined ? "GET" : "POST",
      path,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...asking,
      timeoutSeconds,
      data: (bytes) => {
        pieces.push(bytes);
      },
    });
    return { status, text: Buffer.concat(pieces).toString("utf8"), location: headers.location ?? null };
  } catch (error) {
    asking.signal.throwIfAborted();
    if (error instanceof NoAnswer) throw unreachable(connection, error);
    throw error;
  }
}

/** A short text from outside, as a name. */
export function nameOf(value: unknown): string | null {
  return typeof value === "string" && /^[\x20-\x7e]{1,100}$/.test(value) ? value : null;
}

/** The context limit that stands beside a model in the list. */
export function limitOf(model: unknown): number | null {
  for (const path of [["max_model_len"], ["context_length"], ["context_window"], ["meta", "n_ctx"]]) {
    const found = lengthAt(model, ...path);
    if (found !== null) return found;
  }
  return null;
}

function lengthAt(value: unknown, ...path: readonly string[]): number | null {
  const found = at(value, ...path);
  return typeof found === "number" && Number.isSafeInteger(found) && found > 0 ? found : null;
}

/** What a server says of itself on a path of its own. */
interface OwnPage {
  readonly path: string;
  readonly version?: string;
  /** Longest prompt and answer of the model that is asked for. */
  readonly limit?: (page: unknown, model: string) => number | null;
  /** Who answers there, where nobody else does. */
  readonly server?: string;
}

const ownPages: readonly OwnPage[] = [
  // vLLM.
  { path: "//version", version: "version" },
  // llama.cpp; the context of one slot.
  {
    path: "//props",
    version: "build_info",
    limit: (page) => lengthAt(page, "default_generation_settings", "n_ctx"),
  },
  { path: "//info", version: "version", limit: (page) => lengthAt(page, "max_total_tokens") },
  // SGLang, now and before.
  { path: "//server_info", version: "version" },
  { path: "//get_server_info", version: "version" },
  { path: "//api/version", version: "version", server: "ollama" },
  { path: "//api/ps", limit: (page, model) => ofModel(at(page, "models"), "name", model, "context_length") },
  {
    path: "//api/v0/models",
    limit: (page, model) => ofModel(at(page, "data"), "id", model, "loaded_context_length"),
    server: "lm-studio",
  },
];

function ofModel(list: unknown, key: string, model: string, field: string): number | null {
  const items: readonly unknown[] = Array.isArray(list) ? list.slice(0, 10_000) : [];
  return lengthAt(
    items.find((item) => at(item, key) === model || at(item, key) === `${model}:latest`),
    field,
  );
}

interface Own {
  readonly version: string | null;
  readonly contextLimit: number | null;
  readonly server: string | null;
}

/** Version, and where the list of models does not name it the context limit, from the pages that servers have beside the API. */
export async function ownWords(
  connection: Connection,
  listed: number | null,
  options: Asking & { readonly model: string },
): Promise<Own> {
  let own: Own = { version: null, contextLimit: listed, server: null };
  for (const { path, version, limit, server } of ownPages) {
    const wanted =
      (version !== undefined && own.version === null) || (limit !== undefined && own.contextLimit === null);
    if (!wanted) continue;
    const answer = await get(connection, path, options).catch(() => null);
    options.signal.throwIfAborted();
    const page = answer?.status === 200 ? jsonOf(answer.text) : undefined;
    if (page === undefined) continue;
    const [named, longest] = [
      version === undefined ? null : nameOf(at(page, version)),
      limit?.(page, options.model) ?? null,
    ];
    if (named === null && longest === null) continue;
    own = {
      version: own.version ?? named,
      contextLimit: own.contextLimit ?? longest,
      server: own.server ?? server ?? null,
    };
  }
  return own;
}
