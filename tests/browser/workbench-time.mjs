// Measures how long code-server takes from the navigation to a usable workbench, which
// lists the workspace's files, by itself (DIRECT) and through the gateway (GATEWAY, with
// COOKIE): in turns, each time as a browser that was never there. Prints JSON.
import { launch } from "./chromium.mjs";

/** The first start of a server written in JavaScript takes longest, in milliseconds. */
const LIMIT = 120_000;

const browser = await launch();

async function time(origin, cookie) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  try {
    if (cookie) {
      const end = cookie.indexOf("=");
      const [name, value] = [cookie.slice(0, end), cookie.slice(end + 1)];
      await context.addCookies([{ name, value, url: origin, secure: true, httpOnly: true }]);
    }
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT);
    const start = performance.now();
    await page.goto(origin, { waitUntil: "commit" });
    await page.locator(".monaco-workbench .explorer-folders-view .monaco-list-row", { hasText: process.env.FILE }).waitFor();
    return performance.now() - start;
  } finally {
    await context.close();
  }
}

const { DIRECT: direct, GATEWAY: gateway, COOKIE: cookie, ROUNDS: rounds } = process.env;
const times = { direct: [], gateway: [] };
try {
  // Once for what a server does at its first visit only.
  await time(direct);
  await time(gateway, cookie);
  for (let round = 0; round < Number(rounds); round += 1) {
    times.direct.push(await time(direct));
    times.gateway.push(await time(gateway, cookie));
  }
  console.log(JSON.stringify(times));
} finally {
  await browser.close();
}
