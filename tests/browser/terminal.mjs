// The terminal outlives its tab, with a program that fills the screen; several tabs
// show one; much output slows the shell and not the page.
import { assert, flow, required, Shell, SOON, until } from "./lib.mjs";

await flow("terminal", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");

  const shell = await ada.openTerminal(me.name, "default");
  // Where the API says that the home is.
  const { body: list } = await ada.ask("GET", "/workspaces?name=default");
  await shell.type(`[ "$HOME" = '${list.items[0].home}' ] && pwd -P && echo at-home-$((1 + 1))`);
  await shell.shows("at-home-2");
  await shell.type("clear; echo $((6 * 7))-$TERM");
  await shell.shows("42-xterm");
  await ada.look("shell");

  await shell.type("seq 1 200 > numbers; clear; vim numbers");
  await shell.shows("numbers");
  await ada.page.keyboard.type("25GA written");
  await ada.page.keyboard.press("Escape");
  await shell.shows(/25 written/);
  // vim waits a moment for what may follow Escape, and shows where it is then.
  await shell.shows(/25,10 /);
  const before = await shell.text();
  await ada.look("vim");

  const address = ada.page.url();
  await ada.page.close();
  ada.page = await ada.context.newPage();
  const sizes = [];
  ada.page.on("websocket", (socket) =>
    socket.on("framereceived", ({ payload }) => {
      if (typeof payload === "string" && payload.includes('"size"')) sizes.push(JSON.parse(payload));
    }),
  );
  await ada.page.goto(address);
  const again = new Shell(ada.page);
  await until("the same screen is there again", SOON, async () => (await again.text()) === before).catch(
    async (late) => {
      assert.equal(await again.text(), before);
      throw late;
    },
  );

  // Both tabs show what is typed in one of them.
  const other = await ada.context.newPage();
  await other.goto(address);
  const beside = new Shell(other);
  await beside.shows(/25 written/);
  await again.type(":q!");
  // What is typed while vim ends is lost, as in any terminal.
  await again.prompts();
  await again.type("clear; echo from-one-tab");
  await beside.shows("from-one-tab");

  // The terminal is as large as the smallest tab shows it, whichever is resized.
  const rows = (shell) => shell.screen.locator("> div").count();
  const full = await rows(again);
  await other.setViewportSize({ width: 900, height: 500 });
  await until("the smaller tab counts", SOON, async () => (await rows(again)) < full);
  const small = await rows(again);
  const told = sizes.length;
  await ada.page.bringToFront();
  await ada.page.setViewportSize({ width: 1500, height: 1000 });
  await until("the larger tab is told the size", SOON, () => sizes.length > told);
  assert.equal(sizes.at(-1).rows, small);
  assert.equal(await rows(again), small);
  await again.type("clear; stty size");
  await again.shows(`${small} ${sizes.at(-1).columns}`);

  // `yes` floods; the page stays alive, and Ctrl+C comes through.
  await again.type("yes");
  await again.shows(/y\ny\ny/);
  assert.equal(await ada.page.evaluate(() => 1 + 1), 2);
  await again.interrupt();
  await again.type("clear; echo still-$((1 + 1))-here");
  await again.shows("still-2-here");
  await other.close();

  // However often a program says its title, the page asks the gateway for nothing.
  let asked = 0;
  ada.page.on("request", (request) => {
    if (request.url().endsWith("/terminals") && request.method() === "GET") asked += 1;
  });
  // One program all along: bash loses a Ctrl+C that comes between two.
  await again.type(
    `sh -c 'for i in $(seq 100); do printf "\\033]2;step %s\\a" $i; sleep 0.02; done; printf "\\033]2;all said\\a"; exec cat'`,
  );
  await ada.page.getByRole("link", { name: "all said" }).waitFor();
  assert.ok(asked < 10, `the page asked ${asked} times`);
  await again.interrupt();

  await again.type("exit 3");
  await ada.page.getByText("The shell has ended with status 3.").waitFor();
  await ada.look("ended");
});
