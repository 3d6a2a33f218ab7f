// The VS Code extension in a real editor: installed from what the gateway serves, signed in
// through the approval page, its tree, a start, a terminal, and what it hands over to
// Remote-SSH.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  choose,
  handedOver,
  home,
  included,
  inline,
  install,
  openEditor,
  screen,
  settings,
  signIn,
} from "./extension-lib.mjs";
import { assert, flow, required, SOON, until } from "./lib.mjs";

const pictures = required("DEVGATE_SCREENSHOTS");

await flow("extension", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const made = await stopped(ada);
  const { body: connection } = await ada.ask("GET", "/connection");

  await install(ada, me);
  const editor = await openEditor(ada);
  await editor.getByRole("button", { name: "Sign In to a Server", exact: true }).click();
  const { back } = await signIn(editor, ada);
  // Back to the editor's own page, which hands the state on to the extension and nothing else.
  assert.match(back.host, /^editor--default--/);
  const given = [...back.searchParams].map(([name, value]) => `${name}=${value}`).sort();
  assert.deepEqual(given.map((one) => one.replace(/(state=).{32}$/, "$1…")), [
    "vscode-authority=devgate.devgate",
    "vscode-path=/signed-in",
    "vscode-query=state=…",
    "vscode-reqid=1",
    "vscode-scheme=code-oss",
  ]);
  // What it got is in the list of tokens, and of the scope that it asked for.
  const { body: tokens } = await ada.ask("GET", "/me/tokens");
  assert.deepEqual(tokens.items.map(({ scope }) => scope), ["write"]);

  // The tree: both workspaces, their states, and what the one that runs uses.
  const item = (name) => editor.getByRole("treeitem", { name });
  await item(/^default, running · CPU .*B$/).waitFor();
  await item(/^other, stopped/).waitFor();
  await editor.getByRole("button", { name: /default: (< )?\d+ ms/ }).first().waitFor();
  await editor.screenshot({ path: join(pictures, "extension-tree.png") });

  // It starts a workspace that was stopped; an event shows it, and the gateway agrees.
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

  await hasPorts(ada, editor, { item, made });
  await handsOver(editor, { item, other, connection });
  await hears(ada, editor, { item, made });
});

/** Makes a workspace that ran and was stopped. */
async function stopped(ada) {
  const { body: made } = await ada.ask("POST", "/workspaces", { name: "other", start: true });
  const is = async (state) => (await ada.ask("GET", `/workspaces/${made.id}`)).body.state === state;
  await until("it runs", SOON, () => is("running"));
  await ada.ask("POST", `/workspaces/${made.id}/stop`);
  await until("it is stopped", SOON, () => is("stopped"));
  return made;
}

/** A port appears below its workspace; its address is copied, and others may open it. */
async function hasPorts(ada, editor, { item, made }) {
  const [port] = required("DEVGATE_PORTS").split(",");
  await editor.locator(".terminal-wrapper.active .xterm-helper-textarea").focus();
  await editor.keyboard.type(`python3 -m http.server --bind 127.0.0.1 ${port} >/dev/null 2>&1 &\n`);
  await item(/^other/).click();
  const listed = item(new RegExp(`^${port}, python3 · private`));
  await listed.waitFor();
  await inline(listed, "Copy Port's Address");
  const address = () => editor.evaluate(() => navigator.clipboard.readText());
  await until("the address is copied", SOON, async () => (await address()).startsWith(`https://${port}--other--`));
  await choose(editor, listed, "Say Who May Open the Port…");
  await editor.locator(".quick-input-list").getByText("Members").click();
  await item(new RegExp(`^${port}, python3 · members`)).waitFor();
  const { body: ports } = await ada.ask("GET", `/workspaces/${made.id}/ports`);
  assert.deepEqual(ports.items.map((one) => [String(one.port), one.visibility]), [[port, "members"]]);

  await choose(editor, item(/^other/), "Keep Awake…");
  await editor.locator(".quick-input-list").getByText("For 2 hours").click();
  const leases = async () => (await ada.ask("GET", `/workspaces/${made.id}/keep-awake`)).body.items;
  const [lease] = await until("it is kept awake", SOON, async () => (await leases()).length === 1 && leases());
  assert.match(lease.reason, /^Kept awake from /);
}

/** Has a workspace opened from its menu, and returns what Remote-SSH was given. */
async function opened(editor, item, name) {
  const before = handedOver().length;
  await choose(editor, item, name);
  await until("a window is asked for", SOON, () => handedOver().length > before);
  const [{ command, given }] = handedOver().slice(before);
  return { command, given };
}

/** What Remote-SSH is given: the exact authority, folder, window and settings. */
async function handsOver(editor, { item, other, connection }) {
  const platforms = () => JSON.parse(readFileSync(settings, "utf8"))["remote.SSH.remotePlatform"];
  const json = `{"hostName":"${connection.ssh_host}","user":"other","port":${connection.ssh_port}}`;
  const byAddress = `ssh-remote+${Buffer.from(json).toString("hex")}`;
  const told = ({ command, given: [uri, options] }) => {
    const { scheme, authority, path } = uri;
    return { command, scheme, authority, path, options };
  };

  const first = await opened(editor, item(/^other/), "Open over SSH in New Window");
  assert.deepEqual(told(first), {
    command: "vscode.openFolder",
    scheme: "vscode-remote",
    authority: byAddress,
    path: other.home,
    options: { forceNewWindow: true, forceReuseWindow: false },
  });
  assert.deepEqual(platforms(), { [connection.ssh_host]: "linux" });

  // Where `devgate config-ssh` wrote a host that ssh takes there, it is that one.
  const host = `other.${connection.ssh_host}.devgate`;
  const lines = [`Host ${host}`, "    User other.somebody", `    ProxyCommand 'devgate' proxy ${other.id}`, ""];
  writeFileSync(join(included, "here.conf"), lines.join("\n"));
  const second = await opened(editor, item(/^other/), "Open over SSH in This Window");
  assert.deepEqual(told(second), {
    command: "vscode.openFolder",
    scheme: "vscode-remote",
    authority: `ssh-remote+${host}`,
    path: other.home,
    options: { forceNewWindow: false, forceReuseWindow: true },
  });
  assert.deepEqual(platforms(), { [connection.ssh_host]: "linux", [host]: "linux" });

  // Without a folder, for who wants none; and who comes again is still signed in.
  const before = JSON.parse(readFileSync(settings, "utf8"));
  writeFileSync(settings, JSON.stringify({ ...before, "devgate.openFolder": "none" }));
  await editor.reload();
  await item(/^other, running/).waitFor();
  const third = await opened(editor, item(/^other/), "Open over SSH in This Window");
  assert.equal(third.command, "vscode.newWindow");
  assert.deepEqual(third.given, [{ remoteAuthority: `ssh-remote+${host}`, reuseWindow: true }]);
}

/** The tree hears of what somebody else does, and says when nobody is signed in any more. */
async function hears(ada, editor, { item, made }) {
  await ada.ask("POST", `/workspaces/${made.id}/stop`);
  await item(/^other, stopped/).waitFor();
  const { body: tokens } = await ada.ask("GET", "/me/tokens");
  await ada.ask("DELETE", `/me/tokens/${tokens.items[0].id}`);
  await editor.getByText("sign in again").first().waitFor();
}
