// One's own keys, tokens and logins.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { assert, flow, required, url } from "./lib.mjs";

await flow("account", async (arrive) => {
  const ada = await arrive();
  const { page } = ada;
  await ada.signInByLink(required("DEVGATE_LINK"));

  // Keys: the private one is refused before it is sent anywhere.
  await ada.go("/account/keys");
  await page.getByRole("button", { name: "Add a key" }).first().click();
  const dialog = page.getByRole("dialog");
  const add = dialog.getByRole("button", { name: "Add key" });
  await dialog.getByLabel("Public key").fill("-----BEGIN OPENSSH PRIVATE KEY-----\nabc");
  await dialog.getByText("stays on your computer").waitFor();
  assert.ok(await add.isDisabled());
  await dialog.getByLabel("Public key").fill(newKey("ada@laptop"));
  await ada.look("add-key");
  await add.click();
  await page.getByRole("button", { name: "Remove ada@laptop" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("ada@laptop");
  await page.getByRole("button", { name: "Remove key" }).click();
  await page.getByText("ada@laptop").first().waitFor({ state: "detached" });

  // Tokens: shown once, used from outside, cut off at once.
  await ada.go("/account/tokens");
  await page.getByRole("button", { name: "Create a token" }).click();
  await page.getByLabel("Name").fill("ci");
  await page.getByRole("button", { name: "Narrow it down" }).click();
  await page.getByLabel("Folder").fill("src");
  await page.getByText("Write files").first().waitFor();
  await ada.look("create-token");
  await page.getByRole("button", { name: "Create token" }).click();
  const shown = page.getByRole("dialog").locator("code").first();
  const token = await shown.textContent();
  assert.match(token, /^dgt_[A-Za-z0-9_-]{43}$/);
  const stranger = await arrive();
  const whoIs = () =>
    stranger.context.request.get(`${url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } });
  const narrowed = (await (await whoIs()).json()).narrowed_to;
  assert.deepEqual(narrowed, { workspace: null, folder: "src", actions: ["view", "files-read", "files-write"] });
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByText("see workspaces, read files, write files · below src").waitFor();
  await ada.look("tokens");
  await page.getByRole("button", { name: "Delete ci" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("ci");
  await page.getByRole("button", { name: "Delete token" }).click();
  await page.getByText("No tokens yet").waitFor();
  assert.equal((await whoIs()).status(), 401);

  // Logins: another browser's is ended, and that one has to sign in again.
  await ada.go("/account");
  const { body: me } = await ada.ask("GET", "/me");
  await page.getByLabel("New password", { exact: true }).fill("correct horse battery");
  await page.getByLabel("New password again").fill("correct horse battery");
  await page.getByRole("button", { name: "Set password" }).click();
  await page.getByText("Change the password").waitFor();
  const phone = await arrive({ window: "phone", colours: "dark" });
  await phone.go("/sign-in");
  await phone.signIn(me.name, "correct horse battery");
  await phone.page.waitForURL(`${url}/workspaces`);
  await ada.go("/account/logins");
  await page.getByText("this one").waitFor();
  await ada.look("logins");
  await page.getByRole("button", { name: /^End the login/ }).click();
  await page.getByRole("button", { name: /^End the login/ }).waitFor({ state: "detached" });
  await phone.page.reload();
  await phone.page.waitForURL(/\/sign-in/);
});

function newKey(comment) {
  const folder = mkdtempSync(join(tmpdir(), "devgate-key-"));
  try {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", join(folder, "key")]);
    return readFileSync(join(folder, "key.pub"), "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
