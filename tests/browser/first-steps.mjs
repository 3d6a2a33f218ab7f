// Somebody opens the dashboard for the first time: in by link, a password, a workspace
// through its whole life.
import { SOON, assert, flow, required, until, url } from "./lib.mjs";

await flow("first-steps", async (arrive) => {
  const link = required("DEVGATE_LINK");
  const ada = await arrive();
  const { page } = ada;

  await ada.go("/");
  await page.waitForURL(`${url}/sign-in`);
  await ada.look("sign-in");

  await ada.signInByLink(link);
  assert.equal(new URL(page.url()).hash, "", "the link's token stays in nobody's history");
  await ada.look("signed-in");
  const { body: me } = await ada.ask("GET", "/me");

  const prompt = page.getByRole("form", { name: "Set a password" });
  await prompt.getByLabel("New password").fill("correct horse battery");
  await prompt.getByRole("button", { name: "Set password" }).click();
  await prompt.waitFor({ state: "detached" });

  // Three clicks from here to an editor: this is the first, were it the one.
  const editor = page.getByRole("link", { name: "Open editor" }).first();
  assert.match(await editor.getAttribute("href"), /^https?:\/\//);

  // A link works once.
  const second = await arrive();
  await second.page.goto(link);
  await second.page.getByText("This link doesn't work").waitFor();
  await second.look("spent-link");

  // Out, and in again with the password; a wrong one is told.
  await page.getByRole("button", { name: me.name, exact: true }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL(`${url}/sign-in`);
  await ada.signIn(me.name, "wrong password");
  await page.getByRole("alert").waitFor();
  await ada.signIn(me.name, "correct horse battery");
  await page.waitForURL(`${url}/workspaces`);

  await life(ada, me.name);
  await onwards(await arrive(), me.name);
});

async function life(ada, owner) {
  const { page } = ada;
  const state = () => page.locator("main");
  await page.getByRole("button", { name: "Create" }).waitFor();
  await page.keyboard.press("n");
  await page.getByLabel("Name").fill("first");
  await ada.look("create");
  await page.getByRole("button", { name: "Create and start" }).click();
  await page.waitForURL(`${url}/workspaces/${owner}/first`);
  await state().getByText("Running").first().waitFor();
  await ada.look("workspace");

  await page.getByRole("button", { name: "Stop" }).click();
  await state().getByText("Stopped").waitFor();
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await state().getByText("Running").first().waitFor();
  await page.getByRole("button", { name: "Actions for first" }).click();
  const first = async () => (await ada.ask("GET", "/workspaces?name=first")).body.items[0];
  const { changed } = await first();
  await page.getByRole("menuitem", { name: "Restart" }).click();
  // What lies between may be over too soon to be seen.
  await until("it runs again", SOON, async () => {
    const now = await first();
    return now.state === "running" && now.changed !== changed;
  });
  await state().getByText("Running").first().waitFor();

  // Nothing goes before its name was typed.
  await page.getByRole("button", { name: "Actions for first" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const dialog = page.getByRole("dialog");
  const confirm = dialog.getByRole("button", { name: "Delete workspace" });
  assert.ok(await confirm.isDisabled());
  await dialog.getByRole("textbox").fill("firs");
  assert.ok(await confirm.isDisabled());
  await dialog.getByRole("textbox").fill("first");
  await dialog.getByText(/kept until .*can be restored/).waitFor();
  await ada.look("delete");
  await confirm.click();
  await page.waitForURL(`${url}/workspaces`);
  await page.getByRole("link", { name: "first", exact: true }).waitFor({ state: "detached" });

  // It can be had back, renamed, and removed for good.
  const deleted = page.getByRole("list", { name: "Deleted workspaces" });
  await deleted.getByText("first", { exact: true }).waitFor();
  await ada.look("deleted");
  await page.getByRole("button", { name: "Restore first" }).click();
  await dialog.getByRole("textbox", { name: "Name" }).fill("second");
  await ada.look("restore");
  await dialog.getByRole("button", { name: "Restore" }).click();
  await page.getByRole("link", { name: "second", exact: true }).waitFor();
  await deleted.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Actions for second" }).click();
  await page.getByRole("menuitem", { name: "Rename…" }).click();
  await dialog.getByRole("textbox", { name: "Name" }).fill("third");
  await ada.look("rename");
  await dialog.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("link", { name: "third", exact: true }).waitFor();
  await page.getByRole("button", { name: "Actions for third" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await dialog.getByRole("textbox").fill("third");
  await confirm.click();
  await page.getByRole("button", { name: "Remove now… third" }).click();
  await dialog.getByRole("textbox").fill("third");
  await dialog.getByRole("button", { name: "Remove for good" }).click();
  await deleted.waitFor({ state: "detached" });
}

/** After the sign-in one goes where one wanted to, and never to another origin. */
async function onwards(grace, name) {
  const { page } = grace;
  await grace.go("/account/tokens");
  await page.waitForURL(/\/sign-in\?next=/);
  await grace.signIn(name, "correct horse battery");
  await page.waitForURL(`${url}/account/tokens`);
  for (const next of ["https://evil.example/", "//evil.example/", "/\\evil.example/", "/%09/evil.example/", "/.//evil.example/"]) {
    await page.context().clearCookies();
    await grace.go(`/sign-in?next=${next}`);
    await grace.signIn(name, "correct horse battery");
    await page.waitForURL((now) => now.pathname !== "/sign-in");
    assert.equal(new URL(page.url()).origin, url);
  }
}
