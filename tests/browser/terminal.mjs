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
  await again.type("clear; echo from-one-tab");
  await beside.shows("from-one-tab");

  // `yes` floods; the page stays alive, and Ctrl+C comes through.
  await again.type("yes");
  await again.shows(/y\ny\ny/);
  assert.equal(await ada.page.evaluate(() => 1 + 1), 2);
  await ada.page.keyboard.press("Control+c");
  await again.type("clear; echo still-$((1 + 1))-here");
  await again.shows("still-2-here");
  await other.close();

  await again.type("exit 3");
  await ada.page.getByText("The shell has ended with status 3.").waitFor();
  await ada.look("ended");
});
