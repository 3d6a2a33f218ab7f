// Starts Chromium the same way for all that drives it.
import { chromium } from "playwright-core";

/** Starts it, with further arguments. */
export function launch(...more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // Terminals are drawn with elements then, and their text can be read.
      "--disable-3d-apis",
      ...more,
    ],
  });
}
