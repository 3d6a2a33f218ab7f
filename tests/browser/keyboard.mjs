// Everything by keyboard: each page's actions are reached by Tab and seen when they are,
// dialogs and menus keep the focus and give it back.
import { assert, flow, required, SOON, until, url } from "./lib.mjs";

await flow("keyboard", async (arrive) => {
  const ada = await arrive();
  await ada.signInByLink(required("DEVGATE_LINK"));
  const { page } = ada;
  const { body: me } = await ada.ask("GET", "/me");
  const workspace = `/workspaces/${me.name}/default`;

  const pages = {
    "/workspaces": page.getByRole("link", { name: "default", exact: true }),
    [workspace]: page.getByRole("button", { name: "Open in" }),
    [`${workspace}/terminals`]: page.getByRole("button", { name: "New terminal" }),
    [`${workspace}/statistics`]: page.getByText("Last 24 hours"),
    [`${workspace}/snapshots`]: page.getByText("No snapshots yet"),
    [`${workspace}/logs`]: page.getByRole("log"),
    "/account": page.getByLabel("New password again"),
    "/account/keys": page.getByRole("button", { name: "Add a key" }),
    "/account/tokens": page.getByRole("button", { name: "Create a token" }),
    "/account/logins": page.getByText("this one"),
    "/admin/users": page.getByText("you", { exact: true }),
    "/admin/server": page.getByText("SSH host keys"),
    "/api/v1/docs": page.locator("summary"),
  };
  for (const [path, there] of Object.entries(pages)) {
    await ada.go(path);
    await there.first().waitFor();
    await everythingByTab(page, path);
  }

  // The first Tab offers to skip the header.
  await ada.go("/workspaces");
  await pages["/workspaces"].waitFor();
  await page.keyboard.press("Tab");
  await ada.look("skip");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("main") !== null));

  await dialogs(page);
  await menus(page);

  // The palette leads anywhere.
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("A workspace, a page").fill("logins");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}/account/logins`);

  // A terminal takes every key but the one that leaves it.
  const shell = await ada.openTerminal(me.name, "default");
  await shell.type("echo here-$((1 + 1))");
  await shell.shows("here-2");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("[data-terminal]") !== null));
  await page.keyboard.press("Control+Alt+Escape");
  await focusComesTo(page, "Terminal settings");
});

/** Waits until what has this name has the focus; a library may need a moment for it. */
async function focusComesTo(page, name) {
  await until(`the focus is on ${name}`, SOON, () =>
    page.evaluate((name) => {
      const { activeElement: at } = document;
      return (at.getAttribute("aria-label") ?? at.textContent) === name;
    }, name),
  );
}

/** Goes through a page by Tab: each action is reached, and shows it. */
async function everythingByTab(page, path) {
  await page.evaluate(() => {
    document.activeElement.blur();
    // One radio of a group is reached by Tab, the others by arrows.
    const actions = "a[href], button, input, select, textarea, summary, [tabindex='0']";
    window.unreached = new Set(
      [...document.querySelectorAll(actions)].filter(
        (one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0 && one.type !== "radio",
      ),
    );
    const looks = (one) => {
      const { outlineStyle, outlineWidth, boxShadow, borderColor, backgroundColor } = getComputedStyle(one);
      const outline = outlineStyle === "none" ? "" : outlineWidth;
      return [outline, boxShadow, borderColor, backgroundColor].join(" ");
    };
    // A field in a frame shows it on the frame.
    window.framed = (one) => [one, one.parentElement, one.nextElementSibling].filter(Boolean).map(looks).join("; ");
    window.plain = new Map([...window.unreached].map((one) => [one, window.framed(one)]));
  });
  const invisible = [];
  for (let count = 0; count < 400; count += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(async () => {
      const { activeElement: one } = document;
      window.unreached.delete(one);
      if (one === document.body) return null;
      const changing = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
      await Promise.allSettled(changing.map((animation) => animation.finished));
      const name = one.getAttribute("aria-label") ?? (one.textContent.trim() || one.outerHTML);
      return { name: name.slice(0, 80), seen: window.plain.get(one) !== window.framed(one) };
    });
    if (at === null) break;
    if (!at.seen) invisible.push(at.name);
  }
  const unreached = await page.evaluate(() =>
    [...window.unreached].map((one) => one.getAttribute("aria-label") ?? (one.textContent || one.outerHTML)),
  );
  assert.deepEqual(unreached, [], `Tab doesn't reach everything on ${path}`);
  assert.deepEqual(invisible, [], `the focus can't be seen on ${path}`);
}

/** A dialog has the focus until it closes, and what opened it has it again. */
async function dialogs(page) {
  const create = page.getByRole("button", { name: "Create", exact: true });
  await create.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  for (const key of ["Tab", "Shift+Tab"]) {
    for (let count = 0; count < 8; count += 1) {
      await page.keyboard.press(key);
      assert.ok(
        await page.evaluate(() => document.activeElement.closest("[role=dialog]") !== null),
        `${key} leaves the dialog`,
      );
    }
  }
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await focusComesTo(page, "Create");
}

/** Waits until a menu has the focus, which it takes a moment after it shows. */
async function menuTakesKeys(page) {
  await until("a menu has the focus", SOON, () =>
    page.evaluate(() => document.activeElement.closest("[role=menu]") !== null),
  );
}

/** A menu is walked by arrows, and closes to where it was opened. */
async function menus(page) {
  const actions = page.getByRole("button", { name: "Actions for default" });
  await actions.focus();
  await page.keyboard.press("Enter");
  await menuTakesKeys(page);
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  for (let left = 12; left > 0 && (await focused()) !== "Logs"; left--) {
    await page.keyboard.press("ArrowDown");
  }
  await focusComesTo(page, "Logs");
  await page.keyboard.press("Escape");
  await page.getByRole("menuitem", { name: "Stop" }).waitFor({ state: "detached" });
  await focusComesTo(page, "Actions for default");

  // What a menu opens gives the focus back to the menu's button.
  await page.keyboard.press("Enter");
  await menuTakesKeys(page);
  await page.keyboard.press("ArrowUp");
  await focusComesTo(page, "Delete…");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await focusComesTo(page, "Actions for default");
}
