import { setMaxListeners } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Seconds } from "../base/units.js";
import type { Clock } from "./clock.js";

/** Longest answer that is read in all. */
const longestAnswer = 256 * 1024 * 1024;
/** Characters of a server's text that are shown. */
const longestQuoted = 300;
/** As many kept connections may have been closed at the same moment. */
const mostStale = 8;

export interface Exchange {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly sentAt: Seconds;
  readonly endedAt: Seconds;
  /** The answer ended as its protocol says; false where the connection was cut. */
  readonly whole: boolean;
}

export interface ExchangeOptions {
  readonly method: "GET" | "POST";
  /** Path behind the base address, or a whole path where it begins with two slashes. */
  readonly path: string;
  /** JSON, written before the clock starts. */
  readonly body?: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timeoutSeconds: Seconds;
  /** Bytes as they arrive, with the time; headers came before. */
  readonly data: (bytes: Uint8Array, arrived: Seconds) => void;
}

/** A request that got no answer, or no whole one: refused, reset, not resolved, a bad certificate, or late. */
export class NoAnswer extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly sentAt: Seconds,
    /** It was sent on a kept connection that the server had just closed: it never saw the request. */
    readonly stale: boolean,
  ) {
    super(message);
  }
}

/** Connections to one server, kept open between requests. */
export class Connection {
  private readonly agent: HttpAgent;

  constructor(
    readonly base: URL,
    private readonly key: string | null,
  ) {
    const options = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, noDelay: true };
    this.agent = base.protocol === "https:" ? new HttpsAgent(options) : new HttpAgent(options);
  }

  close(): void {
    this.agent.destroy();
  }

  /** A text of the server's as it may be shown: one line, bounded, without the key, which some repeat when they refuse it. */
  quoted(text: string): string {
    const safe = this.key === null ? text : text.replaceAll(this.key, "…");
    return safe
      .replace(/[\s\p{Cc}]+/gu, " ")
      .trim()
      .slice(0, longestQuoted);
  }

  /** @throws NoAnswer where no answer came, or none in time */
  async exchange(options: ExchangeOptions): Promise<Exchange> {
    // Servers close idle connections when they like; a request that met such a close is sent once more.
    for (let turn = 0; ; turn += 1) {
      try {
        return await this.once(options);
      } catch (error) {
        if (!(error instanceof NoAnswer && error.stale) || turn >= mostStale || options.signal.aborted) throw error;
      }
    }
  }

  private once(options: ExchangeOptions): Promise<Exchange> {
    const { method, path, body: text = null, clock, signal, timeoutSeconds, data } = options;
    // Each request at once listens for Ctrl-C: many listeners are no leak here.
    setMaxListeners(0, signal);
    const start = path.startsWith("//") ? "" : this.base.pathname.replace(/\/$/, "");
    const send = this.base.protocol === "https:" ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      let sentAt = clock.now();
      let answered = false;
      const request = send({
        protocol: this.base.protocol,
        hostname: this.base.hostname.replace(/^\[|\]$/g, ""),
        port: this.base.port,
        path: start + (path.startsWith("//") ? path.slice(1) : path),
        method,
        agent: this.agent,
        headers: {
          accept: "application/json, text/event-stream",
          ...(text === null ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
          ...(this.key === null ? {} : { authorization: `Bearer ${this.key}` }),
        },
      });
      const fail = (code: string, message: string): void => {
        finish();
        request.destroy();
        const stale = request.reusedSocket && !answered && (code === "ECONNRESET" || code === "EPIPE");
        reject(new NoAnswer(code, message, sentAt, stale));
      };
      const late = setTimeout(
        () => {
          fail("timeout", `no answer within ${timeoutSeconds} s`);
        },
        Math.min(2 ** 31 - 1, timeoutSeconds * 1000),
      );
      const stop = (): void => {
        fail("aborted", "stopped");
      };
      const finish = (): void => {
        clearTimeout(late);
        signal.removeEventListener("abort", stop);
      };
      request.on("error", (error: NodeJS.ErrnoException) => {
        fail(error.code ?? "error", error.message);
      });
      signal.addEventListener("abort", stop);
      if (signal.aborted) {
        stop();
        return;
      }
      request.on("response", (response: IncomingMessage) => {
        answered = true;
        let size = 0;
        const end = (whole: boolean): void => {
          finish();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, sentAt, endedAt: clock.now(), whole });
        };
        response.on("data", (bytes: Buffer) => {
          const arrived = clock.now();
          size += bytes.length;
          if (size > longestAnswer) {
            fail("too-long", `the answer is longer than ${longestAnswer} bytes`);
            return;
          }
          try {
            data(bytes, arrived);
          } catch (error) {
            // Thrown from here, it would end the process.
            finish();
            request.destroy();
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
        response.on("end", () => {
          end(response.complete);
        });
        response.on("error", () => {
          end(false);
        });
        response.on("aborted", () => {
          end(false);
        });
      });
      sentAt = clock.now();
      request.end(text ?? undefined);
    });
  }
}
