// SSH connections without a key that somebody lets in, by the link that they show and the
// code that they type: one from here (DEVGATE_CONNECTION), one from elsewhere
// (DEVGATE_ELSEWHERE).
import { assert, flow, required } from "./lib.mjs";

await flow("approve", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { page } = ada;
  const approve = page.getByRole("button", { name: "Approve" });

  // Anybody can send a link to a connection of their own.
  const type = async (link) => {
    assert.ok(await approve.isDisabled());
    const [, code] = link.split("#code=");
    await page.getByLabel("The code that your terminal shows").fill(code);
    await approve.click();
  };

  const near = required("DEVGATE_CONNECTION");
  await page.goto(near);
  await page.getByText("An SSH connection as you").waitFor();
  await page.getByText("127.0.0.1", { exact: true }).waitFor();
  await page.getByText("Further connections get in for 5 minutes").waitFor();
  assert.equal(await page.getByText("It asks from another address than you").count(), 0);
  await ada.look("near");
  await type(near);
  await page.getByText("The connection ends when you sign out here.").waitFor();

  const elsewhere = required("DEVGATE_ELSEWHERE");
  await page.goto(elsewhere);
  await page.getByText("It asks from another address than you").waitFor();
  await page.getByText("127.0.0.2", { exact: true }).waitFor();
  await ada.look("elsewhere");
  await type(elsewhere);
  await page.getByText("Approved").waitFor();

  await ada.go("/account/logins");
  const windows = page.getByRole("list", { name: "SSH connections that are let in" });
  await windows.waitFor();
  await ada.look("let-in");
  await page.getByRole("button", { name: "End SSH to default from 127.0.0.2" }).click();
  await page.getByText("127.0.0.2").waitFor({ state: "detached" });
});
