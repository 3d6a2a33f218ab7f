// All of it once more behind a reverse proxy, as its users see it: sign in, a terminal, an
// application with a WebSocket, the editor and a command in its terminal.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { assert, echoed, flow, required, SOON, until, url } from "./lib.mjs";
import { SERVER, runInTerminal } from "./workbench.mjs";

const name = required("DEVGATE_FLOW");
const byPath = name.endsWith("path");

await flow(name, async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const protocol = await ada.page.evaluate(() => performance.getEntriesByType("navigation")[0].nextHopProtocol);
  assert.match(protocol, /^h[23]$/, "the proxy speaks more than HTTP/1.1 with browsers");
  const { body: me } = await ada.ask("GET", "/me");
  await secureCookies(ada, 1);

  const [, port] = required("DEVGATE_PORTS").split(",").map(Number);
  const address = await application(ada, me.name, port);
  await editor(ada, me.name);
  await secureCookies(ada, byPath ? 1 : 3);

  // Who isn't signed in is sent to sign in, by the name and scheme that people use.
  const stranger = await arrive();
  await stranger.page.goto(address);
  await stranger.page.waitForURL((now) => now.pathname === "/sign-in");
  assert.equal(new URL(stranger.page.url()).origin, url);
});

/** Opens a terminal, starts an echo in it, and talks to that over a WebSocket. */
async function application(ada, owner, port) {
  const shell = await ada.openTerminal(owner, "default");
  const script = fileURLToPath(new URL("fixtures/echo.mjs", import.meta.url));
  await shell.type(`node ${script} ${port} & echo started-$((1 + 1))`);
  await shell.shows("started-2");

  await ada.go(`/workspaces/${owner}/default`);
  const row = ada.page.locator(`[data-port="${port}"]`);
  await row.waitFor();
  // The page hears of what is changed elsewhere.
  const { body: list } = await ada.ask("GET", "/workspaces");
  const shared = `/workspaces/${list.items.find((one) => one.name === "default").id}/ports/${port}`;
  await ada.ask("PUT", shared, { visibility: "members" });
  await row.getByRole("button", { name: /Members/ }).waitFor();
  await ada.ask("DELETE", shared);
  await row.getByRole("button", { name: /Private/ }).waitFor();
  const [page] = await Promise.all([
    ada.context.waitForEvent("page"),
    row.getByRole("link", { name: `Open port ${port}` }).click(),
  ]);
  await page.getByText("An echo lives here.").waitFor();
  const address = page.url();
  const expected = byPath
    ? `${url}/@${owner}/default/apps/${port}/`
    : `${url.replace("https://", `https://${port}--default--${owner}.`)}/`;
  assert.equal(address, expected);
  assert.equal(await echoed(page, "is anybody there?"), "is anybody there?");
  return address;
}

/** Opens the editor and runs a command in its terminal: all by WebSocket. */
async function editor(ada, owner) {
  const home = required("DEVGATE_HOME");
  writeFileSync(join(home, "poem.txt"), "roses are red\n");
  await ada.go("/workspaces");
  const [page] = await Promise.all([
    ada.context.waitForEvent("page"),
    ada.page.getByRole("link", { name: "Open editor" }).first().click(),
  ]);
  page.setDefaultTimeout(SERVER);
  await page.locator(".monaco-workbench").waitFor();
  const host = byPath ? new URL(url).host : `editor--default--${owner}.${new URL(url).host}`;
  assert.equal(new URL(page.url()).host, host);
  await page.locator(".explorer-folders-view .monaco-list-row", { hasText: "poem.txt" }).waitFor();
  const copy = join(home, "ran.txt");
  await runInTerminal(page, `cp ${join(home, "poem.txt")} ${copy}`, () => existsSync(copy));
  await page.screenshot({ path: join(required("DEVGATE_SCREENSHOTS"), `${name}-editor.png`) });
}

/** Every cookie is for one host and HTTPS, and there are at least so many. */
async function secureCookies(ada, least) {
  const ours = await until("the gateway's cookies are there", SOON, async () => {
    const cookies = await ada.context.cookies();
    const found = cookies.filter(({ name }) => name.includes("devgate"));
    return found.length >= least && found;
  });
  for (const { name, secure, domain } of ours) {
    assert.ok(secure && name.startsWith("__Host-") && !domain.startsWith("."), `${name} of ${domain}`);
  }
}
