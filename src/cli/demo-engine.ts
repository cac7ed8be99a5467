import { basename } from "node:path";
import { threadCount, tokens } from "../base/format.js";
import { startEngineServer } from "../demo/engine-server.js";
import { nodeAccess } from "../files/node.js";
import { loadModel } from "../model/load.js";
import type { DemoServerDocument } from "../study/documents/demo-server.js";
import { type Io, emit, say } from "./io.js";
import { cannotListen, tryIt, untilStopped } from "./serving.js";

interface ServedFile {
  readonly gguf: string;
  readonly modelName: string | null;
  readonly threads: number | null;
  readonly contextLength: number | null;
  readonly port: number;
  readonly host: string;
  readonly json: boolean;
}

/** Serves a GGUF file, computed in llama.cpp in this process, until Ctrl-C. */
export async function serveGguf({ gguf, json, ...wanted }: ServedFile, io: Io): Promise<void> {
  const model = await loadModel(gguf, nodeAccess());
  const { openGgufToServe } = await import("../study/measure-gguf.js");
  say(io, `opening ${gguf} in llama.cpp`);
  const engine = await openGgufToServe(model, wanted);
  try {
    const [sequence] = engine.sequences;
    if (sequence === undefined) throw new Error("one sequence was asked for");
    const build = `node-llama-cpp ${engine.version}, ${engine.details["llamaCpp"] ?? "llama.cpp"}`;
    const name = wanted.modelName ?? basename(gguf, ".gguf");
    const { contextLength, threads } = engine;
    const server = await startEngineServer({ ...engine, sequence, build }, { ...wanted, model: name }).catch(
      (cause: unknown) => {
        throw cannotListen(cause, wanted);
      },
    );
    const document: DemoServerDocument = {
      schema: "nsquared/demo-server@1",
      url: server.url,
      model: name,
      engine: { build, contextLimit: contextLength, threads },
      law: null,
    };
    emit(io, json, document, () =>
      [
        `serving ${name} at ${server.url}`,
        `${build} on ${threadCount(threads)}, context ${tokens(contextLength)}; one request at a time`,
        tryIt(server.url, name),
      ].join("\n"),
    );
    await untilStopped(server, io);
  } finally {
    await engine.close();
  }
}
