// What the VS Code extension opens in the browser, copies, and says where no Remote-SSH extension
// is there, in a real editor.
import { answer, choose, command, inline, install, notice, openEditor, pick, signIn } from "./extension-lib.mjs";
import { assert, flow, required, SOON, until } from "./lib.mjs";

/** An editor in a browser starts slowly on a loaded machine. */
const EDITOR = 90_000;

await flow("extension-opening", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  await install(ada, me, { remoteSsh: false });
  const editor = await openEditor(ada);
  await editor.getByRole("button", { name: "Sign In to a Server", exact: true }).click();
  await signIn(editor, ada);
  const { body: made } = await ada.ask("POST", "/workspaces", { name: "other", start: true });
  const item = (name) => editor.getByRole("treeitem", { name });
  await item(/^other, running/).waitFor();
  const { body: other } = await ada.ask("GET", `/workspaces/${made.id}`);

  await opensInBrowser(editor, item, other);
  await saysWhatIsMissing(editor, item, other);
  await opensPort(ada, editor, item, other);
  await copiesCommand(editor, item, other);
  await keepsAwake(ada, editor, other);
});

/** Does something after which a page opens, and returns it. The editor asks whether it may. */
async function page(editor, act, address) {
  const opened = editor.context().waitForEvent("page", { timeout: EDITOR });
  await act();
  await editor.locator(".monaco-dialog-box").getByText(address).waitFor();
  await answer(editor, "Open");
  return opened;
}

/** Does something that opens a workspace's editor, and closes that. */
async function opensEditor(editor, other, act) {
  assert.match(other.urls.editor, /^https:\/\/editor--other--/);
  const opened = await page(editor, act, other.urls.editor);
  await opened.locator(".monaco-workbench").waitFor({ timeout: EDITOR });
  assert.equal(new URL(opened.url()).host, new URL(other.urls.editor).host);
  await opened.close();
}

async function opensInBrowser(editor, item, other) {
  await opensEditor(editor, other, () => choose(editor, item(/^other/), "Open in Browser"));
  // From the palette it asks which.
  await command(editor, "devgate: Open in Browser");
  await opensEditor(editor, other, () => pick(editor, "other"));
}

/** Without a Remote-SSH extension nothing is opened over SSH, and the notice leads on. */
async function saysWhatIsMissing(editor, item, other) {
  for (const name of ["Open over SSH in New Window", "Open over SSH in This Window"]) {
    await choose(editor, item(/^other/), name);
    const said = notice(editor, "An editor in a browser opens nothing over SSH");
    const go = said.getByRole("button", { name: "Open in Browser" });
    await opensEditor(editor, other, () => go.click());
    await said.waitFor({ state: "hidden" });
  }
}

async function opensPort(ada, editor, item, other) {
  const [port] = required("DEVGATE_PORTS").split(",");
  const script = `mkdir served && cd served && echo hello-from-a-port >index.html
    exec python3 -m http.server --bind 127.0.0.1 ${port}`;
  const { status } = await ada.ask("POST", `/workspaces/${other.id}/processes`, { script });
  assert.equal(status, 201);
  await item(/^other/).click();
  const listed = item(new RegExp(`^${port}, python3 · private`));
  await listed.waitFor();
  for (const act of [inline, (port, name) => choose(editor, port, name)]) {
    const address = other.urls.application_template.replace("{port}", port);
    const opened = await page(editor, () => act(listed, "Open Port in Browser"), address);
    await opened.getByText("hello-from-a-port").waitFor();
    assert.equal(new URL(opened.url()).host, new URL(address).host);
    await opened.close();
  }
}

async function copiesCommand(editor, item, other) {
  const clipboard = () => editor.evaluate(() => navigator.clipboard.readText());
  const copied = () => until("the command is copied", SOON, async () => (await clipboard()) === other.ssh);
  assert.match(other.ssh, /^ssh .*other/);
  await choose(editor, item(/^other/), "Copy the ssh Command");
  await copied();
  await editor.evaluate(() => navigator.clipboard.writeText(""));
  await command(editor, "devgate: Copy the ssh Command");
  await pick(editor, "other");
  await copied();
}

async function keepsAwake(ada, editor, other) {
  await command(editor, "devgate: Keep Awake…");
  await pick(editor, "other");
  await pick(editor, "For 8 hours");
  const leases = async () => (await ada.ask("GET", `/workspaces/${other.id}/keep-awake`)).body.items;
  const [lease] = await until("it is kept awake", SOON, async () => (await leases()).length === 1 && leases());
  const hours = (Date.parse(lease.until) - Date.now()) / 3_600_000;
  assert.ok(hours > 7 && hours <= 8, lease.until);
  await editor.getByText(/other stays awake until /).first().waitFor();
}
