// What the flows of the VS Code extension share: an editor that has it, and what people do there.
import { createHash, X509Certificate } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { assert, required, SOON, until, url } from "./lib.mjs";

/** A server written in JavaScript starts in seconds, on a loaded machine in many. */
const SERVER = 90_000;

export const home = required("DEVGATE_HOME");
export const settings = join(home, ".local/share/code-server/User/settings.json");
/** Where `devgate config-ssh` writes. */
export const included = join(home, ".config/devgate/ssh");
const handed = join(home, "handed-over.jsonl");

/**
 * Puts the extension into the workspace as a person does, from the gateway, beside a Remote-SSH
 * unless nobody has one.
 */
export async function install(ada, me, { remoteSsh = true } = {}) {
  const answer = await ada.context.request.get(`${url}/extension/devgate.vsix`);
  assert.equal(answer.headers()["content-type"], "application/vsix");
  writeFileSync(join(home, "devgate.vsix"), await answer.body());
  // ssh reads the configuration of the account's home, which isn't the workspace's here.
  mkdirSync(included, { recursive: true });
  writeFileSync(join(home, "ssh-config"), `Include "${included}/*.conf"\n`);
  mkdirSync(dirname(settings), { recursive: true });
  const set = { "remote.SSH.configFile": "~/ssh-config", "workbench.startupEditor": "none" };
  writeFileSync(settings, JSON.stringify(set));
  const extensions = join(home, ".local/share/code-server/extensions");
  mkdirSync(extensions, { recursive: true });
  const fixture = new URL("fixtures/remote-ssh", import.meta.url).pathname;
  if (remoteSsh) cpSync(fixture, join(extensions, "jeanp413.open-remote-ssh-0.0.49"), { recursive: true });
  const shell = await ada.openTerminal(me.name, "default");
  // A login shell's PATH is its own.
  await shell.type(`${required("CODE_SERVER")} --install-extension ~/devgate.vsix && echo in-$((1 + 1))stalled`);
  await shell.shows("in-2stalled", SERVER);
}

/** Opens the first workspace's editor, and the extension's view in it. */
export async function openEditor(ada) {
  await ada.page.goto(`${url}/workspaces`);
  const [editor] = await Promise.all([
    ada.context.waitForEvent("page"),
    ada.page.getByRole("link", { name: "Open editor" }).first().click(),
  ]);
  await showView(editor);
  return editor;
}

/** Waits for an editor, and opens the extension's view in it. */
export async function showView(editor) {
  editor.setDefaultTimeout(SERVER);
  await editor.locator(".monaco-workbench").waitFor();
  await editor.getByRole("tab", { name: "devgate" }).click();
}

/**
 * Signs in, where the editor asks for the server's address: the address, the fingerprint (unless
 * the server is known), the approval in the browser, and back. Returns the page that led back.
 *
 * Somebody with another browser than the editor's approves it there; nothing leads back then.
 */
export async function signIn(editor, approver, { known = false } = {}) {
  const server = new URL(approver.page.url()).origin;
  const opened = editor.context().waitForEvent("page", { timeout: SERVER });
  await type(editor, server);
  if (!known) await compare(editor, approver);
  let page = await opened;
  await page.waitForURL(/\/device#code=/);
  assert.ok(page.url().startsWith(`${server}/device#code=`));
  const isElsewhere = editor.context() !== approver.context;
  if (isElsewhere) {
    const address = page.url();
    await page.close();
    page = await approver.context.newPage();
    await page.goto(address);
  }
  await page.getByRole("heading", { name: "Sign a program in" }).waitFor();
  const code = await page.getByLabel("Code").textContent();
  await editor.getByText(`Approve the code ${code}`).first().waitFor();
  await page.getByRole("button", { name: "Approve" }).click();
  if (!isElsewhere) await page.waitForURL(/\/callback\?/);
  await editor.getByText(`Signed in to ${new URL(server).host}`).first().waitFor();
  const back = new URL(page.url());
  await page.close();
  return { back };
}

/** Says that the server's authority is the one that the gateway shows. */
async function compare(editor, approver) {
  // The authority's fingerprint, worked out here from what the gateway shows.
  const { body: pem } = await approver.ask("GET", "/ca");
  const hash = createHash("sha256").update(new X509Certificate(pem).raw).digest("base64").replace(/=+$/, "");
  const dialog = editor.getByRole("dialog");
  await dialog.getByText(`SHA256:${hash}`).waitFor();
  await dialog.getByRole("button", { name: "It Is the Same" }).click();
}

/** Types an answer where the editor asks for one. */
export async function type(editor, text) {
  const input = editor.locator(".quick-input-widget input");
  await input.waitFor();
  await input.fill(text);
  await input.press("Enter");
}

/** Runs a command by its name. */
export async function command(editor, name) {
  await editor.keyboard.press("F1");
  const input = editor.locator(".quick-input-widget input");
  await input.waitFor();
  await input.fill(`>${name}`);
  await editor.locator(".quick-input-list").getByText(name, { exact: true }).first().waitFor();
  await input.press("Enter");
}

/** Picks one of what the editor lists. */
export async function pick(editor, text) {
  await editor.locator(".quick-input-list").getByText(text).first().click();
}

/** Presses a button of an entry of the tree. */
export async function inline(item, name) {
  await item.hover();
  await item.getByRole("button", { name }).click();
}

/** Chooses an entry of the menu of an entry of the tree. */
export async function choose(editor, item, name) {
  await item.click({ button: "right" });
  const entry = editor.getByRole("menuitem", { name });
  // By keyboard: a menu takes no click for a moment after it came.
  await until("the menu's entry has the focus", SOON, async () => {
    await entry.hover();
    return entry.evaluate((one) => one.matches(":focus") || one.parentElement.matches(".focused"));
  });
  await editor.keyboard.press("Enter");
}

/** Presses a button of what the editor asks before it goes on. */
export async function answer(editor, name) {
  await editor.locator(".monaco-dialog-box").getByRole("button", { name, exact: true }).click();
}

/** Returns what a notice of the editor's is in that has these words. */
export function notice(editor, text) {
  return editor.locator(".notification-list-item", { hasText: text }).first();
}

/** Returns what the terminal shows that the editor shows. */
export async function screen(editor) {
  const rows = await editor.locator(".terminal-wrapper.active .xterm-rows > div").allTextContents();
  return rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd()).join("\n");
}

/** Returns what Remote-SSH was given so far. */
export function handedOver() {
  const text = existsSync(handed) ? readFileSync(handed, "utf8") : "";
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}
