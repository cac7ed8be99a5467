import { type NsquaredError, badInput } from "../base/errors.js";
import type { Connection, NoAnswer } from "./openai-http.js";

export const anApi = "expected that of an OpenAI-compatible API; its address often ends in /v1";

/** Any answer that shows the address to be no such server. */
export function noServer(connection: Connection, found: string, expected: string, key = "answer"): NsquaredError {
  return badInput("no-server", { where: connection.base.href, key, found: connection.quoted(found), expected });
}

export function isUnauthorised(status: number): boolean {
  return status === 401 || status === 403;
}

export function unauthorised(connection: Connection, found: string): NsquaredError {
  return badInput("unauthorised", {
    where: connection.base.href,
    key: "API key",
    found: `refused: ${found}`,
    expected: "a key that the server takes, in the variable that --api-key-env names",
  });
}

const causes: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; is the server up, and the port right?",
  ENOTFOUND: "no host of this name is known",
  EAI_AGAIN: "no host of this name is known",
  ECONNRESET: "the connection was closed at once; https where http is meant, or the other way round?",
  EPROTO: "the TLS connection failed; http where https is meant?",
  CERT_HAS_EXPIRED: "its certificate has expired, or the clock of this machine is wrong; the server needs a new one",
  CERT_NOT_YET_VALID: "its certificate is not valid yet, or the clock of this machine is wrong",
  timeout: "it took too long; a larger --timeout waits longer",
};

export function unreachable(connection: Connection, { code, message }: NoAnswer): NsquaredError {
  return noServer(connection, code, causes[code] ?? causeOf(code, message) ?? message, "connection");
}

/** What a family of codes means. */
function causeOf(code: string, message: string): string | null {
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const names = /(?:DNS|IP Address):.*$/.exec(message)?.[0].slice(0, 300);
    return `its certificate is for another host: write the address with the name that it was made for${names === undefined ? "" : ` (${names})`}`;
  }
  if (/CERT|SIGNATURE/.test(code)) {
    return "its certificate is signed by nobody this machine trusts; NODE_EXTRA_CA_CERTS=<file.pem> names that certificate, or its authority's, to be trusted";
  }
  if (/^ERR_(SSL|TLS)/.test(code)) return "the TLS connection failed; http where https is meant?";
  return code.startsWith("HPE_") ? "what listens there does not speak HTTP; is the port right?" : null;
}
