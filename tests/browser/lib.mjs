// What the flows share: a browser, people who sign in, checks of every page they see.
//
// A flow gets from its environment where the gateway is (DEVGATE_URL), links that sign
// people in (DEVGATE_LINK, DEVGATE_OTHER_LINK), the home of the workspace `default` on
// disk (DEVGATE_HOME) and where pictures go (DEVGATE_SCREENSHOTS). Where a reverse proxy is
// in front, also its name and address (DEVGATE_PROXY, as DOMAIN=HOST:PORT) and the
// certificate that it shows (DEVGATE_CERTIFICATE).
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { launch } from "./chromium.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const url = required("DEVGATE_URL");
const pictures = required("DEVGATE_SCREENSHOTS");

/** How long something may take that should come at once, on a loaded machine. */
export const SOON = 20_000;

export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} isn't set: run the test through cargo, make test TESTS="browser"`);
  return value;
}

const WINDOWS = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 360, height: 780 }, isMobile: true, hasTouch: true },
};

/**
 * What has the browser believe the gateway's own authority, in pages, frames and workers
 * alike; or find the proxy by its name, and believe its certificate alone.
 */
function trust() {
  const { DEVGATE_PROXY: proxy, DEVGATE_CERTIFICATE: certificate } = process.env;
  if (!proxy) return ["--ignore-certificate-errors"];
  const [domain, address] = proxy.split("=");
  const { publicKey } = new X509Certificate(readFileSync(certificate));
  const key = createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
  return [
    `--host-resolver-rules=MAP ${domain} ${address}, MAP *.${domain} ${address}`,
    `--ignore-certificate-errors-spki-list=${key}`,
  ];
}

/**
 * Runs a flow in a fresh browser. What the pages complain about fails it, and a
 * picture shows how they looked then.
 */
export async function flow(name, run) {
  mkdirSync(pictures, { recursive: true });
  const browser = await launch(...trust());
  const people = [];
  try {
    await run(async (options = {}) => {
      const person = await Person.arrive(browser, name, options);
      people.push(person);
      return person;
    });
    for (const person of people) person.noComplaints();
  } catch (error) {
    let count = 0;
    for (const context of browser.contexts()) {
      for (const page of context.pages()) {
        count += 1;
        const path = join(pictures, `failed-${name}-${count}.png`);
        await page.screenshot({ path }).catch(() => undefined);
        console.error(`the page ${page.url()} looked like ${path}`);
      }
    }
    for (const person of people) console.error(person.complaints.join("\n"));
    throw error;
  } finally {
    await browser.close();
  }
}

/** Somebody with a browser profile of their own. */
export class Person {
  complaints = [];

  static async arrive(browser, name, { window = "desktop", colours = "light" }) {
    const context = await browser.newContext({
      ...WINDOWS[window],
      colorScheme: colours,
      reducedMotion: "reduce",
      // What is asked without a page.
      ignoreHTTPSErrors: !process.env.DEVGATE_PROXY,
      permissions: ["clipboard-read", "clipboard-write"],
    });
    context.setDefaultTimeout(SOON);
    const person = new Person();
    person.context = context;
    person.name = name;
    context.on("page", (page) => person.watch(page));
    person.page = await context.newPage();
    return person;
  }

  watch(page) {
    page.on("pageerror", (error) => this.complaints.push(`${page.url()}: ${error}`));
    page.on("console", (message) => {
      if (/Content Security Policy|Refused to/.test(message.text()) && page.url().startsWith(url)) {
        this.complaints.push(`${page.url()}: ${message.text()}`);
      }
    });
  }

  noComplaints() {
    assert.deepEqual(this.complaints, [], "the pages complain");
  }

  async signInByLink(link) {
    await this.page.goto(link);
    await this.page.waitForURL(`${url}/workspaces`);
    await this.page.getByRole("heading", { name: "Workspaces" }).waitFor();
  }

  async signIn(user, password) {
    await this.page.getByLabel("User").fill(user);
    await this.page.getByRole("textbox", { name: "Password" }).fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
  }

  async go(path) {
    await this.page.goto(url + path);
  }

