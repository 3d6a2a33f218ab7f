// Web applications: they appear, open on their own address, and are there for whom
// they should be.
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { assert, echoed, flow, required, SOON, until, url } from "./lib.mjs";

/** A port appears within this time, in milliseconds. */
const APPEARS = 2000;

await flow("ports", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const [files, echo] = required("DEVGATE_PORTS").split(",").map(Number);

  const shell = await ada.openTerminal(me.name, "default");
  await shell.type("echo hello > greeting.txt; echo ready-$((1 + 1))");
  await shell.shows("ready-2");

  // The list is open in one tab while the server is started in another.
  const list = await ada.context.newPage();
  await list.goto(`${url}/workspaces/${me.name}/default`);
  await list.getByText("Start a server in the workspace").waitFor();
  await ada.look("none", list);
  const row = list.locator(`[data-port="${files}"]`);
  await shell.type(`python3 -m http.server ${files} --bind 127.0.0.1 & until curl -so /dev/null 127.0.0.1:${files}; do :; done; echo serves-$((1 + 1))`);
  await shell.shows("serves-2");
  await list.bringToFront();
  await row.waitFor({ timeout: APPEARS });
  assert.match(await row.textContent(), /python3/);
  await ada.look("listed", list);

  const [application] = await Promise.all([
    ada.context.waitForEvent("page"),
    row.getByRole("link", { name: `Open port ${files}` }).click(),
  ]);
  await application.getByText("greeting.txt").waitFor();
  const address = application.url();
  assert.notEqual(new URL(address).origin, url, "an application has an origin of its own");

  // A WebSocket through the proxy, byte for byte.
  await shell.page.bringToFront();
  const script = fileURLToPath(new URL("fixtures/echo.mjs", import.meta.url));
  copyFileSync(script, join(required("DEVGATE_HOME"), "echo.mjs"));
  await shell.type(`node ~/echo.mjs ${echo} &`);
  const echoRow = list.locator(`[data-port="${echo}"]`);
  await list.bringToFront();
  await echoRow.waitFor();
  const [sounding] = await Promise.all([
    ada.context.waitForEvent("page"),
    echoRow.getByRole("link", { name: `Open port ${echo}` }).click(),
  ]);
  await sounding.getByText("An echo lives here.").waitFor();
  assert.equal(await echoed(sounding, "is anybody there?"), "is anybody there?");
  // Its form comes from its own page, though the browser doesn't say which that is.
  await sounding.getByRole("button", { name: "Say it" }).click();
  await sounding.getByText("The echo heard a form.").waitFor();

  // Private: a stranger has to sign in. Public: everybody gets in.
  const stranger = await arrive();
  await until("the stranger is sent to sign in", SOON, async () => {
    await stranger.page.goto(address);
    return new URL(stranger.page.url()).pathname === "/sign-in";
  });
  await list.bringToFront();
  await row.getByRole("button", { name: /Private/ }).click();
  await list.getByRole("menuitem", { name: /Public/ }).click();
  await ada.look("share", list);
  await list.getByRole("button", { name: "Make it public" }).click();
  await row.getByRole("button", { name: /Public/ }).waitFor();
  await stranger.page.goto(address);
  await stranger.page.getByText("greeting.txt").waitFor();
  await row.getByRole("button", { name: /Public/ }).click();
  await list.getByRole("menuitem", { name: /Private/ }).click();
  await row.getByRole("button", { name: /Private/ }).waitFor();
  await until("the stranger is sent to sign in", SOON, async () => {
    await stranger.page.goto(address);
    return new URL(stranger.page.url()).pathname === "/sign-in";
  });

  // What ends goes from the list.
  await shell.page.bringToFront();
  await shell.type("kill %1 %2");
  await list.bringToFront();
  await until("ended servers leave the list", SOON, async () => (await echoRow.count()) === 0);
});
