// What the VS Code extension's commands do to workspaces and show of them, in a real editor.
import { answer, choose, command, inline, install, openEditor, screen, signIn } from "./extension-lib.mjs";
import { assert, flow, required, SOON, until } from "./lib.mjs";

await flow("extension-commands", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  await install(ada, me);
  const editor = await openEditor(ada);
  await editor.getByRole("button", { name: "Sign In to a Server", exact: true }).click();
  await signIn(editor, ada);
  const { body: other } = await ada.ask("POST", "/workspaces", { name: "other", start: true });
  const item = (name) => editor.getByRole("treeitem", { name });
  await item(/^other, running/).waitFor();

  await signsInAgain(ada, editor);
  await item(/^other, running/).waitFor();
  await stopsAndRestarts(ada, editor, { item, other });
  await showsLogs(editor, item);
});

/** Who signs in again has one token, and not that of before. */
async function signsInAgain(ada, editor) {
  const tokens = async () => (await ada.ask("GET", "/me/tokens")).body.items.map(({ id }) => id);
  const before = await tokens();
  assert.equal(before.length, 1);
  await command(editor, "devgate: Sign In to a Server…");
  await signIn(editor, ada, { known: true });
  await until("the token of before has ended", SOON, async () => {
    const now = await tokens();
    return now.length === 1 && now[0] !== before[0];
  });
}

/** What ends programs asks first. */
async function stopsAndRestarts(ada, editor, { item, other }) {
  const ask = (method, path, body) => ada.ask(method, `/workspaces/${other.id}${path}`, body);
  const state = async () => (await ask("GET", "")).body.state;
  await choose(editor, item(/^other/), "Stop");
  await answer(editor, "Cancel");
  assert.equal(await state(), "running");
  await choose(editor, item(/^other/), "Stop");
  await answer(editor, "Stop");
  await item(/^other, stopped/).waitFor();
  assert.equal(await state(), "stopped");
  await inline(item(/^other/), "Start");
  await item(/^other, running/).waitFor();

  // Programs are none of a workspace's that has been restarted.
  const { status } = await ask("POST", "/terminals", { columns: 80, rows: 24 });
  assert.equal(status, 201);
  await choose(editor, item(/^other/), "Restart");
  await answer(editor, "Restart");
  await until("its terminals have ended", SOON, async () => {
    const { status, body } = await ask("GET", "/terminals");
    return status === 200 && body.items.length === 0;
  });
  await item(/^other, running/).waitFor();
}

async function showsLogs(editor, item) {
  await choose(editor, item(/^other/), "Follow the Agent's Log");
  await until("the agent's log is there", SOON, async () => (await screen(editor)).includes("agent ready"));
  await choose(editor, item(/^other/), "Follow the Start-up's Log");
  await until("the start-up's log is there", SOON, async () => (await screen(editor)).includes("begun-other"));
}
