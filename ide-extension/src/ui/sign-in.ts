/** Signing in to a server, and out again. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";

import * as vscode from "vscode";

import { Gateway, type Trust } from "../api/gateway";
import { Problem } from "../api/problem";
import type { DeviceCodes } from "../api/types";
import { approvalPage, approved, begin, Bell, endToken, pageHost, replace, tokenName } from "../sign-in";
import { meet, originOf, question } from "../trust";
import { during, isNode } from "./ask";
import { browse } from "./browse";
import type { Model } from "./model";

/** Our own id, which addresses lead to. */
const EXTENSION = "devgate.devgate";

/** Largest file of an authority, in bytes. */
const LARGEST = 64 * 1024;

export class SignIn implements vscode.UriHandler {
  /** Sign-ins that wait, by the state that leads back to them. */
  private readonly waiting = new Map<string, Bell>();

  constructor(private readonly model: Model) {}

  /** The browser leads back: what it brings is no secret, and says only which sign-in to look after. */
  handleUri(uri: vscode.Uri): void {
    if (uri.path !== "/signed-in") return;
    const state = new URLSearchParams(uri.query).get("state") ?? "";
    this.waiting.get(state)?.strike();
  }

  /** Signs somebody in, to the server that is given or that they name. */
  async signIn(given: unknown): Promise<void> {
    const url = typeof given === "string" ? originOf(given) : await askForServer(this.model);
    if (url === undefined) return;
    const before = this.model.servers.all().find((server) => server.url === url)?.trust;
    const trust = await meet(url, await namedAuthority(), before, { compare });
    if (!trust) return;
    const gateway = new Gateway(url, trust);
    try {
      const codes = await begin(gateway, tokenName(vscode.env.appName, hostname()));
      const given = await this.approve(gateway, codes, url);
      if (!given) return;
      const server = { url, user: given.user, trust };
      const before = await replace(this.model.servers, server, given.token.token);
      await this.model.lives.reload();
      void vscode.window.showInformationMessage(`Signed in to ${new URL(url).host} as ${given.user}.`);
      if (before) await end(before);
      before?.dispose();
    } finally {
      gateway.dispose();
    }
  }

  private async approve(gateway: Gateway, codes: DeviceCodes, url: string) {
    if (!(await mayOpen(codes, url))) return undefined;
    const state = randomBytes(24).toString("base64url");
    const bell = new Bell();
    this.waiting.set(state, bell);
    try {
      const own = vscode.Uri.parse(`${vscode.env.uriScheme}://${EXTENSION}/signed-in?state=${state}`);
      const back = await vscode.env.asExternalUri(own);
      const page = approvalPage(codes, back.toString(true));
      await browse(page);
      const text = `Approve the code ${codes.user_code} in your browser, at ${codes.verification_uri}`;
      return await during(text, (signal) => approved(gateway, codes, bell, signal));
    } finally {
      this.waiting.delete(state);
    }
  }

  /** Signs somebody out: the token is ended on the server, too. */
  async signOut(node: unknown): Promise<void> {
    const url = isNode(node) && node.kind === "server" ? node.live.server.url : await askWhich(this.model);
    const live = this.model.lives.all().find(({ server }) => server.url === url);
    if (!live) return;
    await end(live.gateway);
    await this.model.servers.remove(live.server.url);
    await this.model.lives.reload();
  }
}

/** A token that nobody ends ends by itself; so a server that can't be reached keeps nobody signed in. */
async function end(gateway: Gateway): Promise<void> {
  try {
    await endToken(gateway);
  } catch (error) {
    const reason = error instanceof Problem ? error.message : String(error);
    void vscode.window.showWarningMessage(
      `The token wasn't ended on the server (${reason}) You can end it there, in your account's list of tokens.`,
    );
  }
}

function askForServer(model: Model): Thenable<string | undefined> {
  const known = model.lives.all().find(({ signedOut }) => signedOut)?.server.url;
  const typed = vscode.window.showInputBox({
    title: "Sign In to a devgate Server",
    prompt: "The dashboard's address, as in https://dev.example.com:8443",
    value: known ?? "https://",
    valueSelection: [8, known?.length ?? 8],
    ignoreFocusOut: true,
    validateInput: (text) => {
      const isFine = text === "https://" || originOf(text) !== undefined;
      return isFine
        ? undefined
        : "An address begins with https:// (http:// for localhost alone) and has no user in it.";
    },
  });
  return typed.then((text) => (text === undefined || text === "https://" ? undefined : originOf(text)));
}

async function askWhich(model: Model): Promise<string | undefined> {
  const urls = model.lives.all().map(({ server }) => server.url);
  return urls.length < 2
    ? urls[0]
    : vscode.window.showQuickPick(urls, { placeHolder: "Sign out of which server?" });
}

/** Returns the authority that the settings name. */
async function namedAuthority(): Promise<string | undefined> {
  const path = vscode.workspace.getConfiguration("devgate").get<string>("certificateAuthority", "").trim();
  if (path === "") return undefined;
  const name = "The setting devgate.certificateAuthority";
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new Problem(0, "authority", `${name} names a file that can't be read: ${String(error)}`);
  });
  if (text.length > LARGEST || !text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Problem(0, "authority", `${name} names ${path}, which isn't a certificate in PEM.`);
  }
  return text;
}

async function compare(url: string, fingerprint: string, before: Trust | undefined): Promise<boolean> {
  const same = "It Is the Same";
  const { text, detail } = question(url, fingerprint, before);
  return (await vscode.window.showWarningMessage(text, { modal: true, detail }, same)) === same;
}

/** Asks where the page to approve it at isn't the server's own. */
async function mayOpen(codes: DeviceCodes, url: string): Promise<boolean> {
  const [plain, whole] = [codes.verification_uri, codes.verification_uri_complete];
  const hosts = [plain, whole].map((page) => pageHost(page, url));
  for (const host of hosts) {
    if (host === undefined) {
      const text = `${url} names a page to approve this at that isn't safe to open (${plain}): set http.url on the server.`;
      throw new Problem(0, "page", text);
    }
    if (host.same) continue;
    const go = "Open It";
    const detail = `You sign in at ${new URL(url).host}. Go on only if you know that ${host.host} is its dashboard.`;
    const options = { modal: true, detail };
    const text = `The page to approve it at is at ${host.host}.`;
    return (await vscode.window.showWarningMessage(text, options, go)) === go;
  }
  return true;
}
