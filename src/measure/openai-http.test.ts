import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "./clock.js";
import { Connection, type Exchange } from "./openai-http.js";

const open: { server: Server; connection: Connection }[] = [];

async function serve(listener: RequestListener): Promise<Connection> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  const connection = new Connection(new URL(`http://127.0.0.1:${address.port}/v1`), null);
  open.push({ server, connection });
  return connection;
}

afterEach(() => {
  for (const { server, connection } of open.splice(0)) {
    connection.close();
    server.closeAllConnections();
    server.close();
  }
});

function ask(connection: Connection, signal = new AbortController().signal): Promise<Exchange> {
  const data = (): void => undefined;
  return connection.exchange({
    method: "POST",
    path: "/x",
    body: "{}",
    clock: systemClock,
    signal,
    timeoutSeconds: 5,
    data,
  });
}

describe("a connection", () => {
  test("that the server closed while it idled is opened anew, and nothing fails", async () => {
    const requests = new Map<unknown, number>();
    let refused = 0;
    const connection = await serve((request, response) => {
      const before = requests.get(request.socket) ?? 0;
      requests.set(request.socket, before + 1);
      // As a server whose idle time-out ran out at the very moment at which the request came.
      if (before > 0) {
        refused += 1;
        request.socket.destroy();
      } else response.end("ok");
    });
    for (let turn = 0; turn < 3; turn += 1) expect(await ask(connection)).toMatchObject({ status: 200, whole: true });
    expect(refused).toBe(2);
  });

  test("that is reset when it is new has no answer: the server saw the request", async () => {
    let seen = 0;
    const connection = await serve((request) => {
      seen += 1;
      request.socket.destroy();
    });
    await expect(ask(connection)).rejects.toMatchObject({ code: "ECONNRESET", stale: false });
    expect(seen).toBe(1);
  });

  test("gives an answer that was cut as far as it came", async () => {
    const connection = await serve((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("half", () => response.destroy());
    });
    expect(await ask(connection)).toMatchObject({ status: 200, whole: false });
  });

  test("is given up at once when asked to", async () => {
    const stop = new AbortController();
    const connection = await serve(() => {
      stop.abort();
    });
    await expect(ask(connection, stop.signal)).rejects.toMatchObject({ code: "aborted" });
  });

  test("whose bytes cannot be read fails, and does not take the process with it", async () => {
    const connection = await serve((_, response) => response.end("ok"));
    const asked = connection.exchange({
      method: "GET",
      path: "/x",
      clock: systemClock,
      signal: new AbortController().signal,
      timeoutSeconds: 5,
      data: () => {
        throw new Error("no sense in these bytes");
      },
    });
    await expect(asked).rejects.toThrow("no sense in these bytes");
  });
});
