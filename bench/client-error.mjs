/**
 * How far the client's stamps of tokens are from the times at which a server sent them, and how many tokens per second
 * one core follows. The server is the demo server in a process of its own; each of its chunks says when it was sent, by
 * the clock that both processes share.
 *
 *   npm run build && node bench/client-error.mjs [--requests 500] [--streams 256] [--rate 50] [--seconds 10]
 *                                                [--rates 50,75,100,150,200] [--json]
 *
 * Errors are seconds from sending to the client's stamp, transport included: an upper bound of the stamp's own error. Of the first
 * token also their absolute value from when the server's system had taken it: what is between is the server's own write. What
 * the transport and the machine add to any client show two others that take turns with it: a bare socket, which sends the
 * same requests on one kept connection and stamps in its `data` event, without a parser of HTTP; and an echo of one number
 * between two processes, without HTTP on either side. Linux says for how long this process waited for a core: requests
 * during which it did not are summarised once more alone.
 * The requests go through the code that `nsquared measure` uses, only with the bytes kept aside.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { quantile } from "../dist/math/quantile.js";
import { Connection } from "../dist/measure/openai-http.js";
import { complete, questionOf } from "../dist/measure/openai-request.js";
import { StreamReader } from "../dist/measure/openai-stream.js";

const { values: options } = parseArgs({
  options: {
    requests: { type: "string", default: "500" },
    streams: { type: "string", default: "256" },
    rate: { type: "string", default: "50" },
    seconds: { type: "string", default: "10" },
    rates: { type: "string", default: "50,75,100,150,200" },
    json: { type: "boolean", default: false },
  },
});

/** The system's monotonic clock in seconds, the same zero in every process of the machine. */
const clock = { now: () => Number(process.hrtime.bigint()) / 1e9, sleep: () => Promise.resolve() };
const dialect = {
  api: "completions",
  stream: true,
  streamUsage: true,
  fixedLength: true,
  cachePrompt: true,
  completionTokens: false,
};
const asking = { clock, signal: new AbortController().signal, timeoutSeconds: 300 };

/** @param {string[]} flags */
async function serve(...flags) {
  const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
  const child = spawn(
    process.execPath,
    [main, "demo-server", "--port", "0", "--stamps", "--jitter", "0", "--json", ...flags],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  let text = "";
  for await (const piece of child.stdout) {
    text += piece;
    if (text.trimEnd().endsWith("}")) break;
  }
  return {
    url: new URL(JSON.parse(text).url),
    async close() {
      child.kill("SIGINT");
      await once(child, "exit");
    },
  };
}

/** A connection that keeps each piece of an answer with the time it was stamped with. */
class Watched extends Connection {
  /** @type {{ bytes: Uint8Array, arrived: number }[][]} */
  pieces = [];

  /** @param {any} asked */
  exchange(asked) {
    /** @type {{ bytes: Uint8Array, arrived: number }[]} */
    const kept = [];
    this.pieces.push(kept);
    return super.exchange({
      ...asked,
      /** @param {Uint8Array} bytes @param {number} arrived */
      data(bytes, arrived) {
        kept.push({ bytes, arrived });
        asked.data(bytes, arrived);
      },
    });
  }
}

/** Seconds from sending to stamp of each chunk with content. @param {{ bytes: Uint8Array, arrived: number }[]} pieces */
function errorsOf(pieces) {
  const found = [];
  let rest = "";
  for (const { bytes, arrived } of pieces) {
    const events = (rest + Buffer.from(bytes).toString("latin1")).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const sent = /"nsquared_sent": *([\d.]+)/.exec(event)?.[1];
      if (sent !== undefined && /"text":"[^"]/.test(event)) found.push(arrived - Number(sent));
    }
  }
  return found;
}

/**
 * Seconds to the stamp of the first token, from when it was about to be written and from when the server's system had taken it.
 *
 * @param {{ bytes: Uint8Array, arrived: number }[]} pieces
 */
function firstErrors(pieces) {
  const events = pieces.flatMap(({ bytes, arrived }) =>
    (
      Buffer.from(bytes)
        .toString("latin1")
        .match(/data: [^\n]*/g) ?? []
    ).map((text) => ({ text, arrived })),
  );
  const first = events.findIndex(({ text }) => /"text":"[^"]/.test(text));
  const stamp = (/** @type {string} */ name, /** @type {number} */ index) =>
    Number(new RegExp(`"nsquared_${name}": *([\\d.]+)`).exec(events[index]?.text ?? "")?.[1]);
  const arrived = events[first]?.arrived ?? Number.NaN;
  return { sent: arrived - stamp("sent", first), handed: arrived - stamp("handed", first + 1) };
}

/** @param {number} index @param {number} answer */
function ask(index, answer) {
  const prompt = Array.from({ length: 64 }, (_, word) => 300 + ((index * 64 + word * 7) % 3000));
  return questionOf({ model: "demo", prompt, answer, reusesCache: false }, dialect);
}

