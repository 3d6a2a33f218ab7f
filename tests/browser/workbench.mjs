// What the flows do in VS Code's workbench.
import { until } from "./lib.mjs";

/** A server written in JavaScript starts in seconds, on a loaded machine in many. */
export const SERVER = 90_000;

/** How long a shortcut or a command may take before it is tried again. */
const PATIENCE = 30_000;

/** Runs a command in a terminal of the workbench; `ran` tells whether it did. */
export async function runInTerminal(page, command, ran) {
  const terminal = page.locator(".terminal-wrapper.active .xterm-helper-textarea");
  // The workbench takes a shortcut once it has got round to it.
  await until("the editor's terminal opens", SERVER, async () => {
    await page.keyboard.press("Control+Shift+Backquote");
    return terminal.waitFor({ timeout: PATIENCE }).then(() => true, () => false);
  });
  // The welcome page, which comes late, takes the keys that are meant for the terminal.
  await until("the command ran", SERVER, async () => {
    await terminal.press("Control+c");
    await terminal.pressSequentially(command);
    await terminal.press("Enter");
    return until("it ran at this try", PATIENCE, ran).catch(() => false);
  });
}
