// Several windows of one browser look at one workspace: each is told what happens, requests
// are answered meanwhile, and all of them end with the login.
import { assert, flow, required, SOON, url } from "./lib.mjs";

/** Far more than the connections that a browser keeps to a host over HTTP/1.1 would carry. */
const WINDOWS = 4;

await flow("windows", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const { body: list } = await ada.ask("GET", "/workspaces");
  const at = `/workspaces/${list.items.find((one) => one.name === "default").id}`;
  const [port] = required("DEVGATE_PORTS").split(",").map(Number);

  const windows = [ada.page];
  while (windows.length < WINDOWS) windows.push(await ada.context.newPage());
  for (const page of windows) {
    await page.goto(`${url}/workspaces/${me.name}/default`);
    await page.getByText("Start a server in the workspace").waitFor();
  }
  // A hidden one follows nothing.
  const seen = await Promise.all(windows.map((page) => page.evaluate(() => document.visibilityState)));
  assert.deepEqual(seen, Array(WINDOWS).fill("visible"));

  const command = ["python3", "-m", "http.server", String(port), "--bind", "127.0.0.1"];
  const { status, body: server } = await soon("a request is answered", ada.ask("POST", `${at}/processes`, { command }));
  assert.equal(status, 201, JSON.stringify(server));
  await everywhere(windows, (page) => page.locator(`[data-port="${port}"]`).waitFor());
  const ended = await soon("a request is answered", ada.ask("DELETE", `${at}/processes/${server.id}`));
  assert.ok(ended.status < 300, JSON.stringify(ended));
  await everywhere(windows, (page) => page.locator(`[data-port="${port}"]`).waitFor({ state: "detached" }));

  // They hear of the login's end, wherever it was ended.
  const out = await soon("a request is answered", ada.ask("POST", "/logout"));
  assert.equal(out.status, 204, JSON.stringify(out.body));
  await everywhere(windows, (page) => page.waitForURL(/\/sign-in/));
});

function everywhere(windows, what) {
  return Promise.all(windows.map(what));
}

/** Gives up what isn't there in time: a page asks for as long as it is open. */
function soon(what, promise) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`waited ${SOON} ms in vain until ${what}`)), SOON).unref();
  });
  return Promise.race([promise, late]);
}
