// The gateway dies and comes back: the page says so and recovers, the login holds, the
// terminal is still there. Whoever runs this restarts the gateway when it says "kill it".
import { assert, flow, required, SOON, until } from "./lib.mjs";

/** A gateway is back, and asked again, within this time, in milliseconds. */
const BACK = 60_000;

await flow("faults", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const list = await ada.context.newPage();
  await list.goto(`${new URL(ada.page.url()).origin}/workspaces`);
  await list.getByText("Running").first().waitFor();

  const shell = await ada.openTerminal(me.name, "default");
  await shell.type("MARK=kept; clear; echo before-$((1 + 1))");
  await shell.shows("before-2");
  const address = ada.page.url();

  console.log("kill it");
  await ada.page.getByText("The connection broke. The shell goes on").waitFor({ timeout: SOON });
  await ada.look("lost");
  await ada.page.getByText("The connection broke. The shell goes on").waitFor({ state: "hidden", timeout: BACK });
  await shell.type("clear; echo after-$MARK");
  await shell.shows("after-kept");
  assert.equal(ada.page.url(), address, "nobody was signed out");

  // The list hears of what happens again.
  await list.bringToFront();
  await ada.ask("POST", "/workspaces", { name: "later", start: false });
  await until("the list shows the new workspace", BACK, async () =>
    (await list.getByRole("link", { name: "later", exact: true }).count()) === 1,
  );
  await list.getByText("The gateway can't be reached").waitFor({ state: "detached", timeout: BACK });
});
