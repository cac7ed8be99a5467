import { NsquaredError, badInput } from "../base/errors.js";
import type { Listening } from "../demo/http.js";
import { type Io, say } from "./io.js";

/** What both kinds of demo server say and do once they listen. */
export function tryIt(url: string, model: string): string {
  return `try: nsquared measure ${url} --model-name ${model} --yes`;
}

/** Serves until Ctrl-C. */
export async function untilStopped(server: Listening & { readonly requests: () => number }, io: Io): Promise<void> {
  const { signal } = io;
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => {
      resolve();
    });
  });
  await server.close();
  say(io, `served ${server.requests()} completions`);
}

/** Why a port could not be listened on, in the user's words; anything else as it is. */
export function cannotListen(
  cause: unknown,
  { host, port }: { readonly host: string; readonly port: number },
): unknown {
  const code: unknown = Reflect.get(Object(cause), "code");
  if (cause instanceof NsquaredError || typeof code !== "string") return cause;
  return badInput("cannot-listen", {
    where: "--port",
    key: `${host}:${port}`,
    found: code,
    expected: "a free port; --port 0 lets the system choose",
  });
}
