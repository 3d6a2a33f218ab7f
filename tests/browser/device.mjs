// A program in a terminal that somebody signs in from a browser: by a link that is theirs,
// by one that asks for more, and by the code alone.
import { assert, flow, required, until } from "./lib.mjs";

const NAME = "ada@laptop";

await flow("device", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { page } = ada;

  // What `devgate login` asks, from the same address as the browser.
  const begin = async (scope) => {
    const wish = { name: NAME, scope, expires_in_seconds: 3600 };
    const { status, body } = await ada.ask("POST", "/login/device", wish);
    assert.equal(status, 200);
    return body;
  };
  const token = ({ device_code }) => ada.ask("POST", "/login/device/token", { device_code });
  const approve = page.getByRole("button", { name: "Approve" });

  const write = await begin("write");
  await page.goto(write.verification_uri_complete);
  await page.getByText(NAME).waitFor();
  await ada.look("asked");
  await approve.click();
  await page.getByText("Approved").waitFor();
  await ada.look("approved");
  const { status, body } = await token(write);
  assert.equal(status, 200);
  assert.equal(body.token.scope, "write");

  // Anybody can send a link: one that gives everything takes the code, too.
  const all = await begin("admin");
  await page.goto(all.verification_uri_complete);
  const code = page.getByLabel("The code that your terminal shows");
  await code.waitFor();
  assert.ok(await approve.isDisabled());
  assert.equal(await page.getByText(all.user_code).count(), 0, "it can't be copied from here");
  await ada.look("all");
  await code.fill("BBBB-BBBB");
  assert.ok(await approve.isDisabled());
  await code.fill(all.user_code.toLowerCase());
  await approve.click();
  await page.getByText("Approved").waitFor();
  assert.equal((await token(all)).body.token.scope, "admin");

  // Without a link.
  const third = await begin("admin");
  await page.goto(third.verification_uri);
  await page.getByRole("textbox", { name: "Code" }).fill(third.user_code);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Refuse" }).click();
  await page.getByText("Refused").waitFor();
  const refused = await token(third);
  assert.deepEqual([refused.status, refused.body.code], [400, "access-denied"]);

  // They are among the tokens, and end there.
  await ada.go("/account/tokens");
  const listed = page.getByText(NAME);
  await until("both tokens are listed", 20_000, async () => (await listed.count()) === 2);
});
