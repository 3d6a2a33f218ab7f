// Every page, in light and dark, at the width of a desktop and of a phone, where a finger
// has to hit what is on it.
import { assert, flow, required, url } from "./lib.mjs";

await flow("pages", async (arrive) => {
  const first = await arrive();
  await first.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await first.ask("GET", "/me");
  const cookies = await first.context.cookies();
  const workspace = `/workspaces/${me.name}/default`;
  const shell = await first.openTerminal(me.name, "default");
  await shell.type("ls -la --color=always /");
  await shell.shows("root");

  const warm = { text: 'description = "Kept ready"\n[pool]\nready = 1\n' };
  const { status } = await first.ask("PUT", "/templates/warm", warm);
  assert.equal(status, 200);

  // What has the longest names: one's own, and one of somebody else's.
  const long = "w".repeat(40);
  const owner = "o".repeat(40);
  assert.equal((await first.ask("POST", "/users", { name: owner })).status, 201);
  const others = await first.ask("POST", "/workspaces", { name: long, start: false });
  const moved = await first.ask("PATCH", `/workspaces/${others.body.id}`, { owner });
  assert.equal(moved.status, 200);
  assert.equal((await first.ask("POST", "/workspaces", { name: long, start: false })).status, others.status);
  const heading = (page) => page.getByRole("heading", { level: 1, name: long });

  const pages = {
    workspaces: ["/workspaces", (page) => page.getByRole("link", { name: "default" })],
    create: ["/workspaces?create", (page) => page.getByRole("dialog")],
    overview: [workspace, (page) => page.getByText("All statistics")],
    terminals: [`${workspace}/terminals`, (page) => page.locator(".xterm-rows").getByText("root").first()],
    statistics: [`${workspace}/statistics`, (page) => page.getByText("Last 24 hours")],
    snapshots: [`${workspace}/snapshots`, (page) => page.getByText("No snapshots yet")],
    logs: [`${workspace}/logs`, (page) => page.getByRole("log")],
    profile: ["/account", (page) => page.getByRole("heading", { level: 1 })],
    keys: ["/account/keys", (page) => page.getByRole("heading", { level: 1 })],
    tokens: ["/account/tokens", (page) => page.getByRole("heading", { level: 1 })],
    logins: ["/account/logins", (page) => page.getByText("this one")],
    users: ["/admin/users", (page) => page.getByText("you", { exact: true })],
    templates: ["/admin/templates", (page) => page.getByText("1 of 1 ready")],
    device: ["/device", (page) => page.getByRole("heading", { level: 1 })],
    server: ["/admin/server", (page) => page.getByText("SSH host keys")],
    api: ["/api/v1/docs", (page) => page.locator("summary").first()],
    long: [`/workspaces/${me.name}/${long}`, heading],
    "long-logs": [`/workspaces/${me.name}/${long}/logs`, heading],
    "long-snapshots": [`/workspaces/${me.name}/${long}/snapshots`, heading],
    "long-terminals": [`/workspaces/${me.name}/${long}/terminals`, (page) => page.getByText(long).first()],
    "longest-of-others": [`/workspaces/${owner}/${long}`, heading],
    nowhere: ["/nowhere", (page) => page.getByText("There is nothing at this address")],
  };
  for (const window of ["desktop", "phone"]) {
    for (const colours of ["light", "dark"]) {
      const person = await arrive({ window, colours });
      await person.context.addCookies(cookies);
      for (const [name, [path, there]] of Object.entries(pages)) {
        await person.page.goto(url + path);
        await there(person.page).first().waitFor();
        await person.page.evaluate(() => document.fonts.ready);
        await person.look(`${name}-${window}-${colours}`);
        if (window === "phone") await person.fingers(name);
      }
      await person.page.context().close();
    }
  }
});
