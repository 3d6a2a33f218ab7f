// The VS Code extension with two servers and two windows, in a real editor: both are in the
// tree, each window hears of it, and the status bar is about the server that the window shows.
// A workspace is made from a template; people are told before it goes to sleep, and keep it awake.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  choose,
  command,
  handedOver,
  install,
  notice,
  openEditor,
  pick,
  settings,
  showView,
  signIn,
  type,
} from "./extension-lib.mjs";
import { assert, flow, required, SOON, until, url } from "./lib.mjs";

/** Until nothing goes on in a workspace of the template below, and a start before it. */
const DROWSY = 120_000;

/** Those who are told have as long to answer. */
const TEMPLATE = `description = "Sleeps soon"

[sleep]
after = "80s"
warn = "40s"
`;

await flow("extension-servers", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  // Elsewhere it is somebody with another browser: both servers are on this host, which a cookie is for.
  const other = await arrive();
  await other.page.goto(required("DEVGATE_SECOND_LINK"));
  await other.page.getByRole("heading", { name: "Workspaces" }).waitFor();
  const second = new URL(other.page.url()).origin;
  await ada.context.route(`${second}/**`, (route) => route.fulfill({ body: "" }));
  const { body: elsewhere } = await other.ask("POST", "/workspaces", { name: "elsewhere", start: false });
  assert.equal(elsewhere.state, "created");

  await install(ada, me);
  const editor = await openEditor(ada);
  const window = await ada.context.newPage();
  await window.goto(editor.url());
  await showView(window);
  await window.getByRole("button", { name: "Sign In to a Server", exact: true }).waitFor();
  await editor.bringToFront();

  // The other one first: where servers aren't told apart, this window would show its workspace.
  await editor.getByRole("button", { name: "Sign In to a Server", exact: true }).click();
  await signIn(editor, other);
  await command(editor, "devgate: Sign In to a Server…");
  await signIn(editor, ada);
  const [here, there] = [new URL(url).host, new URL(second).host];
  await showsBoth(editor, here, there);
  const status = editor.getByRole("button", { name: /default: (< )?\d+ ms/ }).first();
  await status.hover();
  await editor.getByText(`The way to ${here} and back`).first().waitFor();
  await editor.screenshot({ path: join(required("DEVGATE_SCREENSHOTS"), "extension-servers.png") });

  // The window that was there before hears of it; this editor hands it the tokens when it is reloaded.
  await window.bringToFront();
  await command(window, "devgate: Refresh");
  for (const host of [here, there]) await server(window, host).waitFor();
  assert.equal(await window.getByRole("treeitem", { name: /reload the window/ }).count(), 2);
  await window.reload();
  await showsBoth(window, here, there);
  await editor.bringToFront();
  await choose(editor, server(editor, there), "Sign Out");
  await server(editor, there).waitFor({ state: "detached" });
  await server(editor, here).waitFor();
  await window.bringToFront();
  await command(window, "devgate: Refresh");
  await server(window, there).waitFor({ state: "detached" });
  await window.close();
  await editor.bringToFront();
  const { body: gone } = await other.ask("GET", "/me/tokens");
  assert.deepEqual(gone.items, []);

  await creates(ada, editor);
  await staysAwake(ada, editor);
});

function server(editor, host) {
  return editor.getByRole("treeitem", { name: new RegExp(`^https://${host}`) });
}

async function showsBoth(editor, here, there) {
  for (const host of [here, there]) await server(editor, host).waitFor();
  await editor.getByRole("treeitem", { name: /^elsewhere, created/ }).waitFor();
  const both = editor.getByRole("treeitem", { name: /^default, running/ });
  await until("both servers' workspaces are there", SOON, async () => (await both.count()) === 2);
}

/** Creates a workspace from a template and opens it, though the settings have a mistake. */
async function creates(ada, editor) {
  const { body: made, status } = await ada.ask("PUT", "/templates/brief", { text: TEMPLATE });
  assert.equal(status, 200, JSON.stringify(made));
  await command(editor, "devgate: Create Workspace…");
  await pick(editor, "brief");
  await type(editor, "nap");
  const { body: connection } = await ada.ask("GET", "/connection");
  const runs = notice(editor, "nap runs.");
  await runs.waitFor();
  writeFileSync(settings, '{ "remote.SSH.configFile": "~/ssh-config", ');
  await runs.getByRole("button", { name: "Open" }).click();
  await until("a window is asked for", SOON, () => handedOver().length > 0);
  const [{ given: [uri] }] = handedOver();
  const json = `{"hostName":"${connection.ssh_host}","user":"nap","port":${connection.ssh_port}}`;
  assert.equal(uri.authority, `ssh-remote+${Buffer.from(json).toString("hex")}`);
  const { body: list } = await ada.ask("GET", "/workspaces");
  const { template } = list.items.find(({ name }) => name === "nap");
  assert.equal(template.name, "brief");
}

/** Who is told of sleep says no to it; and hears where that didn't work. */
async function staysAwake(ada, editor) {
  const { body: doze } = await ada.ask("POST", "/workspaces", { name: "doze", template: "brief", start: true });
  const { body: list } = await ada.ask("GET", "/workspaces");
  const nap = list.items.find(({ name }) => name === "nap");
  const leases = async ({ id }) => (await ada.ask("GET", `/workspaces/${id}/keep-awake`)).body.items;
  const longer = { name: "Keep Awake for 2 Hours" };

  const first = notice(editor, "Nothing goes on in nap");
  await first.waitFor({ timeout: DROWSY });
  await editor.screenshot({ path: join(required("DEVGATE_SCREENSHOTS"), "extension-sleep.png") });
  await first.getByRole("button", longer).click();
  const [lease] = await until("it is kept awake", SOON, async () => (await leases(nap)).length === 1 && leases(nap));
  assert.match(lease.reason, /^Kept awake from /);

  const next = notice(editor, "Nothing goes on in doze");
  await next.waitFor({ timeout: DROWSY });
  const { body: tokens } = await ada.ask("GET", "/me/tokens");
  await ada.ask("DELETE", `/me/tokens/${tokens.items[0].id}`);
  await next.getByRole("button", longer).click();
  await notice(editor, "it isn't kept awake").waitFor();
  assert.deepEqual(await leases(doze), []);
}
