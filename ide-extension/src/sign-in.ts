/** Having somebody approve this editor in a browser (after RFC 8628). */
import { Gateway, rest } from "./api/gateway";
import { Problem } from "./api/problem";
import type { DeviceCodes, DeviceToken } from "./api/types";
import type { Server, Servers } from "./servers";

/** How long the token lasts: the longest that can be asked for in this way, 90 days. */
const LIFE_SECONDS = 90 * 24 * 3600;

/** By how much a program that asks too soon slows down (RFC 8628 §3.5), in milliseconds. */
const SLOWER = 5000;

/** How long a server that can't be reached is asked again, in milliseconds. */
const PATIENCE = 30_000;

/** The longest name of a token, in characters. */
const LONGEST_NAME = 100;

/** What ends a wait before its time. */
export class Bell {
  private ring = new AbortController();

  /** Ends the wait that is going on. */
  strike(): void {
    this.ring.abort();
  }

  /** Waits for that long, or until the bell is struck. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    await rest(milliseconds, AbortSignal.any([this.ring.signal, signal]));
    this.ring = new AbortController();
  }
}

/** Returns what the token is called: the editor and the machine. */
export function tokenName(editor: string, host: string): string {
  // The API takes no control characters, and none that nobody sees.
  const shown = `${editor} on ${host}`.replace(/[\p{Cc}\p{Cf}]/gu, "");
  return Array.from(shown).slice(0, LONGEST_NAME).join("");
}

/** Asks for the codes. */
export function begin(gateway: Gateway, name: string): Promise<DeviceCodes> {
  return gateway.request("POST", "/login/device", {
    body: { name, scope: "write", expires_in_seconds: LIFE_SECONDS },
  });
}

/**
 * Returns the page to approve it at, which leads back to the editor afterwards.
 *
 * The way back stands behind `#`, as the code does: no server sees it.
 */
export function approvalPage(codes: DeviceCodes, back: string): string {
  return `${codes.verification_uri_complete}&return=${encodeURIComponent(back)}`;
}

/** Tells whether a page that a server names is no less safe than the way to the server; and whose it is. */
export function pageHost(page: string, server: string): { same: boolean; host: string } | undefined {
  try {
    const [url, own] = [new URL(page), new URL(server)];
    const safe = url.protocol === "https:" || (url.protocol === "http:" && own.protocol === "http:");
    return safe ? { same: url.hostname === own.hostname, host: url.host } : undefined;
  } catch {
    return undefined;
  }
}

/** Waits until somebody has decided. The bell has it ask at once. */
export async function approved(
  gateway: Gateway,
  codes: DeviceCodes,
  bell: Bell,
  signal: AbortSignal,
): Promise<DeviceToken> {
  let interval = Math.min(Math.max(codes.interval, 1), 60) * 1000;
  const end = Date.now() + Math.min(codes.expires_in, 3600) * 1000;
  let asked = Date.now();
  let answered = asked;
  while (Date.now() < end) {
    // The way back rings: without it there is no hurry, with it no sooner than may be asked.
    await bell.wait(2 * interval, signal);
    await rest(asked + interval - Date.now(), signal);
    signal.throwIfAborted();
    asked = Date.now();
    try {
      return await gateway.request("POST", "/login/device/token", {
        body: { device_code: codes.device_code },
        signal,
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!error.isFinal) {
        if (Date.now() - answered > PATIENCE) throw error;
        continue;
      }
      answered = Date.now();
      if (error.code === "slow-down") interval += SLOWER;
      else if (error.code === "access-denied") {
        throw new Problem(error.status, error.code, "It was refused in the browser: nobody is signed in.");
      } else if (error.code === "expired-token") break;
      else if (error.code !== "authorization-pending") throw error;
    }
  }
  throw new Problem(
    0,
    "expired-token",
    "The code is too old, or the server has started anew: sign in again.",
  );
}

/**
 * Keeps what somebody has signed in with. Returns a gateway with the token that this takes the place
 * of, if there is one: it is to be ended, once nothing uses it any more.
 */
export async function replace(servers: Servers, server: Server, token: string): Promise<Gateway | undefined> {
  const before = await servers.token(server);
  await servers.add(server, token);
  const isOther = before !== undefined && before !== token;
  return isOther ? new Gateway(server.url, server.trust, before) : undefined;
}

/** Ends the token that a gateway is asked with; one that has ended is fine. */
export async function endToken(gateway: Gateway): Promise<void> {
  try {
    const { token } = await gateway.request("GET", "/me");
    if (token) await gateway.request("DELETE", "/me/tokens/{id}", { path: { id: token } });
  } catch (error) {
    if (!(error instanceof Problem && error.signedOut)) throw error;
  }
}
