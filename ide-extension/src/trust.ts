/** Meeting a server for the first time: what it is, and whose certificate it shows. */
import { createHash, X509Certificate } from "node:crypto";

import { Gateway, type Trust } from "./api/gateway";
import { Problem, Untrusted } from "./api/problem";

/** Largest text of an authority that is taken, in characters. */
const LARGEST = 16 * 1024;

/** A PEM block of a certificate, and nothing else. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Returns the origin that somebody means, or `undefined` where it is none. */
export function originOf(typed: string): string | undefined {
  const text = typed.trim();
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  let url: URL;
  try {
    url = new URL(whole);
  } catch {
    return undefined;
  }
  const isLocal = url.hostname === "localhost" || url.hostname === "127.0.0.1" || url.hostname === "[::1]";
  // Over plain HTTP anybody on the way would read the token.
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLocal)) return undefined;
  if (url.username !== "" || url.password !== "") return undefined;
  return url.origin;
}

/** Returns the one certificate of an answer, written anew: others may have been put beside it. */
export function onlyCertificate(answer: string): string {
  const found: string[] = answer.length <= LARGEST ? (answer.match(CERTIFICATE) ?? []) : [];
  const begun = answer.match(/-----BEGIN /g) ?? [];
  const [first] = found;
  if (first === undefined || begun.length !== 1) {
    throw new Problem(
      0,
      "authority",
      "The server's authority isn't one certificate: somebody may be in between.",
    );
  }
  return new X509Certificate(first).toString();
}

/** Returns a certificate's fingerprint, as `devgate status` shows it on the server. */
export function fingerprint(pem: string): string {
  const hash = createHash("sha256").update(new X509Certificate(pem).raw).digest("base64");
  return `SHA256:${hash.replace(/=+$/, "")}`;
}

/** Whom a person has to ask, and what. */
export interface Judge {
  /** Whether the authority with that fingerprint is the server's, which was known by another `before`. */
  compare: (url: string, fingerprint: string, before: Trust | undefined) => Promise<boolean>;
}

/**
 * Returns how a server is known from now on, or `undefined` where the person said no.
 *
 * `named` is an authority that the settings name, `before` what the server was known by.
 */
export async function meet(
  url: string,
  named: string | undefined,
  before: Trust | undefined,
  judge: Judge,
): Promise<Trust | undefined> {
  if (named !== undefined) {
    const trust: Trust = { by: "authority", pem: named };
    await reach(url, trust);
    return trust;
  }
  if (before?.by === "authority" && (await isKnownBy(url, before))) return before;
  if (await isKnownBy(url, { by: "system" })) return { by: "system" };
  const pem = onlyCertificate(await authority(url));
  if (!(await judge.compare(url, fingerprint(pem), before))) return undefined;
  const trust: Trust = { by: "authority", pem };
  await reach(url, trust);
  return trust;
}

async function isKnownBy(url: string, trust: Trust): Promise<boolean> {
  try {
    await reach(url, trust);
    return true;
  } catch (error) {
    if (error instanceof Untrusted) return false;
    throw error;
  }
}

/** Returns what to ask somebody of an authority, as ssh does: that it is another one is told first. */
export function question(
  url: string,
  print: string,
  before: Trust | undefined,
): { text: string; detail: string } {
  const there = "On the server's machine `devgate status` shows it. Go on only if it is the same there: else";
  if (!before) {
    const what = `The certificate of ${url} is of devgate's own authority, with the fingerprint\n\n${print}\n\n`;
    return { text: "Is this your server?", detail: `${what}${there} somebody may be in between.` };
  }
  const known = before.by === "authority" ? fingerprint(before.pem) : "an authority that this machine trusts";
  const what = `${url} was known by\n\n${known}\n\nand shows a certificate of another authority now, with the fingerprint\n\n${print}\n\n`;
  return {
    text: "The identity of this server has changed. Somebody may be in between, right now.",
    detail: `${what}The server may also have been set up anew. ${there} you give yourself away.`,
  };
}

/** Sees whether a server is trusted, and is devgate. */
async function reach(url: string, trust: Trust): Promise<void> {
  const gateway = new Gateway(url, trust);
  try {
    await gateway.text("GET", "/ca");
  } catch (error) {
    // A certificate of somebody else's authority: devgate all the same.
    if (error instanceof Problem && error.code === "no-such-authority") return;
    if (error instanceof Problem && error.status > 0) {
      throw new Problem(
        error.status,
        "not-devgate",
        `${url} doesn't answer as devgate does: check the address.`,
      );
    }
    throw error;
  } finally {
    gateway.dispose();
  }
}

/** Asks a server for its own authority, whoever it is. Nothing secret is sent. */
async function authority(url: string): Promise<string> {
  const gateway = new Gateway(url, { by: "nobody" });
  try {
    return await gateway.text("GET", "/ca");
  } catch (error) {
    if (!(error instanceof Problem) || error.status === 0) throw error;
    throw new Untrusted(
      `The certificate of ${url} is of an authority that this machine doesn't know: name its file in the ` +
        "setting devgate.certificateAuthority.",
    );
  } finally {
    gateway.dispose();
  }
}
