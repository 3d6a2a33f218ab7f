// VS Code in the browser: open a file, type, save, find the bytes on the disk; run a
// command in its terminal. Somebody who has nothing yet is in it after three clicks.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { assert, flow, required, until } from "./lib.mjs";
import { SERVER, runInTerminal } from "./workbench.mjs";

await flow("editor", async (arrive) => {
  const home = required("DEVGATE_HOME");
  writeFileSync(join(home, "poem.txt"), "roses are red\n");
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));

  const [editor] = await Promise.all([
    ada.context.waitForEvent("page"),
    ada.page.getByRole("link", { name: "Open editor" }).first().click(),
  ]);
  editor.setDefaultTimeout(SERVER);
  await editor.locator(".monaco-workbench").waitFor();

  // Not by quick open: the welcome page, which comes late, takes its keys.
  await editor.getByRole("treeitem", { name: "poem.txt" }).dblclick();
  await editor.locator(".view-line", { hasText: /roses/ }).first().waitFor();
  await editor.locator(".monaco-editor .view-lines").first().click();
  await editor.keyboard.press("Control+End");
  await editor.keyboard.type("violets are blue");
  await editor.keyboard.press("Control+s");
  await until("the file is saved", SERVER, () => readFileSync(join(home, "poem.txt"), "utf8").includes("violets"));
  assert.equal(readFileSync(join(home, "poem.txt"), "utf8"), "roses are red\nviolets are blue");

  await runInTerminal(editor, "echo from-the-terminal > ~/ran.txt", () => existsSync(join(home, "ran.txt")));
  await editor.screenshot({ path: join(required("DEVGATE_SCREENSHOTS"), "editor-workbench.png") });
  await editor.close();

  await ada.ask("POST", "/users", { name: "grace" });
  const { body: link } = await ada.ask("POST", "/users/grace/link");
  const grace = await arrive();
  await grace.page.goto(link.url);
  let clicks = 0;
  const click = async (what) => {
    clicks += 1;
    await what.click();
  };
  await click(grace.page.getByRole("button", { name: "Create a workspace" }));
  await click(grace.page.getByRole("button", { name: "Create and start" }));
  const opened = grace.context.waitForEvent("page");
  await click(grace.page.getByRole("link", { name: "Open editor" }));
  const hers = await opened;
  hers.setDefaultTimeout(SERVER);
  await hers.locator(".monaco-workbench").waitFor();
  assert.ok(clicks <= 3, `an editor is open after ${clicks} clicks`);
});
