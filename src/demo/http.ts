import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

const longestBody = 64 * 1024 * 1024;

/** Monotonic seconds of the system, the same clock in every process of a machine. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

/** A refusal, as OpenAI-compatible servers word it. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly type = "invalid_request_error",
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

export interface Place {
  /** 0 lets the system choose. */
  readonly port?: number;
  readonly host?: string;
}

export interface Listening {
  /** Address of the API: `http://127.0.0.1:8000/v1`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Listens, and answers what the handler throws: refusals in their words; anything else closes the connection. */
export async function listen(
  handler: (request: IncomingMessage, response: ServerResponse, server: Server) => Promise<void>,
  { port = 0, host = "127.0.0.1" }: Place,
): Promise<Listening> {
  const server = createServer((request, response) => {
    response.on("error", () => response.destroy());
    handler(request, response, server).catch((error: unknown) => {
      if (error instanceof Refusal && !response.headersSent) refuse(response, error);
      else response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  // A port is all there is once it listens on one.
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}/v1`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

function refuse(response: ServerResponse, { status, message, type, headers }: Refusal): void {
  response
    .writeHead(status, { "content-type": "application/json", ...headers })
    .end(JSON.stringify({ error: { message, type, code: status } }));
}

export function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?")[0] ?? "/";
}

export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request) {
    const bytes: Buffer = Buffer.from(piece as Uint8Array);
    size += bytes.length;
    if (size > longestBody) throw new Refusal(413, "the request is too long");
    pieces.push(bytes);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(pieces).toString("utf8"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Falls through to the refusal.
  }
  throw new Refusal(400, "the body is not a JSON object");
}

/** The answer's tokens that a request asks for, under either name. */
export function answerLength(body: Readonly<Record<string, unknown>>, most: number): number {
  const answer = Number(body["max_completion_tokens"] ?? body["max_tokens"] ?? 16);
  if (Number.isInteger(answer) && answer >= 1 && answer <= most) return answer;
  throw new Refusal(400, `max_tokens must be between 1 and ${most}, got ${answer}`);
}

export function wantsUsage(body: Readonly<Record<string, unknown>>): boolean {
  return Reflect.get(Object(body["stream_options"]), "include_usage") === true;
}

/** @throws Refusal where the request names another model than the one served */
export function assertModel(body: Readonly<Record<string, unknown>>, model: string): void {
  const asked = body["model"];
  if (asked === undefined || asked === model) return;
  throw new Refusal(404, `The model ${JSON.stringify(asked).slice(0, 80)} does not exist.`, "NotFoundError");
}
