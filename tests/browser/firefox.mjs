// Firefox, which trusts the gateway's own authority as people have it do: sign in, a terminal,
// and two applications at once, each on a host of its own with a certificate of its own.
//
// It is driven by WebDriver BiDi. FIREFOX says which, DEVGATE_PROFILE with which profile.
import { join } from "node:path";

import puppeteer from "puppeteer-core";

import { assert, required, SOON, until, url } from "./lib.mjs";

const complaints = [];
let pictures = 0;

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: required("FIREFOX"),
  userDataDir: required("DEVGATE_PROFILE"),
  // Terminals are drawn with elements then, and their text can be read.
  extraPrefsFirefox: { "webgl.disabled": true, "ui.prefersReducedMotion": 1 },
  defaultViewport: { width: 1280, height: 800 },
});
try {
  const workspace = await signIn();
  const terminal = await openTerminal(workspace);
  const ports = required("DEVGATE_PORTS").split(",").map(Number);
  await serve(terminal, ports);
  const first = await openAll(workspace, ports);

  // What the gateway shows in an application's place keeps to its own policy.
  await terminal.bringToFront();
  await type(terminal, "clear; kill %1; wait %1; echo ended-$((1 + 1))");
  await shows(terminal, "ended-2");
  await first.bringToFront();
  await first.reload();
  await first.waitForSelector("h1::-p-text(The application is not listening)");
  await look(first, "not-listening");
  assert.deepEqual(complaints, [], "the pages complain");
} catch (error) {
  for (const page of await browser.pages()) await look(page, "failed").catch(() => undefined);
  console.error(complaints.join("\n"));
  throw error;
} finally {
  await browser.close();
}

/** Opens a tab of the browser's, whose complaints are heard. */
async function open(address) {
  const page = await browser.newPage();
  hear(page);
  await page.goto(address);
  return page;
}

function hear(page) {
  page.setDefaultTimeout(SOON);
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  page.on("console", (message) => complaints.push(`${page.url()}: ${message.text()}`));
}

async function look(page, what) {
  pictures += 1;
  await page.screenshot({ path: join(required("DEVGATE_SCREENSHOTS"), `firefox-${pictures}-${what}.png`) });
}

/** Signs in by a link; returns the address of the workspace's page. */
async function signIn() {
  const page = await open(required("DEVGATE_LINK"));
  await page.waitForSelector("h1::-p-text(Workspaces)");
  await page.waitForSelector("::-p-text(default)");
  await look(page, "workspaces");
  const owner = await page.evaluate(async () => (await (await fetch("/api/v1/me")).json()).name);
  await page.close();
  return `${url}/workspaces/${owner}/default`;
}

async function openTerminal(workspace) {
  const page = await open(`${workspace}/terminals`);
  await page.locator("button::-p-text(New terminal)").click();
  await shows(page, /[#$] *$/m);
  return page;
}

async function type(page, text) {
  await page.focus(".xterm-helper-textarea");
  await page.keyboard.type(`${text}\n`);
}

/** Waits until a terminal's screen shows something. */
async function shows(page, what) {
  await until(`the terminal shows ${what}`, SOON, async () => {
    const rows = await page.$$eval(".xterm-rows > div", (rows) => rows.map((row) => row.textContent));
    const text = rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd()).join("\n");
    return typeof what === "string" ? text.includes(what) : what.test(text);
  });
}

async function serve(terminal, ports) {
  for (const port of ports) {
    await type(terminal, `mkdir at-${port}; touch at-${port}/file-of-${port}`);
    await type(terminal, `python3 -m http.server ${port} --bind 127.0.0.1 --directory at-${port} &`);
  }
  const answers = ports.map((port) => `curl -so /dev/null 127.0.0.1:${port}`).join(" && ");
  await type(terminal, `clear; until ${answers}; do sleep 0.1; done; echo both-serve-$((1 + 1))`);
  await shows(terminal, "both-serve-2");
  // A character that comes as two keypresses, one for each half of it in UTF-16.
  await type(terminal, "clear; printf %s 😀 | od -An -tx1");
  await shows(terminal, "f0 9f 98 80");
  await look(terminal, "terminal");
}

/** Opens what serves on ports from a workspace's page; returns the first one's own. */
async function openAll(workspace, ports) {
  const list = await open(workspace);
  const pages = [];
  for (const port of ports) {
    await list.bringToFront();
    const opened = new Promise((resolve) => browser.once("targetcreated", (target) => resolve(target.page())));
    await list.locator(`[data-port="${port}"] a`).click();
    const page = await opened;
    hear(page);
    await page.waitForSelector(`a::-p-text(file-of-${port})`);
    pages.push(page);
  }
  await look(list, "listed");
  await look(pages.at(-1), "application");
  const hosts = pages.map((page) => new URL(page.url()).hostname);
  assert.equal(new Set([...hosts, new URL(url).hostname]).size, 3, "each has a host of its own");
  return pages[0];
}
