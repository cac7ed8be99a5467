import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach } from "vitest";
import { type DemoLaw, healthyLaw } from "../../src/demo/law.js";
import type { Quirk } from "../../src/demo/quirks.js";
import { type DemoServer, startDemoServer } from "../../src/demo/server.js";
import { type Ran, command, temporaryFolder } from "./harness.js";

/** Servers and files of one test, gone when it ends. */

const servers: DemoServer[] = [];
const folders: ReturnType<typeof temporaryFolder>[] = [];

export async function serve(law: Partial<DemoLaw> = {}, ...quirks: Quirk[]): Promise<string> {
  const server = await startDemoServer({ law: { ...healthyLaw, constant: 0.003, ...law }, seed: 5, quirks });
  servers.push(server);
  return server.url;
}

export function file(name: string): string {
  const folder = temporaryFolder();
  folders.push(folder);
  return join(folder.path, name);
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  for (const folder of folders.splice(0)) folder.remove();
});

export const quick = ["--model-name", "demo", "--yes", "--warmups", "0"];

export function measure(url: string, out: string, ...more: string[]): Promise<Ran> {
  return command(["measure", url, ...quick, "--out", out, ...more]);
}

/** Measures with an API key in the environment. */
export function measureWithKey(url: string, variable: string, key: string, ...more: string[]): Promise<Ran> {
  const words = ["measure", url, ...quick, ...more, "--api-key-env", variable];
  return command(words, undefined, undefined, { [variable]: key });
}

/** A port with a listener that does with its connections what it likes. */
export async function listening(
  onConnection: (socket: Socket) => void,
): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer(onConnection);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 1;
  return {
    port,
    close: () => {
      server.close();
    },
  };
}
