// Sleep: a window of VS Code that nobody sits at lets its workspace sleep and doesn't wake
// it by trying to get back; whoever opens the page again does. The dashboard tells why.
import { assert, flow, required, SOON, until } from "./lib.mjs";

/** A server written in JavaScript starts in seconds, on a loaded machine in many. */
const SERVER = 90_000;

/** What the editor does by itself after its start has to end first. */
const ASLEEP = 180_000;

/** Longer than a window waits before it tries to get back. */
const RETRIES = 35_000;

await flow("sleep", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const { body: list } = await ada.ask("GET", "/workspaces");
  const { id } = list.items[0];
  const why = async () => (await ada.ask("GET", `/workspaces/${id}/why-running`)).body;
  await ada.go(`/workspaces/${me.name}/default`);
  await ada.page.getByRole("heading", { name: "Why it runs" }).waitFor();
  await ada.look("awake");

  const [editor] = await Promise.all([
    ada.context.waitForEvent("page"),
    ada.page.getByRole("link", { name: "Open editor" }).first().click(),
  ]);
  editor.setDefaultTimeout(SERVER);
  await editor.locator(".monaco-workbench").waitFor();
  await editor.getByRole("treeitem").first().waitFor().catch(() => undefined);
  assert.equal((await why()).state, "running");

  // Nobody touches anything. The dashboard is open as well, and isn't anybody either.
  await ada.page.bringToFront();
  const seen = new Set();
  const comes = (what, is) => until(what, ASLEEP, async () => {
    const now = await why();
    for (const { kind, detail, since } of now.reasons) seen.add(`${since} ${kind}: ${detail}`);
    return is(now);
  }).catch((error) => {
    throw new Error(`${error.message}; what kept it awake:\n${[...seen].join("\n")}`);
  });
  await comes("people are warned", (now) => now.warned || now.state !== "running");
  await ada.page.getByText("default goes to sleep soon").waitFor();
  await ada.look("warned");
  await comes("the workspace is asleep", (now) => now.state === "asleep");
  await ada.page.getByText("Asleep").first().waitFor();
  await ada.look("asleep");

  const end = Date.now() + RETRIES;
  while (Date.now() < end) {
    assert.equal((await why()).state, "asleep", "a window that tries to get back wakes nothing");
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await editor.reload();
  await editor.locator(".monaco-workbench").waitFor();
  await until("the workspace runs", SOON, async () => (await why()).state === "running");
  await editor.close();

  // From the dashboard.
  await ada.page.bringToFront();
  await ada.page.getByRole("button", { name: "Keep awake" }).click();
  await ada.page.getByRole("menuitem", { name: "For 2 hours" }).click();
  await ada.page.getByRole("list", { name: "Leases" }).getByText(`Kept awake by ${me.name}`).waitFor();
  await ada.look("kept");
  await ada.page.getByRole("button", { name: "End", exact: true }).click();
  await ada.page.getByRole("list", { name: "Leases" }).waitFor({ state: "detached" });
  await ada.page.getByRole("button", { name: "Sleep now" }).click();
  await until("the workspace is asleep", SOON, async () => (await why()).state === "asleep");
  await ada.page.getByRole("button", { name: "Wake", exact: true }).first().click();
  await until("the workspace runs", SOON, async () => (await why()).state === "running");
});