/**
 * The floor: a kept connection without anything of a client but its stamps.
 *
 * @param {URL} url
 */
async function bareSocket(url) {
  const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
  await once(socket, "connect");
  return {
    /** @param {string} body @returns {Promise<number>} seconds from sending to stamp of the first token */
    ask(body) {
      const head = `POST /v1/completions HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
      /** @type {{ bytes: Uint8Array, arrived: number }[]} */
      const pieces = [];
      return new Promise((resolve, reject) => {
        const take = (/** @type {Buffer} */ bytes) => {
          pieces.push({ arrived: clock.now(), bytes });
          if (!bytes.subarray(-16).toString("latin1").endsWith("0\r\n\r\n")) return;
          socket.off("data", take);
          const { sent } = firstErrors(pieces);
          if (Number.isNaN(sent)) reject(new Error("the bare socket got no token"));
          else resolve(sent);
        };
        socket.on("data", take);
        socket.write(head + body);
      });
    },
    close: () => socket.destroy(),
  };
}

const echoServer = `
  const net = require("node:net");
  const now = () => Number(process.hrtime.bigint()) / 1e9;
  net.createServer({ noDelay: true }, (socket) => {
    socket.on("data", (bytes) => {
      const due = now() + Number(bytes.toString());
      const turn = () => (now() < due ? setImmediate(turn) : socket.write(now().toFixed(9)));
      setTimeout(turn, (due - now()) * 1000 - 1.5);
    });
  }).listen(0, "127.0.0.1", function () { console.log(this.address().port); });
  process.stdin.resume().on("end", () => process.exit());
`;

/** The machine's floor: two processes, one socket, and nothing on it but the sender's time. */
async function echo() {
  const child = spawn(process.execPath, ["-e", echoServer], { stdio: ["pipe", "pipe", "inherit"] });
  const [port] = await once(child.stdout, "data");
  const socket = connect({ host: "127.0.0.1", port: Number(String(port)), noDelay: true });
  await once(socket, "connect");
  return {
    /** @param {number} wait @returns {Promise<number>} seconds from sending to stamp */
    ask(wait) {
      return new Promise((resolve) => {
        socket.once("data", (bytes) => {
          const arrived = clock.now();
          resolve(arrived - Number(bytes.toString()));
        });
        socket.write(String(wait));
      });
    },
    async close() {
      socket.destroy();
      child.stdin.end();
      await once(child, "exit");
    },
  };
}

/**
 * Seconds that this process was ready to run and no core was free for it: what neighbours add. Linux alone tells.
 */
function waitedForCore() {
  try {
    return Number(readFileSync("/proc/self/schedstat", "latin1").split(" ")[1]) / 1e9;
  } catch {
    return Number.NaN;
  }
}

/** @typedef {{ error: number, waited: number }} Timed seconds of error, and for how long this process waited for a core */

/** @param {number[]} errors */
function summary(errors) {
  return {
    count: errors.length,
    medianSeconds: quantile(errors, 0.5),
    p90Seconds: quantile(errors, 0.9),
    p99Seconds: quantile(errors, 0.99),
    worstSeconds: Math.max(...errors),
  };
}

/** A request during which this process waited for a core no longer than this was let run. */
const undisturbed = 0.0002;

/** @param {number} requests */
async function oneStream(requests) {
  const server = await serve("--constant", "20ms", "--quadratic", "0");
  const connection = new Watched(server.url, null);
  const bare = await bareSocket(server.url);
  const lone = await echo();
  /** @type {{ client: Timed[], bare: Timed[], echo: Timed[] }} */
  const all = { client: [], bare: [], echo: [] };
  const beyondLaw = [];
  /** @type {number[]} */
  const handed = [];
  const law = 0.02 + 4e-5 * 64;
  /**
   * @param {Timed[]} into
   * @param {() => Promise<number>} asked seconds of error
   */
  const timed = async (into, asked) => {
    const before = waitedForCore();
    const error = await asked();
    into.push({ error, waited: waitedForCore() - before });
  };
  for (let index = 0; index < requests; index += 1) {
    await timed(all.client, async () => {
      const { problem, request } = await complete(connection, ask(index, 1), dialect, asking);
      if (problem !== null) throw new Error(problem);
      beyondLaw.push((request.firstTokenSeconds ?? Number.NaN) - law);
      const first = firstErrors(connection.pieces.pop() ?? []);
      handed.push(first.handed);
      return first.sent;
    });
    await timed(all.bare, () => bare.ask(ask(requests + index, 1).body));
    await timed(all.echo, () => lone.ask(law));
  }
  await lone.close();
  bare.close();
  connection.close();
  await server.close();
  const of = (/** @type {Timed[]} */ list) => ({
    ...summary(list.map(({ error }) => error)),
    undisturbed: summary(list.filter(({ waited }) => waited <= undisturbed).map(({ error }) => error)),
  });
  return {
    requests,
    client: of(all.client),
    handed: {
      ...summary(handed.map(Math.abs)),
      undisturbed: summary(handed.filter((_, index) => (all.client[index]?.waited ?? 1) <= undisturbed).map(Math.abs)),
    },
    bareSocket: of(all.bare),
    echo: of(all.echo),
    ttftBeyondLaw: { medianSeconds: quantile(beyondLaw, 0.5), p99Seconds: quantile(beyondLaw, 0.99) },
  };
}

/** @param {number} streams @param {number} rate tokens per second of each stream @param {number} seconds */
async function manyStreams(streams, rate, seconds) {
  const answer = Math.round(rate * seconds);
  const server = await serve("--constant", "200ms", "--decode", `${1000 / rate}ms`, "--per-context", "0");
  const connection = new Watched(server.url, null);
  const questions = Array.from({ length: streams }, (_, index) => ask(index, answer));
  const before = performance.eventLoopUtilization();
  const cpu = process.cpuUsage();
  const start = clock.now();
  const answers = await Promise.all(questions.map((question) => complete(connection, question, dialect, asking)));
  const wall = clock.now() - start;
  const { utilization } = performance.eventLoopUtilization(before);
  const { user, system } = process.cpuUsage(cpu);
  const errors = connection.pieces.flatMap(errorsOf);
  const chunks = answers.reduce((sum, { stream }) => sum + stream.contentChunks, 0);
  const lost = streams * answer - chunks;
  const failed = answers.filter(({ problem }) => problem !== null).length;
  connection.close();
  await server.close();
  return {
    streams,
    wantedPerSecond: streams * rate,
    // What the server managed; where it is well below what was wanted, the server is the limit and not the client.
    deliveredPerSecond: chunks / wall,
    medianSeconds: quantile(errors, 0.5),
    p99Seconds: quantile(errors, 0.99),
    lost,
    failed,
    busy: utilization,
    processorShare: (user + system) / 1e6 / wall,
  };
}

/** Events that the parser reads in a second with nothing else to do. */
function parserAlone() {
  const event = Buffer.from(
    `data: ${JSON.stringify({ id: "demo", object: "text_completion", created: 0, model: "demo", choices: [{ index: 0, text: " of", finish_reason: null }] })}\n\n`,
  );
  const count = 200_000;
  let reader = new StreamReader();
  for (let index = 0; index < 20_000; index += 1) reader.push(event, index);
  reader = new StreamReader();
  const start = clock.now();
  for (let index = 0; index < count; index += 1) reader.push(event, index);
  return count / (clock.now() - start);
}

/** @param {number} seconds */
const ms = (seconds) => `${(seconds * 1000).toFixed(3)} ms`;

/** @param {Awaited<ReturnType<typeof oneStream>>["client"]} list */
const figures = ({ undisturbed: calm, ...every }) =>
  [every, calm]
    .map((part) => `median ${ms(part.medianSeconds)}, p90 ${ms(part.p90Seconds)}, p99 ${ms(part.p99Seconds)}`)
    .join(`; the ${calm.count} that did not wait for a core: `);

const one = await oneStream(Number(options.requests));
const many = await manyStreams(Number(options.streams), Number(options.rate), Number(options.seconds));
const ladder = [];
for (const rate of options.rates.split(",").map(Number)) {
  ladder.push(await manyStreams(Number(options.streams), rate, Math.min(5, Number(options.seconds))));
}
const parsed = parserAlone();

if (options.json) {
  process.stdout.write(`${JSON.stringify({ one, many, ladder, parsed }, null, 2)}\n`);
} else {
  const row = (/** @type {Awaited<ReturnType<typeof manyStreams>>} */ line) =>
    `${line.wantedPerSecond} wanted, ${Math.round(line.deliveredPerSecond)} delivered /s: median ${ms(line.medianSeconds)}, p99 ${ms(line.p99Seconds)}, lost ${line.lost}, failed ${line.failed}, busy ${Math.round(100 * line.busy)} %, processor ${Math.round(100 * line.processorShare)} %`;
  const lines = [
    `one stream, ${one.requests} requests, seconds from sending to stamp:`,
    `  the client:              ${figures(one.client)}`,
    `  … from when the server's system had taken it: ${figures(one.handed)}`,
    `  a bare socket beside it: ${figures(one.bareSocket)}`,
    `  an echo between two processes: ${figures(one.echo)}`,
    `  TTFT beyond the injected law: median ${ms(one.ttftBeyondLaw.medianSeconds)}, p99 ${ms(one.ttftBeyondLaw.p99Seconds)}`,
    `${many.streams} streams: ${row(many)}`,
    "rates:",
    ...ladder.map((line) => `  ${row(line)}`),
    `parser alone: ${Math.round(parsed)} events/s`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
