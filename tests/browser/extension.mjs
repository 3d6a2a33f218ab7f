// The VS Code extension in a real editor: installed from what the gateway serves, signed in
// through the approval page, its tree, a start, a terminal, and what it hands over to
// Remote-SSH.
import { createHash, X509Certificate } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { assert, flow, required, Shell, SOON, until, url } from "./lib.mjs";

/** A server written in JavaScript starts in seconds, on a loaded machine in many. */
const SERVER = 90_000;

const home = required("DEVGATE_HOME");
const pictures = required("DEVGATE_SCREENSHOTS");
const handed = join(home, "handed-over.jsonl");
const server = new URL(url).host;

await flow("extension", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const { body: made } = await ada.ask("POST", "/workspaces", { name: "other", start: false });
  const { body: connection } = await ada.ask("GET", "/connection");

  await install(ada, me);
  const [editor] = await Promise.all([
    ada.context.waitForEvent("page"),
    ada.page.goto(`${url}/workspaces`).then(() => ada.page.getByRole("link", { name: "Open editor" }).first().click()),
  ]);
  editor.setDefaultTimeout(SERVER);
  await editor.locator(".monaco-workbench").waitFor();
  await editor.getByRole("tab", { name: "devgate" }).click();
  await signIn(ada, editor);

  // The tree: both workspaces, their states, and what the one that runs uses.
  const item = (name) => editor.getByRole("treeitem", { name });
  await item(/^default, running · CPU .* of /).waitFor();
  await item(/^other, stopped/).waitFor();
  await editor.getByRole("button", { name: /default: (< )?\d+ ms/ }).first().waitFor();
  await editor.screenshot({ path: join(pictures, "extension-tree.png") });

  // It starts a workspace; an event shows it, and the gateway agrees.
  await inline(item(/^other/), "Start");
  await item(/^other, running/).waitFor();
  const { body: other } = await ada.ask("GET", `/workspaces/${made.id}`);
  assert.equal(other.state, "running");

  // Its terminal is one of that workspace's.
  await inline(item(/^other/), "Open Terminal");
  await editor.locator(".terminal-wrapper.active .xterm-helper-textarea").waitFor();
  await until("the shell is there", SOON, async () => (await screen(editor)).match(/[#$] *$/m));
  await editor.locator(".terminal-wrapper.active .xterm-helper-textarea").focus();
  await editor.keyboard.type("echo from-$DEVGATE_WORKSPACE-$((6 * 7)) | tee ~/ran.txt\n");
  await until("the command ran", SOON, () => existsSync(join(other.home, "ran.txt")));
  await until("its output is drawn", SOON, async () => (await screen(editor)).includes("from-other-42"));
  assert.equal(readFileSync(join(other.home, "ran.txt"), "utf8"), "from-other-42\n");
  await editor.screenshot({ path: join(pictures, "extension-terminal.png") });
  const { body: terminals } = await ada.ask("GET", `/workspaces/${made.id}/terminals`);
  assert.equal(terminals.items.length, 1);

  await handsOver(editor, { item, other, connection });
  await hears(ada, editor, { item, made });
});

/** Puts the extension into the workspace as a person does, from the gateway, beside a Remote-SSH. */
async function install(ada, me) {
  const answer = await ada.context.request.get(`${url}/extension/devgate.vsix`);
  assert.equal(answer.headers()["content-type"], "application/vsix");
  writeFileSync(join(home, "devgate.vsix"), await answer.body());
  const extensions = join(home, ".local/share/code-server/extensions");
  mkdirSync(extensions, { recursive: true });
  const fixture = new URL("fixtures/remote-ssh", import.meta.url).pathname;
  cpSync(fixture, join(extensions, "jeanp413.open-remote-ssh-0.0.49"), { recursive: true });
  const shell = await ada.openTerminal(me.name, "default");
  // A login shell's PATH is its own.
  await shell.type(`${required("CODE_SERVER")} --install-extension ~/devgate.vsix && echo in-$((1 + 1))stalled`);
  await shell.shows("in-2stalled", SERVER);
}

/** Signs in: the address, the fingerprint, the approval in the browser, and back. */
async function signIn(ada, editor) {
  await editor.getByRole("button", { name: "Sign In to a Server", exact: true }).click();
  const input = editor.locator(".quick-input-widget input");
  await input.waitFor();
  await input.fill(url);
  await input.press("Enter");

  // The authority's fingerprint, worked out here from what the gateway shows.
  const { body: pem } = await ada.ask("GET", "/ca");
  const hash = createHash("sha256").update(new X509Certificate(pem).raw).digest("base64").replace(/=+$/, "");
  const dialog = editor.getByRole("dialog");
  await dialog.getByText(`SHA256:${hash}`).waitFor();
  const opened = ada.context.waitForEvent("page");
  await dialog.getByRole("button", { name: "It Is the Same" }).click();
  const page = await opened;
  await page.getByRole("heading", { name: "Sign a program in" }).waitFor();
  assert.ok(page.url().startsWith(`${url}/device#code=`));
  const code = await page.getByLabel("Code").textContent();
  await editor.getByText(`Approve the code ${code}`).first().waitFor();
  await page.getByRole("button", { name: "Approve" }).click();
  // Back to the editor's own page, which hands the state on to the extension and nothing else.
  await page.waitForURL(/\/callback\?/);
  const back = new URL(page.url());
  assert.match(back.host, /^editor--default--/);
  const given = [...back.searchParams].map(([name, value]) => `${name}=${value}`).sort();
  assert.deepEqual(given.map((one) => one.replace(/(state=).{32}$/, "$1…")), [
    "vscode-authority=devgate.devgate",
    "vscode-path=/signed-in",
    "vscode-query=state=…",
    "vscode-reqid=1",
    "vscode-scheme=code-oss",
  ]);
  await page.close();
  await dialog.getByText("devgate").first().waitFor();
  await dialog.getByRole("button", { name: "Open", exact: true }).click();
  await editor.getByText(`Signed in to ${server}`).first().waitFor();
  // What it got is in the list of tokens, and of the scope that it asked for.
  const { body: tokens } = await ada.ask("GET", "/me/tokens");
  assert.deepEqual(tokens.items.map(({ scope }) => scope), ["write"]);
}

/** Presses a button of an entry of the tree. */
async function inline(item, name) {
  await item.hover();
  await item.getByRole("button", { name }).click();
}

async function screen(editor) {
  const rows = await editor.locator(".terminal-wrapper.active .xterm-rows > div").allTextContents();
  return rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd()).join("\n");
}

function handedOver() {
  const text = existsSync(handed) ? readFileSync(handed, "utf8") : "";
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** What Remote-SSH is given: the exact authority, folder, window and settings. */
async function handsOver(editor, { item, other, connection }) {
  await inline(item(/^other/), "Open over SSH in New Window");
  const [first] = await until("a window is asked for", SOON, () => handedOver().length === 1 && handedOver());
  const json = `{"hostName":"${connection.ssh_host}","user":"other","port":${connection.ssh_port}}`;
  const hex = Buffer.from(json).toString("hex");
  assert.equal(first.command, "_files.windowOpen");
  const [[opened], options] = first.given;
  const { scheme, authority, path } = opened.folderUri;
  assert.deepEqual({ scheme, authority, path }, { scheme: "vscode-remote", authority: `ssh-remote+${hex}`, path: other.home });
  assert.equal(options.forceNewWindow, true);
  assert.ok(!options.forceReuseWindow);
  const settings = () => JSON.parse(readFileSync(join(home, ".local/share/code-server/User/settings.json"), "utf8"));
  await until("the platform is told", SOON, () => settings()["remote.SSH.remotePlatform"]);
  assert.deepEqual(settings()["remote.SSH.remotePlatform"], { [connection.ssh_host]: "linux" });

  // Where `devgate config-ssh` wrote a host that ssh takes, that one; in this window, without a folder.
  const host = `other.${connection.ssh_host}.devgate`;
  const config = join(home, "ssh-config");
  const own = join(home, ".config/devgate/ssh");
  mkdirSync(own, { recursive: true });
  const lines = `Host ${host}\n    User other.somebody\n    ProxyCommand 'devgate' --context here proxy ${other.id}\n`;
  writeFileSync(join(own, "here.conf"), lines);
  writeFileSync(config, `Include "${own}/*.conf"\n`);
  writeFileSync(
    join(home, ".local/share/code-server/User/settings.json"),
    JSON.stringify({ ...settings(), "remote.SSH.configFile": config, "devgate.openFolder": "none" }),
  );
  await until("the settings are read", SOON, async () => {
    const before = handedOver().length;
    await item(/^other/).click({ button: "right" });
    await editor.getByRole("menuitem", { name: "Open over SSH in This Window" }).click();
    await until("a window is asked for", SOON, () => handedOver().length > before);
    return handedOver().at(-1).command === "_files.newWindow";
  });
  const { given } = handedOver().at(-1);
  assert.deepEqual(given[0], { remoteAuthority: `ssh-remote+${host}`, forceReuseWindow: true });
  assert.deepEqual(settings()["remote.SSH.remotePlatform"], { [connection.ssh_host]: "linux", [host]: "linux" });
}

/** The tree hears of what somebody else does, and says when nobody is signed in any more. */
async function hears(ada, editor, { item, made }) {
  await ada.ask("POST", `/workspaces/${made.id}/stop`);
  await item(/^other, stopped/).waitFor();
  const { body: tokens } = await ada.ask("GET", "/me/tokens");
  await ada.ask("DELETE", `/me/tokens/${tokens.items[0].id}`);
  await editor.getByText("sign in again").first().waitFor();
}