  /** Asks the API with this person's cookie, as the dashboard's own pages do. */
  async ask(method, path, body) {
    return this.page.evaluate(
      async ([method, path, body]) => {
        const init = { method, headers: { accept: "application/json", "content-type": "application/json" } };
        if (body !== undefined) init.body = JSON.stringify(body);
        const response = await fetch(`/api/v1${path}`, init);
        const text = await response.text();
        let value = text;
        try {
          value = text === "" ? null : JSON.parse(text);
        } catch {
          // Not JSON: the text it is.
        }
        return { status: response.status, body: value };
      },
      [method, path, body],
    );
  }

  /** Checks that everybody can use the page, and takes a picture of it. */
  async look(what, page = this.page) {
    await page.screenshot({ path: join(pictures, `${this.name}-${what}.png`) });
    // It would load the styles once more, as inline ones, which the policy forbids.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], preload: false }));
    const serious = violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
    assert.deepEqual(serious, [], `not everybody can use the page ${what} (${page.url()})`);
    const wide = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.equal(wide, 0, `the page ${what} is wider than the window`);
  }

  /** Checks that a finger hits everything: 44 pixels each way, but for links within a text. */
  async fingers(what, page = this.page) {
    const small = await page.evaluate(() => {
      const actions = "a[href], button, input, select, textarea, summary";
      return [...document.querySelectorAll(actions)]
        .filter((one) => one.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
        // A keyboard's own, or pressed by its label.
        .filter((one) => !one.matches("[href='#content'], .xterm *, [type=radio]"))
        .filter((one) => getComputedStyle(one).display !== "inline")
        .map((one) => [one, one.getBoundingClientRect()])
        .filter(([, { width, height }]) => width > 0 && height > 0 && (width < 44 || height < 44))
        .map(([one, { width, height }]) => {
          const name = one.getAttribute("aria-label") ?? (one.textContent.trim() || one.outerHTML.slice(0, 80));
          return `${name}: ${Math.round(width)} × ${Math.round(height)}`;
        });
    });
    assert.deepEqual(small, [], `a finger misses these on the page ${what}`);
  }

  /** Opens a new terminal in a workspace. */
  async openTerminal(owner, workspace) {
    await this.go(`/workspaces/${owner}/${workspace}/terminals`);
    await this.page.getByRole("button", { name: "New terminal" }).first().click();
    await this.page.waitForURL(/\/terminals\/[^/]+$/);
    const shell = new Shell(this.page);
    await shell.shows(/[#$] *$/m);
    return shell;
  }
}

/** The terminal on a page. */
export class Shell {
  constructor(page) {
    this.page = page;
    this.screen = page.locator(".xterm-rows");
  }

  async type(text) {
    await this.page.locator(".xterm-helper-textarea").focus();
    await this.page.keyboard.type(text);
    await this.page.keyboard.press("Enter");
  }

  /** Ends the program in the foreground by Ctrl+C. */
  async interrupt() {
    await this.page.locator(".xterm-helper-textarea").focus();
    await this.page.keyboard.press("Control+c");
    await this.prompts();
  }

  /** Waits until the shell waits for a command. */
  async prompts() {
    await this.shows(/[#$]\s*$/);
  }

  async text() {
    const rows = await this.screen.locator("> div").allTextContents();
    return rows.map((row) => row.replaceAll("\u00a0", " ").trimEnd()).join("\n");
  }

  /** Waits until the screen shows something. */
  async shows(what, limit = SOON) {
    await until(`the terminal shows ${what}`, limit, async () => {
      const text = await this.text();
      return typeof what === "string" ? text.includes(what) : what.test(text);
    });
  }
}

/** Sends something over a WebSocket to the page's own address; returns what comes back. */
export function echoed(page, text) {
  return page.evaluate(
    (text) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(location.href.replace(/^http/, "ws"));
        socket.onopen = () => socket.send(text);
        socket.onmessage = (event) => resolve(event.data);
        socket.onerror = () => reject(new Error("the WebSocket failed"));
      }),
    text,
  );
}

/** Waits until a probe says yes; facts on a page or a disk that no event tells. */
export async function until(what, limit, probe) {
  const end = Date.now() + limit;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${limit} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export { assert };
