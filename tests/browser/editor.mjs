// VS Code in the browser: open a file, type, save, find the bytes on the disk; run a
// command in its terminal.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { assert, flow, required, until } from "./lib.mjs";

/** A server written in JavaScript starts in seconds, on a loaded machine in many. */
const SERVER = 90_000;

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

  await editor.keyboard.press("Control+Shift+Backquote");
  await editor.locator(".terminal-wrapper.active .xterm-helper-textarea").waitFor();
  await editor.keyboard.type(`echo from-the-terminal > ${join(home, "ran.txt")}\n`);
  await until("the command ran", SERVER, () => existsSync(join(home, "ran.txt")));
  await editor.screenshot({ path: join(required("DEVGATE_SCREENSHOTS"), "editor-workbench.png") });
});
