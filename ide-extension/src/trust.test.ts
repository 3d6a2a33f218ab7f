import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { Gateway } from "./api/gateway";
import { Untrusted } from "./api/problem";
import { json, serve, type Serving } from "./testing";
import { fingerprint, meet, onlyCertificate, originOf, question } from "./trust";

let folder: string;
let ca: string;
let serving: Serving;
let shownAuthority: string;

function openssl(...given: string[]): string {
  return execFileSync("openssl", given, {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** Makes an authority, and has it issue a certificate for localhost. */
function makeAuthority(name: string): { ca: string; key: string; cert: string } {
  const subject = ["-subj", `/CN=${name}`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, ...subject, "-days", "2", "-keyout", `${name}.key`, "-out", `${name}.pem`);
  openssl("req", ...key, "-subj", "/CN=localhost", "-keyout", `${name}-leaf.key`, "-out", `${name}.csr`);
  writeFileSync(join(folder, "names"), "subjectAltName=DNS:localhost\n");
  const by = [
    "-CA",
    `${name}.pem`,
    "-CAkey",
    `${name}.key`,
    "-CAcreateserial",
    "-extfile",
    "names",
    "-days",
    "2",
  ];
  openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}-leaf.pem`);
  const read = (file: string) => readFileSync(join(folder, file), "utf8");
  return { ca: read(`${name}.pem`), key: read(`${name}-leaf.key`), cert: read(`${name}-leaf.pem`) };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "devgate-trust-"));
  const made = makeAuthority("real");
  ca = made.ca;
  shownAuthority = ca;
  serving = await serve((request, response) => {
    if (request.url === "/api/v1/ca") response.end(shownAuthority);
    else json(response, 404, { code: "no-such-route" });
  }, made);
});

afterAll(async () => {
  await serving.close();
  rmSync(folder, { recursive: true });
});

test("an authority that nobody knows is compared, pinned, and believed from then on", async () => {
  const print = openssl("x509", "-in", "real.pem", "-noout", "-fingerprint", "-sha256").split("=")[1];
  const hex = (print ?? "").trim().replaceAll(":", "");
  const expected = `SHA256:${Buffer.from(hex, "hex").toString("base64").replace(/=+$/, "")}`;
  const compare = vi.fn(() => Promise.resolve(true));
  const trust = await meet(serving.url, undefined, undefined, { compare });
  expect(compare).toHaveBeenCalledExactlyOnceWith(serving.url, expected, undefined);
  expect(trust).toEqual({ by: "authority", pem: ca });
  expect(fingerprint(ca)).toBe(expected);
});

test("who says no is signed in nowhere", async () => {
  expect(
    await meet(serving.url, undefined, undefined, { compare: () => Promise.resolve(false) }),
  ).toBeUndefined();
});

test("an authority that didn't issue the server's certificate is no help, however it was shown", async () => {
  shownAuthority = makeAuthority("other").ca;
  const yes = { compare: () => Promise.resolve(true) };
  await expect(meet(serving.url, undefined, undefined, yes)).rejects.toThrow(Untrusted);
  await expect(meet(serving.url, shownAuthority, undefined, yes)).rejects.toThrow(Untrusted);
  shownAuthority = ca;
});

test("an authority that the settings name is believed without a question", async () => {
  const compare = vi.fn(() => Promise.resolve(true));
  expect(await meet(serving.url, ca, undefined, { compare })).toEqual({ by: "authority", pem: ca });
  expect(compare).not.toHaveBeenCalled();
});

test("who signs in again to a server that is still the same is asked nothing", async () => {
  const compare = vi.fn(() => Promise.resolve(true));
  const before = { by: "authority", pem: ca } as const;
  expect(await meet(serving.url, undefined, before, { compare })).toBe(before);
  expect(compare).not.toHaveBeenCalled();
});

test("another authority than before is told as such, with both fingerprints", async () => {
  const before = { by: "authority", pem: makeAuthority("before").ca } as const;
  const asked = new Gateway(serving.url, before).request("GET", "/me");
  await expect(asked).rejects.toThrow("another authority than the one that it is known by");
  const compare = vi.fn(() => Promise.resolve(false));
  expect(await meet(serving.url, undefined, before, { compare })).toBeUndefined();
  expect(compare).toHaveBeenCalledExactlyOnceWith(serving.url, fingerprint(ca), before);
  const { text, detail } = question(serving.url, fingerprint(ca), before);
  expect(text).toContain("has changed");
  for (const print of [before.pem, ca].map(fingerprint)) expect(detail).toContain(print);
  expect(question(serving.url, fingerprint(ca), undefined).text).not.toContain("changed");
});

test("what is shown beside the one certificate is refused", () => {
  expect(onlyCertificate(`hello\n${ca}`)).toBe(ca);
  const key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
  for (const bad of ["", "nothing", ca + ca, ca + key, `${ca}${" ".repeat(20_000)}`]) {
    expect(() => onlyCertificate(bad)).toThrow("authority");
  }
});

test("an address is what somebody means, and never plain HTTP to elsewhere", () => {
  expect(originOf("dev.example.com:8443")).toBe("https://dev.example.com:8443");
  expect(originOf(" https://dev.example.com/workspaces ")).toBe("https://dev.example.com");
  expect(originOf("http://localhost:8080")).toBe("http://localhost:8080");
  for (const bad of [
    "",
    "https://",
    "http://dev.example.com",
    "ftp://x",
    "https://ada:pw@x",
    "javascript:alert(1)",
  ]) {
    expect(originOf(bad), bad).toBeUndefined();
  }
});
