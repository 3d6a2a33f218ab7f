// Who may see what: a second user, an administrator, nobody.
import { assert, flow, required, url } from "./lib.mjs";

await flow("people", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { body: me } = await ada.ask("GET", "/me");
  const { body: list } = await ada.ask("GET", "/workspaces");
  const workspace = list.items.find((one) => one.name === "default");

  // The administrator adds somebody, who comes in by the link.
  await ada.go("/admin/users");
  await ada.page.getByRole("button", { name: "Add a user" }).click();
  await ada.page.getByLabel("Name").fill("grace");
  await ada.look("add-user");
  await ada.page.getByRole("button", { name: "Add and make a link" }).click();
  const link = await ada.page.getByRole("dialog").locator("code").textContent();
  await ada.page.getByRole("button", { name: "Done" }).click();
  await ada.look("users");
  await ada.go("/admin/server");
  await ada.page.getByText("SSH host keys").waitFor();
  await ada.look("server");

  const grace = await arrive({ colours: "dark" });
  await grace.signInByLink(link);
  await grace.page.getByText("Create your first workspace").waitFor();
  await grace.look("empty");
  assert.equal(await grace.page.getByRole("link", { name: "Server" }).count(), 0);

  // What she may not see isn't there, on pages and behind the API alike.
  await grace.go(`/workspaces/${me.name}/default`);
  await grace.page.getByText("There is nothing at this address").waitFor();
  await grace.look("not-found");
  const at = `/workspaces/${workspace.id}`;
  for (const [method, path] of [
    ["GET", at],
    ["DELETE", at],
    ["POST", `${at}/start`],
    ["POST", `${at}/stop`],
    ["POST", `${at}/restart`],
    ["GET", `${at}/logs`],
    ["GET", `${at}/history`],
    ["GET", `${at}/ports`],
    ["PUT", `${at}/ports/3000`],
    ["GET", `${at}/terminals`],
    ["POST", `${at}/terminals`],
    ["GET", `${at}/statistics`],
    ["GET", `${at}/editor`],
  ]) {
    const answer = await grace.ask(method, path, method === "PUT" ? { visibility: "public" } : undefined);
    assert.equal(answer.status, 404, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  }
  for (const path of ["/users", "/server"]) {
    const answer = await grace.ask("GET", path);
    assert.ok([403, 404].includes(answer.status), `${path}: ${answer.status}`);
  }

  // Nobody: every page leads to the sign-in, every API route to 401.
  const nobody = await arrive();
  for (const path of [
    "/",
    "/workspaces",
    `/workspaces/${me.name}/default`,
    `/workspaces/${me.name}/default/terminals`,
    `/workspaces/${me.name}/default/logs`,
    "/account/keys",
    "/account/tokens",
    "/account/logins",
    "/admin/users",
    "/admin/server",
  ]) {
    await nobody.go(path);
    await nobody.page.waitForURL(/\/sign-in/);
  }
  for (const path of ["/me", "/workspaces", at, `${at}/terminals`, `${at}/ports`, "/users", "/events"]) {
    const answer = await nobody.ask("GET", path);
    assert.equal(answer.status, 401, path);
  }
  const editor = new URL(workspace.urls.editor);
  await nobody.page.goto(editor.href);
  await nobody.page.waitForURL((now) => now.origin === url && now.pathname === "/sign-in");
});
