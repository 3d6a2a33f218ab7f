// The links of a workspace's page that open it in people's own programs, letter for letter as
// docs/jetbrains.md and the programs' own documentation have them.
import { assert, flow, required } from "./lib.mjs";

await flow("editor-links", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const { body: list } = await ada.ask("GET", "/workspaces");
  const { body: connection } = await ada.ask("GET", "/connection");
  const { home } = list.items.find(({ name }) => name === "default");
  const [host, port] = [connection.ssh_host, connection.ssh_port];
  const links = (path, parameter) => ({
    "VS Code Desktop": `vscode://vscode-remote/ssh-remote+default@${host}:${port}${path}?windowId=_blank`,
    Cursor: `cursor://vscode-remote/ssh-remote+default@${host}:${port}${path}?windowId=_blank`,
    Windsurf: `windsurf://vscode-remote/ssh-remote+default@${host}:${port}${path}?windowId=_blank`,
    VSCodium: `vscodium://vscode-remote/ssh-remote+default@${host}:${port}${path}?windowId=_blank`,
    "JetBrains Gateway": `jetbrains-gateway://connect#type=ssh&deploy=false&host=${host}&port=${port}&user=default&projectPath=${parameter}`,
    "JetBrains Toolbox": `jetbrains://gateway/ssh/environment?h=${host}&p=${port}&u=default&launchIde=true&projectHint=${parameter}`,
    Zed: `zed://ssh/default@${host}:${port}${path}`,
  });

  await ada.go(`/workspaces/${me.name}/default`);
  await shows(ada.page, links(home, home.replaceAll("/", "%2F")));
  await ada.page.getByLabel("Folder that they open").fill("/srv/my code+1");
  await shows(ada.page, links("/srv/my%20code%2B1", "%2Fsrv%2Fmy%20code%2B1"));
});

/** Checks that *Open in* has these links, by the programs' names. */
async function shows(page, expected) {
  await page.getByRole("button", { name: "Open in" }).click();
  const entries = page.getByRole("menuitem");
  await entries.first().waitFor();
  const names = Object.keys(expected);
  assert.equal(await entries.count(), names.length);
  const links = {};
  for (const name of names) {
    links[name] = await page.getByRole("menuitem", { name, exact: true }).getAttribute("href");
  }
  assert.deepEqual(links, expected);
  await page.keyboard.press("Escape");
  await entries.first().waitFor({ state: "detached" });
}
