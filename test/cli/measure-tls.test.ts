import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { generate } from "selfsigned";
import { expect, test, vi } from "vitest";
import { command } from "./harness.js";

interface Certificate {
  readonly name: string;
  readonly from?: string;
  readonly to?: string;
}

/** The certificate of the server that is asked, for a client that trusts it. */
let trusted = "";

/** An HTTPS server with a certificate of its own making, asked by `nsquared measure` on 127.0.0.1. */
async function asked(
  { name, from, to }: Certificate,
  host = "127.0.0.1",
): Promise<{ readonly code: number; readonly err: string }> {
  const made = await generate([{ name: "commonName", value: name }], {
    keySize: 2048,
    algorithm: "sha256",
    ...(from === undefined ? {} : { notBeforeDate: new Date(from) }),
    ...(to === undefined ? {} : { notAfterDate: new Date(to) }),
    extensions: [
      { name: "subjectAltName", altNames: [/^[0-9.]+$/.test(name) ? { type: 7, ip: name } : { type: 2, value: name }] },
    ],
  });
  trusted = made.cert;
  const server = createServer({ key: made.private, cert: made.cert }, (_, response) => {
    response.end(JSON.stringify({ data: [{ id: "m" }] }));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  try {
    return await command(["measure", `https://${host}:${port}/v1`, "--model-name", "m", "--yes"]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test.each<[string, Certificate, string]>([
  [
    "signed by itself",
    { name: "127.0.0.1" },
    'connection is "DEPTH_ZERO_SELF_SIGNED_CERT"; its certificate is signed by nobody this machine trusts; NODE_EXTRA_CA_CERTS=<file.pem>',
  ],
  [
    "expired",
    { name: "127.0.0.1", from: "2020-01-01", to: "2021-01-01" },
    'connection is "CERT_HAS_EXPIRED"; its certificate has expired',
  ],
])("a certificate that is %s ends with what to do", async (_, certificate, message) => {
  const { code, err } = await asked(certificate);
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});

test("a certificate for another host, though it is trusted, ends with the names it is for", async () => {
  const original = tls.createSecureContext;
  const trusting = vi
    .spyOn(tls, "createSecureContext")
    .mockImplementation((options = {}) =>
      original({ ...options, ...(options.cert === undefined ? { ca: trusted } : {}) }),
    );
  try {
    const { code, err } = await asked({ name: "models.example" }, "localhost");
    expect([code, err]).toEqual([2, expect.stringMatching(/certificate is for another host.*DNS:models\.example/)]);
    // Trusted and for this host, it is no obstacle: the server then has nothing to say.
    expect((await asked({ name: "127.0.0.1" })).err).toContain("a completion with some content");
  } finally {
    trusting.mockRestore();
  }
});
